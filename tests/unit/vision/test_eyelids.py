"""Eyelid closure against curves that are known: drawn eyes, and the built-in subject's own blinks."""

from __future__ import annotations

import numpy as np
import pytest

from synctalk_bench.subjects.synthetic.configs import SyntheticConfig
from synctalk_bench.subjects.synthetic.source import GroundTruth, ground_truth
from synctalk_bench.vision.eyelids import SHUT_SHARE, aspect_ratio, closure

FPS = 25.0


def test_ratio_is_height_over_width_in_any_pose_of_the_picture() -> None:
    marks = np.zeros((1, 68, 2))
    marks[0, 36:42] = [(0, 0), (1, 1), (3, 1), (4, 0), (3, -1), (1, -1)]  # 2 high, 4 wide
    marks[0, 42:48] = [(0, 0), (1, 0.5), (3, 0.5), (4, 0), (3, -0.5), (1, -0.5)]
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    for points in (marks, 7 * marks @ turn + 30):
        np.testing.assert_allclose(aspect_ratio(points), [[0.5, 0.25]], atol=1e-12)


def blinking(depth: float, drift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Ten seconds of an eye that opens to 0.3: the ratio [T, 2] and how closed it is [T]."""
    t = np.arange(250) / FPS
    closed = sum(np.exp(-(((t - at) / 0.06) ** 2)) for at in (1.2, 3.9, 6.0, 8.4))
    wide = 0.3 * (1 + drift * np.sin(2 * np.pi * t / 8))
    noise = np.random.default_rng(0).normal(0, 0.004, (250, 2))
    return (wide * (1 - depth * closed))[:, None] + noise, closed


@pytest.mark.parametrize("depth", [0.45, 0.85])  # how far a detector follows a lid differs
@pytest.mark.parametrize("drift", [0.0, 0.12])
def test_weak_and_strong_detectors_give_the_same_closure(depth: float, drift: float) -> None:
    ratio, truth = blinking(depth, drift)
    found, blinks = closure(ratio, FPS)
    assert blinks == [4, 4] and found.min() >= 0 and found.max() <= 1
    assert np.abs(found.mean(1) - truth).mean() < 0.06
    assert found[truth > 0.99].min() > 0.8 and np.median(found[truth < 0.01]) < 0.08


def test_a_clip_without_blinks_says_so_and_stays_open() -> None:
    ratio = 0.3 + np.random.default_rng(0).normal(0, 0.006, (100, 2))
    found, blinks = closure(ratio, FPS)
    assert blinks == [0, 0] and found.max() < 0.2
    ratio[40:44] *= 0.8  # a squint is no blink: measured against the usual shut eye
    found, blinks = closure(ratio, FPS)
    assert blinks == [0, 0]
    assert found[40:44].mean() == pytest.approx(0.2 / (1 - SHUT_SHARE), abs=0.05)
    assert closure(ratio[:2], FPS)[0].shape == (2, 2)


@pytest.fixture(scope="module")
def person() -> GroundTruth:
    return ground_truth(SyntheticConfig(seconds=6, size=512))


def test_it_follows_the_built_in_subject_s_blinks(person: GroundTruth) -> None:
    marks = np.stack([person.landmarks(k) for k in range(person.frames)])
    truth = person.motion.coefficients[:, 8:10].mean(1)
    found, blinks = closure(aspect_ratio(marks + np.random.default_rng(0).normal(0, 0.5, marks.shape)), FPS)
    assert np.corrcoef(found.mean(1), truth)[0, 1] > 0.9
    assert blinks == [len(person.motion.blinks)] * 2
