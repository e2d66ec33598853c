"""A small formant synthesiser: pulses and hiss through resonators that glide from sound to sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synctalk_bench.subjects.synthetic.phonemes import Sound

    Field = NDArray[np.float64]

RATE = 16_000
BLOCK = 80  # samples between two settings of the filters: 5 ms


def voice_parameters(voice: int) -> tuple[float, float]:
    """Return the mean pitch in Hz and the factor on all formants of voice ``voice``."""
    if voice == 0:
        return 118.0, 1.0
    rng = np.random.default_rng([977, voice])
    high = voice % 2 == 1
    pitch = float(rng.uniform(175, 225) if high else rng.uniform(92, 135))
    return pitch, float(rng.uniform(1.10, 1.20) if high else rng.uniform(0.93, 1.05))


def _steps(sounds: Sequence[Sound], blocks: int, formant_scale: float) -> dict[str, Field]:
    """Return the controls before smoothing, one row a block of 5 ms."""
    time = (np.arange(blocks) + 0.5) * BLOCK / RATE
    at = np.clip(np.searchsorted([s.stop for s in sounds], time, side="right"), 0, len(sounds) - 1)
    voice, hiss, hiss_at, accent = (np.zeros(blocks) for _ in range(4))
    formants = np.zeros((blocks, 3))
    for i, number in enumerate(at):
        sound = sounds[number]
        p = sound.phoneme
        share = (time[i] - sound.start) / max(sound.stop - sound.start, 1e-6)
        burst = p.kind != "stop" or share > 0.62  # a stop is silent until it is let go
        voice[i] = p.voice * (1.15 if sound.stressed else 0.85 if p.kind == "vowel" else 1.0)
        hiss[i] = p.hiss if burst else 0.0
        hiss_at[i] = (p.hiss_at or 2500.0) * formant_scale
        formants[i] = np.array(p.formants) * formant_scale
        accent[i] = 1.0 if sound.stressed and p.kind == "vowel" else 0.0
    return {"voice": voice, "hiss": hiss, "hiss_at": hiss_at, "formants": formants, "accent": accent}


def _phrase_fall(sounds: Sequence[Sound], time: Field) -> Field:
    """Return the pitch's fall over each stretch of speech: 1 at its start, 0 at its end."""
    fall = np.zeros_like(time)
    start = None
    for sound in sounds:
        if sound.name != "_" and start is None:
            start = sound.start
        if sound.name == "_" and start is not None:
            inside = (time >= start) & (time < sound.start)
            fall[inside] = 1 - (time[inside] - start) / (sound.start - start)
            start = None
    return fall


def synthesise(sounds: Sequence[Sound], seconds: float, voice: int) -> NDArray[np.float32]:
    """Return mono speech at 16 kHz, ``round(seconds * 16000)`` samples in [-1, 1]; silence is exactly 0."""
    samples = round(seconds * RATE)
    blocks = -(-samples // BLOCK)
    pitch, scale = voice_parameters(voice)
    control = _steps(sounds, blocks, scale)
    time = (np.arange(blocks) + 0.5) * BLOCK / RATE
    formants = gaussian_filter1d(control["formants"], 4.0, axis=0, mode="nearest")
    strength = gaussian_filter1d(control["voice"], 2.0, mode="nearest")
    hiss = gaussian_filter1d(control["hiss"], 1.2, mode="nearest")
    quiet = np.array([s.name == "_" for s in sounds])
    for sound in np.array(sounds, dtype=object)[quiet]:
        inside = (time > sound.start + 0.03) & (time < sound.stop - 0.03)
        strength[inside], hiss[inside] = 0.0, 0.0
    rng = np.random.default_rng([53, voice, len(sounds)])
    wander = gaussian_filter1d(rng.standard_normal(blocks), 20.0, mode="nearest")
    f0 = pitch * (
        0.86 + 0.22 * _phrase_fall(sounds, time) + 0.14 * gaussian_filter1d(control["accent"], 10.0) + 0.12 * wander
    )

    def spread(values: Field) -> Field:
        return np.asarray(np.interp(np.arange(samples), np.arange(blocks) * BLOCK + BLOCK / 2, values))

    phase = np.cumsum(spread(gaussian_filter1d(f0, 4.0)) / RATE) % 1.0
    # Slope of the glottal flow: a slow rise, a sharp closure, rest.
    opening, closing = 0.42, 0.18
    rising = np.sin(np.pi * phase / opening) * 0.5 * np.pi / opening * 0.3
    shutting = -np.sin(0.5 * np.pi * (phase - opening) / closing) * 0.5 * np.pi / closing * 0.5
    pulse = np.where(phase < opening, rising, np.where(phase < opening + closing, shutting, 0.0))
    white = rng.standard_normal(samples)
    source = spread(strength) * (pulse + 0.02 * white)

    out = np.zeros(samples)
    states = [np.zeros(2) for _ in range(5)]
    noise_state = np.zeros(2)
    widths = (70.0, 95.0, 140.0, 220.0, 300.0)
    aspirated = spread(hiss) * white
    for i in range(blocks):
        span = slice(i * BLOCK, min((i + 1) * BLOCK, samples))
        signal = source[span]
        tract = (*formants[i], 3400.0 * scale, 4400.0 * scale)
        for k, (f, b) in enumerate(zip(tract, widths, strict=True)):
            signal, states[k] = _resonate(signal, min(f, 7200.0), b, states[k])
        rough, noise_state = _resonate(
            aspirated[span], min(control["hiss_at"][i], 7000.0), 1400.0, noise_state, unit=False
        )
        out[span] = signal * 0.14 + rough
    out *= 0.6 / max(float(np.abs(out).max()), 1e-9)
    gate = gaussian_filter1d(((strength + hiss) > 1e-4).astype(float), 1.0, mode="nearest")
    gate[gate < 0.02] = 0.0
    return np.asarray(out * spread(gate), dtype=np.float32)


def _resonate(x: Field, f: float, width: float, state: Field, *, unit: bool = True) -> tuple[Field, Field]:
    """Return ``x`` through a two-pole resonator at ``f`` Hz, with unit gain at 0 Hz (or at its peak), and its state."""
    r = np.exp(-np.pi * width / RATE)
    b1, b2 = 2 * r * np.cos(2 * np.pi * f / RATE), -r * r
    gain = 1 - b1 - b2 if unit else (1 - r) * 1.6
    y, state = lfilter([gain], [1.0, -b1, -b2], x, zi=state)
    return y, state
