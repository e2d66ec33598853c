"""What a step is given, and how its frames are shared out over worker processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import BadManifest, MissingFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.prepare.options import PrepareOptions
    from synctalk_bench.subjects.layout import Layout
    from synctalk_bench.subjects.video import VideoFacts

_BATCH = 16  # frames that a worker takes at a time: small enough for a steady progress bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One step of one preparation.

    Args:
        video: the source.
        facts: what the source holds.
        layout: the subject's folder.
        options: the user's choices.
        assets: registry name -> verified file.
        found: what each earlier step found, by step name.
        resume: the step was interrupted under the same key: whole files in its folders are its own.
        progress: called with (frames done, frames in all).
        say: a line for the user's log.
    """

    video: Path
    facts: VideoFacts
    layout: Layout
    options: PrepareOptions
    assets: Callable[[str], Path]
    found: Mapping[str, Mapping[str, Any]]
    resume: bool
    progress: Callable[[int, int], None]
    say: Callable[[str], None]

    @property
    def frames(self) -> int:
        """How many frames the subject has."""
        return int(self.found["frames"]["frames"])

    @property
    def size(self) -> int:
        """Side of its square frames in pixels."""
        return int(self.found["frames"]["framing"]["size"])

    @property
    def work(self) -> Path:
        """A folder for what only later steps read."""
        return self.layout.root / ".prepare"

    @property
    def jobs(self) -> int:
        """How many workers to use."""
        return self.options.jobs or os.cpu_count() or 1

    def labels(self, k: int) -> Path:
        """CelebAMask ids of frame ``k``, one channel."""
        return self.work / "labels" / f"{k}.png"

    @property
    def probe_file(self) -> Path:
        """What the first look found of each frame; ``probes.look`` says what is in it."""
        return self.work / "probe.npz"

    @property
    def landmark_file(self) -> Path:
        """``points`` [T, 478, 3] float32 pixels and ``blendshapes`` [T, 52] float32; may be carried elsewhere."""
        return self.layout.root / "landmarks.npz"

    def probe(self) -> dict[str, NDArray[Any]]:
        """Return what the first look found of each used frame: ``source``, ``change``, ``faces``, ``box``."""
        try:
            with np.load(self.probe_file, allow_pickle=False) as data:
                return {name: data[name] for name in ("source", "change", "faces", "box")}
        except FileNotFoundError as error:
            raise MissingFile(f"{self.probe_file} is not there", hint="look again with --from probe") from error
        except (KeyError, ValueError, OSError) as error:
            raise BadManifest(
                f"{self.probe_file} cannot be read: {error}", hint="look again with --from probe"
            ) from error

    def landmarks(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the points [T, 478, 3] and the raw blendshapes [T, 52]."""
        try:
            with np.load(self.landmark_file, allow_pickle=False) as data:
                points, shapes = data["points"], data["blendshapes"]
        except FileNotFoundError as error:
            raise MissingFile(
                f"{self.landmark_file} is not there", hint="find them again with --from landmarks"
            ) from error
        except (KeyError, ValueError, OSError) as error:
            raise BadManifest(
                f"{self.landmark_file} cannot be read: {error}", hint="find them again with --from landmarks"
            ) from error
        if points.shape != (self.frames, 478, 3) or shapes.shape != (self.frames, 52):
            raise BadManifest(
                f"{self.landmark_file} holds {len(points)} frames, the subject has {self.frames}",
                hint="find them again with --from landmarks",
            )
        return points, shapes


def read_picture(path: Path, mode: str = "RGB") -> NDArray[np.uint8]:
    """Return the pixels of ``path``: [H, W, 3], or [H, W] for mode L.

    Raises:
        MissingFile, BadManifest: it is gone or damaged; the message says which step makes it.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert(mode))
    except FileNotFoundError as error:
        raise MissingFile(f"{path} is not there", hint="make all again with --from frames") from error
    except (UnidentifiedImageError, OSError) as error:
        raise BadManifest(f"{path} cannot be decoded: {error}", hint="make all again with --from frames") from error


def batches(todo: Sequence[int]) -> Iterator[list[int]]:
    """Yield ``todo`` a few frames at a time."""
    for first in range(0, len(todo), _BATCH):
        yield list(todo[first : first + _BATCH])


_work: Callable[[list[int]], None] | None = None


def _take(work: Callable[[list[int]], None]) -> None:
    """Keep what a worker process does, so that its tables and plates are sent once and not with every batch."""
    global _work
    _work = work
    # Ctrl-C and SIGTERM, often sent to the whole group, are the parent's to answer; if the parent is killed, nobody
    # would ever tell this process to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(frames: list[int]) -> None:
    assert _work is not None
    _work(frames)


def share_out(
    work: Callable[[list[int]], None],
    todo: Sequence[int],
    *,
    total: int,
    jobs: int,
    progress: Callable[[int, int], None],
) -> None:
    """Do ``work`` on every frame of ``todo`` in ``jobs`` processes, a few frames at a time.

    ``work`` must be picklable; each process does whole frames and writes its own files, so the order does not matter.
    With one job, or little to do, it runs here.
    """
    done = total - len(todo)
    progress(done, total)
    if jobs == 1 or len(todo) <= 2 * _BATCH:
        for some in batches(todo):
            work(some)
            done += len(some)
            progress(done, total)
        return
    # Fresh processes: forking one that runs threads (torch, MediaPipe) can hang.
    pool = ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn"), initializer=_take, initargs=(work,))
    try:
        waiting = {pool.submit(_do, some): len(some) for some in batches(todo)}
        for future in as_completed(waiting):
            future.result()
            done += waiting[future]
            progress(done, total)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
