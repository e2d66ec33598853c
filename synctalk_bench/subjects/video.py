"""Video in through PyAV: what a file holds, and its frames at 25 a second.

A source is read twice: ``scan`` notes when every frame is shown and how much it differs from the one before, ``sample``
decides from that which source frame becomes which frame of the subject, and ``read_frames`` decodes those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.errors import BadManifest, ConfigError, MissingFile, TooShort

if TYPE_CHECKING:
    from numpy.typing import NDArray

FPS: Final = 25.0  # of the dataset layout (spec A.1)
WATCHED: Final = 256  # pixels of the longer side of what ``scan`` shows to ``watch``
_THUMB = 48  # pixels; differences between frames are measured on grey thumbnails of this size
_FLASH = 5  # frames; what is over sooner is no take
_STILL = 0.2  # a repeated frame differs by less than this share of its group's median difference


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What the container says, before any frame is decoded."""

    file: str  # name without its folder
    duration: float  # seconds
    fps: float
    frames: int  # as the container counts them; 0 when it does not
    width: int  # upright, after ``rotation``
    height: int
    rotation: int  # degrees, anticlockwise, that make a decoded frame upright: 0, 90, 180, 270
    has_audio: bool
    codec: str
    audio_start: float = 0.0  # seconds on the video's clock at which the sound's first sample is played

    def to_json(self) -> dict[str, Any]:
        """Return the facts by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Scan:
    """Every decoded frame: ``times`` [n] seconds, ``change`` [n] mean grey levels against the frame before."""

    times: NDArray[np.float64]
    change: NDArray[np.float64]  # change[0] is infinite
    whole: bool  # the file was read to its end


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which source frame becomes frame k, how that was decided, and when frame 0 is shown."""

    source: NDArray[np.int64]  # [T], never decreasing
    method: str  # as-is | repeats-dropped | nearest-time
    start: float  # seconds into the source; the sound is cut there
    cuts: tuple[int, ...]  # frames k that look like the first after a cut

    def __len__(self) -> int:
        return len(self.source)

    def part(self, frames: range) -> Sampling:
        """Return the sampling of ``frames`` alone, which become frames 0, 1, ..."""
        inside = tuple(cut - frames.start for cut in self.cuts if frames.start < cut < frames.stop)
        source = self.source[frames.start : frames.stop]
        return Sampling(source, self.method, self.start + frames.start / FPS, inside)

    def steps(self, change: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much each frame differs from the one before, [T], 0 for the first.

        A frame that was passed over may hold the change, so it is the largest since the frame kept before.
        """
        kept = self.source
        later = [float(change[a + 1 : b + 1].max(initial=0.0)) for a, b in pairwise(kept)]
        return np.array([0.0, *later])


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """The square of a source frame that is kept, in upright source pixels, and the size it is brought to."""

    left: int
    top: int
    side: int
    size: int

    def apply(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the square of ``frame`` [H, W, 3]: [size, size, 3], by Lanczos when the size changes."""
        square = frame[self.top : self.top + self.side, self.left : self.left + self.side]
        if square.shape[0] == self.size:
            return np.ascontiguousarray(square)
        from PIL import Image

        resized = Image.fromarray(np.ascontiguousarray(square)).resize((self.size, self.size), Image.Resampling.LANCZOS)
        return np.asarray(resized)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield the PyAV container of ``path``; every decoding error becomes BadManifest."""
    import av

    if not path.is_file():
        raise MissingFile(f"{path} is not there", hint="give the path of a video file")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadManifest(f"{path} holds no video track", hint="give a video of one talking person")
            yield container
    except av.error.FFmpegError as error:
        raise BadManifest(
            f"{path} cannot be read as a video: {error.strerror}",
            hint="it may be cut short or not be a video: play it, download it again, or re-encode it",
        ) from error


def probe(path: Path) -> VideoFacts:
    """Return what ``path`` holds.

    Raises:
        MissingFile: there is no such file.
        BadManifest: it is not a video, or it is so damaged that not even its first frame decodes.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or stream.base_rate or 0)
        frames = int(stream.frames)
        if stream.duration is not None:
            duration = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            duration = container.duration / 1e6
        else:
            duration = frames / fps if fps else 0.0
        first = next(container.decode(video=0), None)
        if first is None:
            raise BadManifest(f"{path} holds no frame that decodes", hint="download it again or re-encode it")
        rotation = int(first.rotation) % 360
        sound = container.streams.audio[0] if container.streams.audio else None
        begins = float(sound.start_time * sound.time_base) if sound and sound.start_time is not None else 0.0
        width, height = (first.height, first.width) if rotation in (90, 270) else (first.width, first.height)
        return VideoFacts(
            file=path.name,
            duration=duration,
            fps=fps,
            frames=frames,
            width=width,
            height=height,
            rotation=rotation,
            has_audio=sound is not None,
            codec=str(stream.codec_context.name),
            audio_start=begins,
        )


