"""Sound in and out through PyAV: any container in, mono float at the rate asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.errors import BadManifest, MissingFile, NoAudio

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sound_blocks(path: Path, *, rate: int) -> Iterator[NDArray[np.float32]]:
    """Yield the first audio stream of ``path`` bit by bit: mono samples in [-1, 1] at ``rate`` Hz, channels averaged.

    Raises:
        MissingFile, NoAudio: there is no such file, or no sound in it.
        BadManifest: it cannot be decoded.
    """
    import av
    from av.audio.resampler import AudioResampler

    if not path.is_file():
        raise MissingFile(f"{path} is not there")
    empty = True
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise NoAudio(f"{path} has no audio track", hint="give a clip with sound; the lips are driven by it")
            # fltp keeps the channels apart, so that the mean is ours and not the mixer's -3 dB.
            resampler = AudioResampler(format="fltp", rate=rate)
            for frame in chain(container.decode(audio=0), [None]):
                for part in resampler.resample(frame):
                    empty = False
                    yield part.to_ndarray().mean(0)
    except av.error.FFmpegError as error:
        raise BadManifest(
            f"the sound of {path} cannot be read: {error.strerror}",
            hint="it may be cut short or hold no sound: play it, or make it anew with ffmpeg",
        ) from error
    if empty:
        raise NoAudio(f"{path} has an empty audio track")


def read_sound(path: Path, *, rate: int) -> tuple[NDArray[np.float32], int]:
    """Return the whole of ``sound_blocks`` and ``rate``; raises as it does."""
    return np.concatenate(list(sound_blocks(path, rate=rate))).astype(np.float32, copy=False), rate


def sound_from(samples: NDArray[np.float32], rate: int, second: float) -> NDArray[np.float32]:
    """Return the sound from ``second`` on, with silence before it where that is negative."""
    first = round(second * rate)
    return samples[first:] if first >= 0 else np.concatenate([np.zeros(-first, np.float32), samples])


def write_wav(path: Path, samples: NDArray[np.float32], rate: int) -> None:
    """Write mono ``samples`` in [-1, 1] as 16-bit PCM."""
    import wave

    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
