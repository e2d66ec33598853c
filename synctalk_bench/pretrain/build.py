"""Sources to clips, each once: what was made is kept under a key of everything that it depends on."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synctalk_bench.errors import Damaged, NoFace, SubjectError
from synctalk_bench.pretrain.clips import TalkingClip, read_clip, write_clip
from synctalk_bench.pretrain.sources import Source
from synctalk_bench.store.atomic import write_json
from synctalk_bench.store.fingerprint import digest, file_digest

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def build(
    sources: Sequence[Source],
    folder: Path,
    *,
    jobs: int,
    landmarker: Callable[[], Path],
    tell: Callable[[int, int], None],
    say: Callable[[str], None],
) -> list[tuple[Source, tuple[TalkingClip, ...]]]:
    """Return the clips of each source that has any, made now or found in ``folder``.

    Args:
        sources: what to make clips from.
        folder: of the clips' files; a killed run goes on with the first source that is not there.
        jobs: processes.
        landmarker: gives the face landmarker's model, asked for only when a face has to be found.
        tell: is told (done, total) sources.
        say: one line about each source that cannot be used.

    Raises:
        NoFace: no source gave a clip; the message says why the first did not.
        MissingAsset, MissingExtra: faces have to be found and cannot be.
    """
    places = [folder / digest(source.key())[:24] for source in sources]
    todo = [number for number, place in enumerate(places) if not _whole(place)]
    model = landmarker() if any(sources[n].needs_faces for n in todo) else None
    done = len(sources) - len(todo)
    tell(done, len(sources))
    for _ in _work([(sources[n], places[n], model) for n in todo], min(jobs, len(todo))):
        done += 1
        tell(done, len(sources))
    found, problems = [], []
    for source, place in zip(sources, places, strict=True):
        record = _record(place)
        if "problem" in record:
            problems.append(record["problem"])
            say(f"left out: {record['problem']}")
        else:
            found.append((source, tuple(read_clip(folder / name) for name in record["files"])))
    if not found:
        raise NoFace(f"none of the {len(sources)} sources can be used; the first: {problems[0]}")
    return found


def _work(tasks: list[tuple[Source, Path, Path | None]], jobs: int) -> Iterator[None]:
    """Make the clips of every task, yielding after each."""
    if jobs <= 1:
        for task in tasks:
            make(*task)
            yield
        return
    with _one_thread_each():
        pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
        try:
            futures: list[Future[None]] = [pool.submit(make, *task) for task in tasks]
            for future in as_completed(futures):
                future.result()
                yield
        finally:
            # After an error or Ctrl-C the clips in hand are finished and the rest is dropped.
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes started meanwhile compute on one core: a pool of them is what uses the others."""
    kept = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def make(source: Source, place: Path, landmarker: Path | None) -> None:
    """Write the clips of ``source`` beside ``place``, and last of all ``place``.json with their digests.

    A source that cannot be used is remembered with its reason, so that it is not tried again.
    """
    try:
        clips = source.clips(landmarker)
    except SubjectError as error:
        write_json(place.with_suffix(".json"), {"name": source.name, "problem": error.message})
        return
    files: dict[str, str] = {}
    for number, clip in enumerate(clips):
        path = place.with_name(f"{place.name}-{number}.safetensors")
        write_clip(path, clip)
        files[path.name] = file_digest(path)
    write_json(place.with_suffix(".json"), {"name": source.name, "files": files})


def _record(place: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))
    return content


def _whole(place: Path) -> bool:
    """Return whether the clips of ``place`` are there as they were written; what is not is made again."""
    if not place.with_suffix(".json").is_file():
        return False
    try:
        record = _record(place)
        files: dict[str, str] = record.get("files", {})
        return all(file_digest(place.with_name(name)) == value for name, value in files.items())
    except (json.JSONDecodeError, OSError, Damaged):
        return False
