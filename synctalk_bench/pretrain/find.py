"""What lies in a folder: LRS2, prepared subjects, or plain videos; and the people of the synthetic corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synctalk_bench.errors import BadManifest, MissingFile
from synctalk_bench.paths import expanded
from synctalk_bench.pretrain.clips import read_names
from synctalk_bench.pretrain.sources import Made, Prepared, Source, Split, Synthetic, Video

if TYPE_CHECKING:
    from synctalk_bench.subjects.synthetic.configs import SyntheticConfig

SYNTHETIC: Final = "synthetic"
MADE: Final = ".safetensors"
VIDEOS: Final = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v"})
# LRS2's lists and what is done with their clips.
_LISTS: Final[dict[str, Split]] = {"train.txt": "training", "val.txt": "held-out", "test.txt": "held-out"}
# Numbers that no built-in subject uses by default, so that who is benchmarked was not trained on.
_FIRST: Final = 1000
_VOICES = 2  # clips of each synthetic person, each with a voice of its own
_SIZE = 192  # pixels of a synthetic frame: its face is then about 96


def find_sources(corpus: str, *, people: int, seconds: float) -> list[Source]:
    """Return the sources of ``corpus``: a folder, a video, a prepared subject, or the word ``synthetic``.

    Args:
        corpus: as the user typed it.
        people: how many the synthetic corpus has.
        seconds: of speech for each of them.

    Raises:
        MissingFile: there is nothing of that name.
        BadManifest: no video and no subject lies there, or LRS2's lists name nothing that is there.
    """
    if corpus == SYNTHETIC:
        return list(_synthetic(people, seconds))
    root = expanded(corpus).resolve()
    if root.is_file():
        return [_one_made(root)] if root.suffix == MADE else [Video(root, root.name, root.stem)]
    if not root.is_dir():
        raise MissingFile(
            f"there is no {corpus}", hint=f"give a folder of videos, a subject's folder, or '{SYNTHETIC}'"
        )
    found: list[Source] = list(_lrs2(root)) if (root / "main").is_dir() else []
    found = found or list(_made(root)) or list(_prepared(root)) or list(_videos(root))
    if not found:
        raise BadManifest(
            f"{root} holds no video and no prepared subject",
            hint=f"videos end in {', '.join(sorted(VIDEOS))}; LRS2 has main/<id>/<number>.mp4",
        )
    return found


def _synthetic(people: int, seconds: float) -> Iterator[Source]:
    from synctalk_bench.subjects.synthetic.configs import SyntheticConfig

    def config(person: int, take: int) -> SyntheticConfig:
        # Nobody shares a voice, a sentence or a movement with anybody else.
        own = _FIRST + _VOICES * person + take
        return SyntheticConfig(
            seconds=seconds / _VOICES, size=_SIZE, identity=_FIRST + person, voice=own, seed=own, utterance=own
        )

    return (Synthetic(config(person, take)) for person in range(people) for take in range(_VOICES))


def _lrs2(root: Path) -> Iterator[Source]:
    """Yield main/<id>/<number>.mp4 by the lists at the root, or all of them where there are no lists."""
    lists = {name: split for name, split in _LISTS.items() if (root / name).is_file()}
    main = (root / "main").resolve()  # it may be a link to where the videos are
    for name, split in lists.items():
        for line in (root / name).read_text(encoding="utf-8").splitlines():
            if not line.strip():
                continue
            entry = line.split()[0]  # test.txt goes on with the speaker's category
            path = main / f"{entry}.mp4"
            if not path.resolve().is_relative_to(main):
                raise BadManifest(f"{name} names {entry}, outside of {root}")
            if path.is_file():  # who has only a part of the data uses that part
                yield Video(path, entry, entry.split("/")[0], split)
    if not lists:
        for path in sorted(main.glob("*/*.mp4")):
            yield Video(path, f"{path.parent.name}/{path.stem}", path.parent.name)


def _made(root: Path) -> Iterator[Source]:
    """Yield the clips that ``--prepare-only`` left in ``root``."""
    yield from map(_one_made, sorted(root.glob(f"*{MADE}")))


def _one_made(path: Path) -> Made:
    name, identity = read_names(path)
    return Made(path, name, identity)


def _prepared(root: Path) -> Iterator[Source]:
    """Yield ``root`` if it is a subject's folder, else the subjects' folders in it."""
    for folder in [root, *sorted(path for path in root.iterdir() if path.is_dir())]:
        if (folder / "aud.wav").is_file() and (folder / "ori_imgs" / "0.lms").is_file():
            yield Prepared(folder)


def _videos(root: Path) -> Iterator[Source]:
    """Yield every video below ``root``; its first folder, or else its own name, says who is seen."""
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in VIDEOS and p.is_file()):
        inside = path.relative_to(root)
        yield Video(path, inside.as_posix(), inside.parts[0] if len(inside.parts) > 1 else inside.stem)
