"""Cuts the clips of a study, blinds them and writes the folder that is published, with the key beside it."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

import synctalk_bench
from synctalk_bench.errors import ConfigError, TooShort
from synctalk_bench.store.atomic import UNWRITABLE, explained, write_json, write_text
from synctalk_bench.store.fingerprint import file_digest
from synctalk_bench.study import design
from synctalk_bench.study.clips import Gathered, Shown
from synctalk_bench.study.files import SUFFIX, ClipFacts, Key
from synctalk_bench.study.page import CLIPS, PAGE, page
from synctalk_bench.study.questions import Questionnaire

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CRF: Final = 17  # x264 at this factor cannot be told from its source by eye
ENCODER: Final = f"H.264 (x264, CRF {CRF}, preset fast, yuv420p) and AAC (mono, 48 kHz), by PyAV"
_RATE = 16_000  # Hz
_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to make.

    Args:
        out: the folder, which must not be there yet.
        seconds: of every clip; a shorter source is shown whole.
        excerpts: clips of each subject, spread over its test frames without overlap.
        shown: clips each participant sees; None shows all.
        participants: how many codes are issued.
        checks: lines in all of each participant's clips that ask for a certain number.
        seed: of every random choice.
        open: let codes that were not issued take part.
    """

    out: Path
    title: str
    questionnaire: Questionnaire
    seconds: float
    excerpts: int
    shown: int | None
    participants: int
    checks: int
    seed: int
    open: bool = False

    @property
    def key(self) -> Path:
        """Where the key goes: beside the folder."""
        return self.out.with_name(self.out.name + SUFFIX)

    @property
    def codes(self) -> Path:
        """Where the participants' codes go: beside the folder."""
        return self.out.with_name(self.out.name + ".codes.txt")


@dataclass(frozen=True, slots=True)
class _Cut:
    """Frames ``first`` to ``first + frames`` (exclusive) of a clip."""

    shown: Shown
    excerpt: int
    first: int
    frames: int


def make_study(
    gathered: Gathered, request: Request, *, tell: Callable[[int, int], None] = lambda done, total: None
) -> Key:
    """Write ``request.out`` with its page and clips, the key and the codes beside it, and return the key.

    Args:
        tell: is given clips done and in all.

    Raises:
        ConfigError: an option does not fit, or something is in the way.
        TooShort: a subject is too short for so many excerpts.
        StoreError: it cannot be written.
    """
    if not request.out.name:
        raise ConfigError(f"'{request.out}' names no new folder", where="--out")
    for path in (request.out, request.key, request.codes):
        if path.exists():
            raise ConfigError(
                f"{path} is there already",
                hint="choose another folder: answers belong to the study they were given in",
                where="--out",
            )
    notes = list(gathered.notes)
    cuts = _cuts(gathered, request, notes)
    shown = _check(request, len(cuts), len(gathered.methods), notes)
    rng = random.Random(request.seed)
    study = f"{rng.getrandbits(48):012x}"
    names = dict(zip(cuts, design.identifiers(len(cuts), rng), strict=True))
    places = list(product(gathered.subjects, range(request.excerpts)))
    grid = [[names[method, subject, part] for method in gathered.methods] for subject, part in places]
    orders = design.sequences(grid, shown, rng)
    rows = design.rows(orders, request.checks, len(request.questionnaire.questions), rng)
    codes = design.codes(request.participants, rng)
    with explained(request.out):
        request.out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=request.out.parent, prefix=f".{request.out.name}-"))
    try:
        with explained(request.out, only=UNWRITABLE):
            facts = _encode(unfinished / CLIPS, {name: cuts[place] for place, name in names.items()}, tell)
        key = Key(
            study=study,
            title=request.title,
            seed=request.seed,
            made_by=f"synctalk-bench {synctalk_bench.__version__}",
            encoder=ENCODER,
            methods=gathered.methods,
            questions=request.questionnaire.questions,
            rows=rows,
            codes=codes,
            open=request.open,
            clips=facts,
            notes=tuple(notes),
        )
        write_text(unfinished / PAGE, page(key.public() | request.questionnaire.to_json()))
        write_json(request.key, key.to_json())
        request.key.chmod(0o600)
        write_text(request.codes, "".join(f"{code}\n" for code in codes))
        with explained(request.out):
            unfinished.chmod(0o755)
            unfinished.rename(request.out)
    except BaseException:
        for path in (request.key, request.codes):
            path.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return key


