"""What the person does: lips from the phonemes, blinks, brows, gaze, head and shoulders, one row a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.camera import rotation
from synctalk_bench.subjects.synthetic.fields import INDEX
from synctalk_bench.subjects.synthetic.model import GAZE
from synctalk_bench.subjects.synthetic.phonemes import SHAPES
from synctalk_bench.subjects.synthetic.view import DISTANCE, LIFT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synctalk_bench.subjects.synthetic.phonemes import Sound

    Field = NDArray[np.float64]

FPS = 25.0
_FINE = 200.0  # steps a second while the lips are planned
_PIVOT = np.array([0.0, -0.085, -0.020])  # the joint on the neck that the head turns about


@dataclass(frozen=True, slots=True)
class Motion:
    """The whole performance; T frames.

    Args:
        coefficients: [T, 52] (spec D.1), in [0, 1].
        euler, trans: [T, 3] the head's pose of spec A.3, radians and metres, float32 values.
        torso_euler, torso_trans: [T, 3] the torso's own pose.
        blinks: (start, stop) in seconds.
    """

    coefficients: Field
    euler: Field
    trans: Field
    torso_euler: Field
    torso_trans: Field
    blinks: tuple[tuple[float, float], ...]


def lips(sounds: Sequence[Sound], frames: int) -> Field:
    """Return the mouth's coefficients [T, 52] at the middle of each frame, co-articulated."""
    from scipy.ndimage import gaussian_filter1d

    steps = int(np.ceil(frames / FPS * _FINE))
    time = (np.arange(steps) + 0.5) / _FINE
    at = np.clip(np.searchsorted([s.stop for s in sounds], time, side="right"), 0, len(sounds) - 1)
    track = np.zeros((steps, len(INDEX)))
    shut, quiet = np.zeros(steps), np.zeros(steps)
    for i, number in enumerate(at):
        sound = sounds[number]
        for short, value in sound.phoneme.shape.items():
            for name in SHAPES[short]:
                track[i, INDEX[name]] = min(1.0, value * (1.18 if sound.stressed else 0.92))
        shut[i] = "press" in sound.phoneme.shape
        quiet[i] = sound.name == "_"
    smooth = gaussian_filter1d(track, 0.030 * _FINE, axis=0, mode="nearest")
    # Lips that must meet do meet: the neighbours' opening is held back around the closure.
    met = np.clip(gaussian_filter1d(shut, 0.014 * _FINE, mode="nearest") * 1.5, 0, 1)
    rest = np.clip(gaussian_filter1d(quiet, 0.022 * _FINE, mode="nearest") * 1.25 - 0.15, 0, 1)
    opening = [INDEX[n] for n in ("jawOpen", "mouthFunnel", "mouthUpperUpLeft", "mouthUpperUpRight")]
    opening += [INDEX[n] for n in ("mouthLowerDownLeft", "mouthLowerDownRight")]
    smooth[:, opening] *= ((1 - met) * (1 - rest))[:, None]
    others = np.setdiff1d(np.arange(len(INDEX)), opening)
    smooth[:, others] *= (1 - rest)[:, None]
    middle = (np.arange(frames) + 0.5) / FPS
    return np.stack([np.interp(middle, time, column) for column in smooth.T], 1)


