"""Sound in and out through PyAV: any container in, mono float at the rate asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.errors import BadManifest, MissingFile, NoAudio

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_sound(path: Path, *, rate: int) -> tuple[NDArray[np.float32], int]:
    """Return the first audio stream of ``path`` as mono samples in [-1, 1] at ``rate`` Hz, and ``rate``.

    Channels are averaged. Raises MissingFile, NoAudio, or BadManifest for a file that cannot be decoded.
    """
    import av
    from av.audio.resampler import AudioResampler

    if not path.is_file():
        raise MissingFile(f"{path} is not there")
    blocks: list[NDArray[np.float32]] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise NoAudio(f"{path} has no audio track", hint="give a clip with sound; the lips are driven by it")
            # fltp keeps the channels apart, so that the mean is ours and not the mixer's -3 dB.
            resampler = AudioResampler(format="fltp", rate=rate)
            for frame in container.decode(audio=0):
                blocks += [part.to_ndarray().mean(0) for part in resampler.resample(frame)]
            blocks += [part.to_ndarray().mean(0) for part in resampler.resample(None)]
    except av.error.FFmpegError as error:
        raise BadManifest(f"the sound of {path} cannot be decoded: {error}") from error
    if not blocks:
        raise NoAudio(f"{path} has an empty audio track")
    return np.concatenate(blocks).astype(np.float32), rate


def write_wav(path: Path, samples: NDArray[np.float32], rate: int) -> None:
    """Write mono ``samples`` in [-1, 1] as 16-bit PCM."""
    import wave

    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
