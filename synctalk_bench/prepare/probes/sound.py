"""Whether the sound can drive lips: silence, sound without pauses, and where it begins and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.errors import NoAudio
from synctalk_bench.prepare.probes.finding import Finding

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SILENT: Final = -60.0  # dB of full scale, the loudest tenth of a second
_PAUSE: Final = 25.0  # dB below the loud parts
# Share of 10 ms pieces that are pauses: .15 to .35 in six clips of speech, 0 in music, noise and tones without rests.
_FEW_PAUSES: Final = 0.05
_SHORT: Final = 0.5  # seconds of picture without sound that are worth a word


def levels(wave: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return the level of every 10 ms of ``wave`` [n]: [n * 100 / rate] dB of full scale, -120 at least."""
    hop = rate // 100
    pieces = wave[: len(wave) // hop * hop].astype(np.float64).reshape(-1, hop)
    return np.asarray(10 * np.log10(np.maximum((pieces**2).mean(1), 1e-12)))


def look(
    wave: NDArray[np.float32], rate: int, *, video: Path, begins: float, start: float, stop: float
) -> tuple[list[Finding], dict[str, Any]]:
    """Return what is remarkable about the sound between the first and the last frame, and its figures.

    Args:
        wave: the whole sound, mono.
        rate: samples a second.
        video: for the message.
        begins: when the sound's first sample is played, seconds on the video's clock.
        start: when the first frame is shown.
        stop: when the last frame ends.

    Raises:
        NoAudio: there is a track, but nothing is heard on it.
    """
    own = wave[max(0, round((start - begins) * rate)) : max(0, round((stop - begins) * rate))]
    level = levels(own, rate)
    loud = float(np.quantile(level, 0.95)) if len(level) else -120.0
    if loud < SILENT:
        raise NoAudio(
            f"the sound of {video} is silent: its loudest parts are at {loud:.0f} dB of full scale",
            hint="give a clip in which the person is heard; the lips are driven by the sound",
        )
    pauses = float((level < loud - _PAUSE).mean())
    found = []
    if pauses < _FEW_PAUSES:
        text = "the sound never pauses as speech does: it may be music or noise, or speech under music"
        found.append(Finding(what="speech", text=text, advice="lips learn from clean speech alone"))
    before, after = begins - start, stop - (begins + len(wave) / rate)
    if before > _SHORT:
        found.append(Finding(what="sound", text=f"the sound begins {before:.2f} s after the picture; silence is added"))
    if after > _SHORT:
        found.append(Finding(what="sound", text=f"the sound ends {after:.1f} s before the picture; silence is added"))
    return found, {"begins": begins, "loud_db": round(loud, 1), "pauses": round(pauses, 3)}
