"""MFCC against python_speech_features 0.6 (numbers written down) and against the definition computed with loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from synctalk_bench.mfcc import mfcc

# python_speech_features.mfcc(chirp(), 16000): rows 0, 7, 33 (silence) and 48 (its end is padding)
PUBLISHED = {
    0: "19.26693 -19.96971 12.38856 11.51046 11.175 15.45841 6.07787 -0.83872 -9.16591 -17.64272 -16.8615 -7.34568 "
    "-14.37812",
    7: "19.30558 -19.77694 10.68771 10.34267 11.57325 9.29343 -0.318 -15.92905 -19.7133 -22.56565 -17.98997 -15.98257 "
    "-22.37708",
    33: "-36.04365 0 0 0 0 0 0 0 0 0 0 0 0",
    48: "19.54934 -15.11578 6.04939 -17.1013 -27.29916 -29.6775 -13.88642 9.12755 17.3895 20.66342 9.85047 3.45592 "
    "-3.20129",
}


def chirp() -> np.ndarray:
    noise = np.random.default_rng(5).normal(0, 800, 8000)
    t = np.arange(8000) / 16000
    samples = (6000 * np.sin(2 * np.pi * (150 + 400 * t) * t) + noise).round().astype(np.int16)
    samples[5000:6000] = 0
    return samples


def test_equals_python_speech_features() -> None:
    cepstra = mfcc(chirp())
    assert cepstra.shape == (49, 13)
    for row, values in PUBLISHED.items():
        assert cepstra[row] == pytest.approx([float(v) for v in values.split()], abs=1e-5)


def test_scale_of_the_samples_shows_in_the_energy_only() -> None:
    quiet, loud = mfcc(chirp() // 2 * 2 // 2), mfcc(chirp() // 2 * 2)
    assert loud[:25, 0] - quiet[:25, 0] == pytest.approx(np.full(25, np.log(4)), abs=1e-9)
    assert loud[:25, 1:] == pytest.approx(quiet[:25, 1:], abs=1e-8)


@pytest.mark.parametrize(("samples", "rows"), [(1, 1), (400, 1), (401, 2), (560, 2), (640 * 10, 39)])
def test_number_of_rows(samples: int, rows: int) -> None:
    assert len(mfcc(np.ones(samples, np.int16))) == rows


def test_one_frame_from_the_definition() -> None:
    """Filters, cosine transform and lifter written out with loops."""
    samples = chirp()
    wave = [float(samples[0])] + [float(b) - 0.97 * float(a) for a, b in itertools.pairwise(samples)]
    frame = np.array(wave[160 * 3 : 160 * 3 + 400])
    power = np.abs(np.fft.fft(frame, 512)[:257]) ** 2 / 512
    top = 2595 * np.log10(1 + 8000 / 700)
    corners = [int(513 * 700 * (10 ** (top * i / 27 / 2595) - 1) / 16000) for i in range(28)]
    logs = []
    for low, mid, high in zip(corners, corners[1:], corners[2:], strict=False):
        total = sum(power[b] * (b - low) / (mid - low) for b in range(low, mid))
        total += sum(power[b] * (high - b) / (high - mid) for b in range(mid, high))
        logs.append(np.log(total))
    expected = [np.log(power.sum())]
    for k in range(1, 13):
        value = np.sqrt(2 / 26) * sum(x * np.cos(np.pi * k * (2 * n + 1) / 52) for n, x in enumerate(logs))
        expected.append(value * (1 + 11 * np.sin(np.pi * k / 22)))
    assert mfcc(samples)[3] == pytest.approx(expected, abs=1e-9)
