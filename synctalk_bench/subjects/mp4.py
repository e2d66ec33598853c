"""Video out through PyAV: H.264 + AAC files for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import TooShort
from synctalk_bench.store.atomic import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SOUND_RATE = 48_000


def write_mp4(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    audio: Path | None = None,
    crf: int = 10,
    *,
    comment: str = "",
    options: Mapping[str, str] | None = None,
) -> None:
    """Write ``frames`` [H, W, 3] RGB as H.264 (yuv420p), with the sound of ``audio`` as AAC up to the last frame.

    An odd width or height is made even by repeating the last column or row. The file's place is taken before the first
    frame is asked for, and it appears when it is whole; frames and sound are asked for as they are written, so their
    length does not matter. ``comment`` goes into its metadata. ``options`` are libx264's own.

    Raises:
        TooShort: there are no frames.
        StoreError: the file cannot be written there.
        MissingFile, NoAudio, BadManifest: ``audio`` cannot be used.
    """
    import av
    from av.audio.frame import AudioFrame

    from synctalk_bench.subjects.sound import sound_blocks

    frames = iter(frames)
    rate = Fraction(fps).limit_denominator(1001)
    with replacing(path) as temporary:
        first = next(frames, None)
        if first is None:
            raise TooShort(f"there are no frames to write to {path}")
        with av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            chosen = {"crf": str(crf), "preset": "fast", **(options or {})}
            video = container.add_stream("libx264", rate=rate, options=chosen)
            video.height, video.width = (side + side % 2 for side in first.shape[:2])
            video.pix_fmt = "yuv420p"
            if comment:
                container.metadata["comment"] = comment
            voice: Any = None
            if audio is not None:
                voice = container.add_stream("aac", rate=_SOUND_RATE, layout="mono")
                blocks = sound_blocks(audio, rate=_SOUND_RATE)
            heard, said = np.zeros(0, np.float32), 0
            for k, pixels in enumerate(chain([first], frames)):
                container.mux(video.encode(av.VideoFrame.from_ndarray(_even(pixels), format="rgb24")))
                if voice is None:
                    continue
                # The sound goes in beside its pictures, so that a player need not look far ahead.
                wanted = round((k + 1) / float(rate) * _SOUND_RATE) - said
                while len(heard) < wanted and (more := next(blocks, None)) is not None:
                    heard = np.concatenate([heard, more.astype(np.float32)])
                if len(heard) and wanted > 0:
                    block = AudioFrame.from_ndarray(heard[None, :wanted].copy(), format="fltp", layout="mono")
                    block.sample_rate, block.pts = _SOUND_RATE, said
                    block.time_base = Fraction(1, _SOUND_RATE)
                    container.mux(voice.encode(block))
                    said, heard = said + block.samples, heard[wanted:]
            container.mux(video.encode(None))
            if voice is not None:
                container.mux(voice.encode(None))


def _even(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(pixels)
