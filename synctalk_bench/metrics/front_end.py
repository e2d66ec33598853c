"""The one place where metrics get their frames: pairs by frame number, decoded ahead by threads, checked once.

Whoever runs a metric may ``watch`` it: every frame that is handed out is counted here.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from synctalk_bench.errors import BadManifest, MissingFile, PrerequisiteError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.artifacts import Clip

Loaded = TypeVar("Loaded")

MOST_READERS = 8  # a PNG of 512 x 512 takes 4 ms to decode: no metric outruns eight
AHEAD = 4  # decoded pairs waiting for the metric; at 512 x 512 a pair is 1.5 MB


@dataclass(slots=True)
class _Watch:
    """Frames handed out, and those of the passes that have begun: a metric may look at a clip more than once."""

    tell: Callable[[int, int], None]
    done: int = 0
    total: int = 0


_WATCH: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watched(tell: Callable[[int, int], None]) -> Iterator[None]:
    """Call ``tell(done, total)`` after each frame that a metric gets within; what it raises ends the metric."""
    token = _WATCH.set(_Watch(tell))
    try:
        yield
    finally:
        _WATCH.reset(token)


@dataclass(frozen=True, slots=True)
class Pair:
    """Frame ``k`` of both clips: [H, W, 3] uint8 RGB each, of one size."""

    k: int
    rendered: NDArray[np.uint8]
    truth: NDArray[np.uint8]


def read_frame(path: Path) -> NDArray[np.uint8]:
    """Return [H, W, 3] uint8 RGB.

    Raises:
        MissingFile: there is no such frame.
        BadManifest: it cannot be decoded.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except FileNotFoundError as error:
        raise MissingFile(f"frame {path.stem} is not there", where=str(path)) from error
    except (UnidentifiedImageError, OSError) as error:
        raise BadManifest(f"frame {path.stem} cannot be decoded: {error}", where=str(path)) from error


def check(rendered: Clip, truth: Clip | None, metric: str) -> Clip:
    """Return ``truth`` once it is certain that it covers ``rendered`` frame by frame.

    Raises:
        PrerequisiteError: there is no truth to compare with.
        BadManifest: no frames, another frame rate, or rendered frames without a true one.
    """
    if truth is None:
        raise PrerequisiteError(f"'{metric}' compares with the true frames, and this clip has none")
    check_alone(rendered)
    if rendered.fps != truth.fps:
        raise BadManifest(
            f"the rendered clip runs at {rendered.fps:g} fps and the true one at {truth.fps:g}",
            where=str(rendered.frames),
        )
    if same_frames(truth, rendered) is None:
        raise BadManifest(
            f"rendered frames {rendered.span.first}...{rendered.span.stop - 1} are not all among the true frames "
            f"{truth.span.first}...{truth.span.stop - 1}",
            where=str(rendered.frames),
        )
    return truth


def same_frames(truth: Clip | None, rendered: Clip) -> Clip | None:
    """Return the part of ``truth`` that has the frames of ``rendered``; None without a truth that covers them."""
    if truth is None or truth.span.first > rendered.span.first or truth.span.stop < rendered.span.stop:
        return None
    return dataclasses.replace(truth, span=rendered.span)


def check_alone(rendered: Clip) -> None:
    """Refuse a clip without frames, for metrics that need no truth.

    Raises:
        BadManifest: no frames.
    """
    if not len(rendered.span):
        raise BadManifest("the rendered clip has no frames", where=str(rendered.frames))


def pairs(rendered: Clip, truth: Clip, *, readers: int) -> Iterator[Pair]:
    """Yield both pictures of every rendered frame, in order, holding only a few at a time.

    Raises:
        MissingFile, BadManifest: a frame is missing, cannot be decoded, or the two differ in size.
    """

    def load(k: int) -> Pair:
        mine, true = read_frame(rendered.frame(k)), read_frame(truth.frame(k))
        if mine.shape != true.shape:
            raise BadManifest(
                f"frame {k} was rendered at {mine.shape[1]} x {mine.shape[0]} pixels and is truly "
                f"{true.shape[1]} x {true.shape[0]}",
                where=str(rendered.frame(k)),
            )
        return Pair(k, mine, true)

    yield from ahead(load, rendered.span.frames, readers)


def singles(clip: Clip, *, readers: int) -> Iterator[NDArray[np.uint8]]:
    """Yield every frame of one clip, in order, [H, W, 3] uint8 RGB, holding only a few at a time.

    Raises:
        MissingFile, BadManifest: a frame is missing, cannot be decoded, or is not of the first one's size.
    """
    shape: tuple[int, ...] | None = None
    for k, frame in zip(
        clip.span.frames, ahead(lambda k: read_frame(clip.frame(k)), clip.span.frames, readers), strict=True
    ):
        shape = shape or frame.shape
        if frame.shape != shape:
            raise BadManifest(
                f"frame {k} has {frame.shape[1]} x {frame.shape[0]} pixels and the first one {shape[1]} x {shape[0]}",
                where=str(clip.frame(k)),
            )
        yield frame


def ahead(load: Callable[[int], Loaded], frames: range, readers: int) -> Iterator[Loaded]:
    """Yield ``load(k)`` in order, while threads work on the next few; ``readers`` 0: one a core, at most eight."""
    numbers, readers = iter(frames), readers or min(MOST_READERS, len(os.sched_getaffinity(0)))
    watch = _WATCH.get()
    if watch is not None:
        watch.total += len(frames)
    pool = ThreadPoolExecutor(max_workers=readers, thread_name_prefix="frames")
    try:
        waiting: deque[Future[Loaded]] = deque(pool.submit(load, k) for k in itertools.islice(numbers, AHEAD + readers))
        while waiting:
            loaded = waiting.popleft().result()
            waiting.extend(pool.submit(load, k) for k in itertools.islice(numbers, 1))
            yield loaded
            if watch is not None:
                watch.done += 1
                watch.tell(watch.done, watch.total)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def tensors(rendered: Clip, truth: Clip, *, readers: int, device: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield both pictures of every rendered frame, in order, as [3, H, W] uint8 on ``device``.

    One frame at a time: the result depends on no batch size, and a long clip needs no more memory than a short one.

    Raises:
        MissingFile, BadManifest: as ``pairs``.
    """
    import torch

    def tensor(pixels: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()).to(device)

    for pair in pairs(rendered, truth, readers=readers):
        yield tensor(pair.rendered), tensor(pair.truth)