def plan_blinks(seconds: float, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Return blinks of 0.15 to 0.25 s, 2 to 4.5 s apart, the first one early."""
    out, now = [], float(rng.uniform(0.40, 0.60)) if seconds < 3 else float(rng.uniform(0.6, 1.8))
    while now + 0.25 < seconds:
        length = float(rng.uniform(0.15, 0.25))
        out.append((now, now + length))
        now += length + float(rng.uniform(2.0, 4.5))
    return tuple(out)


def blink_curve(blinks: Sequence[tuple[float, float]], frames: int) -> Field:
    """Return how shut the eyes are [T]: fast down, a moment shut, slower up."""
    time = (np.arange(frames) + 0.5) / FPS
    curve = np.zeros(frames)
    for start, stop in blinks:
        t = (time - start) / (stop - start)
        curve = np.maximum(curve, np.interp(t, [0, 0.30, 0.52, 1.0], [0, 1, 1, 0], left=0, right=0))
    return curve


def _wander(frames: int, seconds: float, rng: np.random.Generator) -> Field:
    """Return slow motion [T] of about unit deviation; ``seconds`` is how long a swing takes to be forgotten."""
    from scipy.ndimage import gaussian_filter1d

    sigma = seconds * FPS
    pad = int(4 * sigma)
    field = gaussian_filter1d(rng.standard_normal(frames + 2 * pad), sigma)[pad : pad + frames]
    return np.asarray(field * np.sqrt(2 * np.sqrt(np.pi) * sigma))


def perform(sounds: Sequence[Sound], frames: int, seed: int) -> Motion:
    """Return the performance of ``sounds`` over ``frames``; the same seed gives the same motion."""
    from scipy.ndimage import gaussian_filter1d

    # Nods are drawn apart from the rest, so that other words leave blinks, gaze and the head's path as they are.
    rng, nods = np.random.default_rng([67, seed]), np.random.default_rng([68, seed])
    seconds = frames / FPS
    time = (np.arange(frames) + 0.5) / FPS
    c = lips(sounds, frames)
    stress = np.zeros(frames)
    for sound in sounds:
        if sound.stressed and sound.phoneme.kind == "vowel":
            stress += np.exp(-0.5 * ((time - sound.start) / 0.10) ** 2) * nods.uniform(0, 1) ** 2
    stress = np.clip(stress, 0, 1)

    blinks = plan_blinks(seconds, rng)
    closing = blink_curve(blinks, frames)
    raised = np.clip(0.55 * stress + 0.18 * np.clip(_wander(frames, 0.8, rng), 0, 2), 0, 0.9)
    lowered = np.clip(0.16 * _wander(frames, 1.2, rng), 0, 0.5) * (1 - raised)
    smile = np.clip(0.10 + 0.07 * _wander(frames, 1.5, rng), 0, 0.35)

    yaw = np.radians(12.0) * np.tanh(0.42 * _wander(frames, 0.55, rng))
    pitch = np.radians(4.0) * np.tanh(0.5 * _wander(frames, 0.50, rng)) + np.radians(1.6) * gaussian_filter1d(
        stress, 2.0
    )
    roll = np.radians(3.0) * np.tanh(0.5 * _wander(frames, 0.70, rng))
    euler = np.stack([pitch, yaw, roll], -1)
    shift = np.stack([_wander(frames, 0.9, rng) * s for s in (0.0022, 0.0012, 0.0030)], -1)
    trans = shift + np.array([0.0, LIFT, -DISTANCE]) + _PIVOT - (rotation(euler) @ _PIVOT)

    # The eyes hold the camera while the head turns, and now and then glance aside.
    glance_x, glance_y = np.zeros(frames), np.zeros(frames)
    now = 0.0
    while now < seconds:
        hold = float(rng.uniform(0.5, 1.8))
        inside = (time >= now) & (time < now + hold)
        glance_x[inside], glance_y[inside] = rng.normal(0, 0.05), rng.normal(0, 0.025)
        now += hold
    look_x = (-0.85 * yaw + gaussian_filter1d(glance_x, 0.6)) / GAZE
    look_y = (0.70 * pitch + gaussian_filter1d(glance_y, 0.6)) / GAZE
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        c[:, INDEX[f"eyeLookOut{side}"]] = np.clip(sign * look_x, 0, 1)
        c[:, INDEX[f"eyeLookIn{side}"]] = np.clip(-sign * look_x, 0, 1)
        c[:, INDEX[f"eyeLookUp{side}"]] = np.clip(look_y, 0, 1) * (1 - closing)
        c[:, INDEX[f"eyeLookDown{side}"]] = np.clip(-look_y, 0, 1) * (1 - closing)
        c[:, INDEX[f"eyeBlink{side}"]] = closing
        c[:, INDEX[f"eyeWide{side}"]] = 0.35 * raised * (1 - closing)
        c[:, INDEX[f"eyeSquint{side}"]] = 0.5 * smile * (1 - closing)
        c[:, INDEX[f"browOuterUp{side}"]] = 0.8 * raised
        c[:, INDEX[f"browDown{side}"]] = lowered
        c[:, INDEX[f"mouthSmile{side}"]] += smile
        c[:, INDEX[f"cheekSquint{side}"]] = 0.6 * smile
    c[:, INDEX["browInnerUp"]] = raised
    c = np.clip(c, 0, 1)
    c[:, -1] = 0.0

    sway = np.stack([_wander(frames, 1.6, rng) * s for s in (0.0012, 0.0008, 0.0015)], -1)
    breath = 0.0009 * np.sin(2 * np.pi * time / 3.6 + rng.uniform(0, 6.28))
    torso_trans = sway + 0.35 * shift + np.array([0.0, LIFT, -DISTANCE])
    torso_trans[:, 1] += breath
    torso_euler = np.stack([0 * yaw, 0.10 * gaussian_filter1d(yaw, 6.0), 0.15 * gaussian_filter1d(roll, 6.0)], -1)
    # The files hold float32: the truth is what they say.
    euler, trans_mm = euler.astype(np.float32).astype(float), (trans * 1000).astype(np.float32).astype(float)
    return Motion(c, euler, trans_mm / 1000.0, torso_euler, torso_trans, blinks)