def scan(path: Path, *, seconds: float | None = None, watch: Callable[[NDArray[np.uint8]], None] | None = None) -> Scan:
    """Return when each frame is shown and how much it differs from the one before, up to ``seconds`` after the first.

    Args:
        path: the video.
        seconds: where to stop; None reads to the end.
        watch: called with every frame in turn, upright and small: [H, W, 3] RGB, the longer side 256 pixels.

    Raises:
        BadManifest: decoding fails, or clearly fewer frames decode than the container promises.
    """
    times: list[float] = []
    change: list[float] = []
    before: NDArray[np.float32] | None = None
    whole = True
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        promised = int(stream.frames)
        period = 1.0 / float(stream.average_rate or 25)
        for frame in container.decode(video=0):
            time = frame.time if frame.time is not None else (times[-1] + period if times else 0.0)
            if seconds is not None and times and time - times[0] > seconds:
                whole = False
                break
            if watch is not None:
                watch(_upright(frame, most=WATCHED))
            small = frame.reformat(width=_THUMB, height=_THUMB, format="gray", interpolation="AREA")
            thumb = small.to_ndarray().astype(np.float32)
            change.append(float("inf") if before is None else float(np.abs(thumb - before).mean()))
            times.append(float(time))
            before = thumb
    if whole and len(times) < promised - max(3, promised // 50):
        raise BadManifest(
            f"{path} is cut short or damaged: {len(times)} of {promised} frames decode",
            hint="download it again, or keep what decodes by re-encoding it",
        )
    return Scan(np.array(times), np.array(change), whole)


def sample(seen: Scan, *, start: float = 0.0, seconds: float | None = None) -> Sampling:
    """Decide which source frames make the subject at 25 frames a second (spec J.2-11), from ``start`` for ``seconds``.

    Three cases: the source has 25 fps and is taken as it is; it is 25 fps padded to 30 by one repeat in every six
    frames, and the repeats are dropped; else frame k is the source frame shown nearest to k / 25 seconds.

    Raises:
        TooShort: nothing is left.
    """
    times = seen.times
    if not len(times):
        raise TooShort("the video has no frames")
    gaps = np.diff(times)
    period = float(np.median(gaps)) if len(gaps) else 1 / FPS
    steady = len(gaps) == 0 or bool(np.abs(gaps - period).max() < 0.25 * period)
    if steady and len(gaps):  # Matroska and WebM count in milliseconds: 33, 33, 34; only the mean is exact
        period = float(times[-1] - times[0]) / len(gaps)
    if steady and abs(period * FPS - 1) < 1e-3:
        chosen, method = np.arange(len(times)), "as-is"
    elif steady and abs(period * 30 - 1) < 2e-3 and (repeats := _repeats(seen.change)) is not None:
        chosen, method = np.delete(np.arange(len(times)), repeats), "repeats-dropped"
    else:
        count = max(1, round((times[-1] - times[0] + period) * FPS))
        wanted = times[0] + np.arange(count) / FPS
        after = np.clip(np.searchsorted(times, wanted), 1, max(1, len(times) - 1))
        before = after - 1
        after = np.minimum(after, len(times) - 1)
        chosen = np.where(wanted - times[before] <= times[after] - wanted, before, after)
        method = "nearest-time"
    first = round(start * FPS)
    stop = len(chosen) if seconds is None else first + round(seconds * FPS)
    kept = chosen[first:stop].astype(np.int64)
    if not len(kept):
        raise nothing_left(len(chosen) / FPS, start)
    uncut = Sampling(kept, method, float(times[0]) + first / FPS, ())
    return replace(uncut, cuts=_cuts(uncut.steps(seen.change)))


def nothing_left(seconds: float, start: float) -> TooShort:
    """Return the error for a beginning after the end of a video of ``seconds``."""
    return TooShort(
        f"the video ends after {seconds:.2f} s; nothing is left from second {start:g} on", hint="give a smaller --start"
    )


def _repeats(change: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return the frames that repeat the one before, one in each six, or None when nine groups in ten have no such."""
    whole = len(change) // 6 * 6
    if whole < 30:
        return None
    groups = np.where(np.isfinite(change[:whole]), change[:whole], np.finfo(np.float64).max).reshape(-1, 6)
    lowest = groups.argmin(1)
    ordered = np.sort(groups, 1)
    clear = ordered[:, 0] < _STILL * np.maximum(np.median(ordered[:, 1:], 1), 1e-6)
    if clear.mean() < 0.9:
        return None
    repeats = np.arange(len(groups)) * 6 + lowest
    tail = np.arange(whole, len(change))
    still = tail[change[tail] < _STILL * np.median(ordered[:, 2])]
    return np.concatenate([repeats, still[:1]]).astype(np.int64)


def _cuts(steps: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the frames whose step stands far above those of their neighbours: likely first frames after a cut.

    Two other cuts may be among the neighbours; two that follow each other at once are a flash of light.
    """
    found = []
    for k, step in enumerate(steps):
        near = np.concatenate([steps[max(1, k - 12) : k], steps[k + 1 : k + 13]])
        if step > 6.0 and len(near) and step > 4.0 * float(np.median(near)) and step > 1.8 * np.sort(near)[-3:][0]:
            found.append(k)
    gaps = np.diff(found, prepend=-_FLASH, append=len(steps) + _FLASH)
    return tuple(k for k, before, after in zip(found, gaps, gaps[1:], strict=False) if min(before, after) >= _FLASH)


def read_frames(path: Path, source: Sequence[int] | NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """Yield the source frames numbered ``source`` (never decreasing) upright: [H, W, 3] RGB."""
    wanted = iter([int(n) for n in source])
    target = next(wanted, None)
    with _opened(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, frame in enumerate(container.decode(video=0)):
            if target is None:
                return
            if number < target:
                continue
            pixels = _upright(frame)
            while target is not None and target == number:
                yield pixels
                target = next(wanted, None)
    if target is not None:
        raise BadManifest(f"{path} ends before frame {target}", hint="the file changed while it was read; try again")


def _upright(frame: Any, *, most: int | None = None) -> NDArray[np.uint8]:
    """Return ``frame``'s pixels turned as the recording says, [H, W, 3] RGB; the longer side ``most`` when given."""
    size: dict[str, Any] = {}
    if most is not None:
        share = most / max(frame.width, frame.height)
        size = {"width": max(1, round(frame.width * share)), "height": max(1, round(frame.height * share))}
        size["interpolation"] = "AREA"
    pixels = frame.reformat(format="rgb24", **size).to_ndarray()
    turns = int(frame.rotation) % 360 // 90
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else np.asarray(pixels)


def square_around(width: int, height: int, face: tuple[float, float, float] | None, size: int | None) -> Framing:
    """Return the square that is kept of a ``width`` x ``height`` frame.

    Args:
        width: of the upright source.
        height: of the upright source.
        face: centre x, centre y and height of the face's oval in pixels; needed when the frame is not square.
        size: pixels of the result; None keeps the square's own size, 512 at most.

    A face fills 45 % of the square's height where the frame is large enough, a little above its middle, so that hair
    and shoulders are in.
    """
    if size is not None and not 64 <= size <= 2048:
        raise ConfigError(f"a picture size of {size} is out of range", hint="give --size between 64 and 2048")
    side = min(width, height)
    left = top = 0
    if width != height:
        if face is None:
            raise ConfigError(f"the frame is {width} x {height}; a square crop needs to know where the face is")
        x, y, tall = face
        side = min(side, max(64, round(tall / 0.45)))
        left = int(np.clip(round(x - side / 2), 0, width - side))
        top = int(np.clip(round(y - 0.46 * side), 0, height - side))
    return Framing(left=left, top=top, side=side, size=size or min(side, 512))
