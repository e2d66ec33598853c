"""People whose lips can be computed with: a grey face whose mouth is as tall as the sound is loud."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from synctalk_bench.pretrain.clips import TalkingClip, encode, make_clip

Speaks = Callable[..., TalkingClip]


def speaking(identity: str, seed: int, frames: int = 40) -> TalkingClip:
    """Return a clip of noise in syllables, whose mouth opens with its loudness."""
    rng = np.random.default_rng(seed)
    loud = np.clip(np.convolve(rng.random(frames + 8), np.ones(3) / 3, "same")[4:-4] * 2 - 0.5, 0, 1)
    wave = np.repeat(loud, 640) * rng.standard_normal(frames * 640) * 0.2
    pictures = []
    for k in range(frames):
        face = np.full((96, 96, 3), 120 + 10 * (seed % 5), np.uint8)
        tall = round(2 + 20 * loud[k])
        face[72 - tall // 2 : 72 + tall // 2, 30:66] = 20
        pictures.append(encode(face))
    return make_clip(f"{identity}-{seed}", identity, pictures, wave.astype(np.float32))


@pytest.fixture
def speaks() -> Speaks:
    """Give the function that makes such people."""
    return speaking