def _check(request: Request, clips: int, methods: int, notes: list[str]) -> int:
    """Return how many clips each participant sees; raises ConfigError for options that do not fit."""
    shown = clips if request.shown is None else request.shown
    if not 1 <= shown <= clips:
        raise ConfigError(f"{shown} clips a participant cannot be had of {clips}", where="--clips-per-participant")
    if shown % methods:
        notes.append(f"{shown} clips a participant are no multiple of the {methods} methods: not all see all equally")
    if not 0 <= request.checks <= shown:
        raise ConfigError(f"{request.checks} checks do not fit on {shown} clips", where="--checks")
    if not 1 <= request.participants <= 10_000:
        raise ConfigError("there can be 1 to 10000 participants", where="--participants")
    if not request.title.strip() or len(request.title) > _LONGEST_TITLE:
        raise ConfigError(f"a title has 1 to {_LONGEST_TITLE} letters", where="--title")
    return shown


def _cuts(gathered: Gathered, request: Request, notes: list[str]) -> dict[tuple[str, str, int], _Cut]:
    """Return the pieces to show by (method, subject, excerpt): of one subject the same frames for every method."""
    if not 0.5 <= request.seconds <= 600:
        raise ConfigError("a clip has 0.5 to 600 seconds", where="--seconds")
    if not 1 <= request.excerpts <= 100:
        raise ConfigError("there can be 1 to 100 excerpts of a subject", where="--excerpts")
    found = {}
    for subject in gathered.subjects:
        shown = [gathered.clips[method, subject] for method in gathered.methods]
        seconds = min(len(each.clip.span) / each.clip.fps for each in shown)
        if request.excerpts > 1 and request.excerpts * request.seconds > seconds + 1e-6:
            raise TooShort(
                f"the clips of {subject} have {seconds:.1f} s, too few for {request.excerpts} of {request.seconds:g} s",
                hint="fewer --excerpts or --seconds",
            )
        if seconds + 1e-6 < request.seconds:
            notes.append(f"{subject} is shown for its {seconds:.1f} s, not {request.seconds:g}")
        for each, part in product(shown, range(request.excerpts)):
            there = int(seconds * each.clip.fps + 1e-6)
            frames = max(1, min(there, round(request.seconds * each.clip.fps)))
            first = each.clip.span.first + part * (there - frames) // max(1, request.excerpts - 1)
            found[each.method, subject, part] = _Cut(each, part, first, frames)
    return found


def _encode(folder: Path, cuts: dict[str, _Cut], tell: Callable[[int, int], None]) -> dict[str, ClipFacts]:
    """Write every clip under its blind name and return their facts."""
    folder.mkdir()
    tell(0, len(cuts))
    facts = {}
    for done, (name, cut) in enumerate(sorted(cuts.items()), start=1):
        path = folder / f"{name}.mp4"
        _write(path, cut)
        os.utime(path, (0, 0))  # the order of writing says nothing, nor does the hour
        facts[name] = ClipFacts(
            method=cut.shown.method,
            reference=cut.shown.reference,
            run=cut.shown.run,
            variant=cut.shown.variant,
            subject=cut.shown.subject,
            seed=cut.shown.seed,
            protocol=cut.shown.clip.protocol,
            excerpt=cut.excerpt,
            first=cut.first,
            frames=cut.frames,
            fps=cut.shown.clip.fps,
            fingerprint=cut.shown.fingerprint,
            sha256=file_digest(path),
        )
        tell(done, len(cuts))
    return facts


def _write(path: Path, cut: _Cut) -> None:
    from synctalk_bench.stages.frames import read_frame
    from synctalk_bench.subjects.mp4 import write_mp4
    from synctalk_bench.subjects.sound import read_sound, write_wav

    clip = cut.shown.clip
    assert clip.audio is not None  # ``gather`` refuses clips without sound
    wave, rate = read_sound(clip.audio, rate=_RATE)
    start = cut.first - clip.span.first
    begin, end = (round(k / clip.fps * rate) for k in (start, start + cut.frames))

    def frames() -> Iterator[NDArray[np.uint8]]:
        return (read_frame(clip.frame(k)) for k in range(cut.first, cut.first + cut.frames))

    sound = path.with_suffix(".wav")
    try:
        write_wav(sound, wave[begin:end], rate)
        write_mp4(path, frames(), clip.fps, sound, crf=CRF)
    finally:
        sound.unlink(missing_ok=True)
