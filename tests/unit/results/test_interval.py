"""The block bootstrap: right for independent values, wider for correlated ones, silent where nothing can be said."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from synctalk_bench.results.interval import block_interval


def test_interval_of_independent_values_has_the_textbook_width() -> None:
    values = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    low, high = block_interval(values)
    assert abs((high - low) / (2 * 1.96 / np.sqrt(5000)) - 1) < 0.15
    assert low < values.mean() < high


def test_correlated_frames_make_it_wider() -> None:
    noise = np.random.default_rng(2).standard_normal(5000)
    smooth = np.convolve(noise, np.ones(25) / 5, "same").astype(np.float32)  # the same variance, one second long
    narrow, wide = (np.diff(block_interval(v))[0] for v in (noise.astype(np.float32), smooth))
    assert wide > 2.5 * narrow


def test_few_blocks_do_not_pass_for_many() -> None:
    """Differences like those between two trainings (lag-1 correlation 0.8), of mean 0, in a clip of 115 frames."""
    random, found = np.random.default_rng(4), []
    for _ in range(300):
        values = lfilter([0.6], [1, -0.8], random.standard_normal(415))[300:]
        low, high = block_interval(values)
        found.append(not low <= 0 <= high)
    assert np.mean(found) < 0.15  # as drawn, without the correction for few blocks: 0.4


def test_gaps_are_left_out_and_short_clips_say_nothing() -> None:
    values = np.full(200, 3.0, np.float32)
    values[::7] = np.nan
    assert block_interval(values) == (3.0, 3.0)
    assert np.isnan(block_interval(np.zeros(99, np.float32))).all()
    assert not np.isnan(block_interval(np.zeros(100, np.float32))).any()


def test_the_interval_of_a_short_clip_ends_where_its_values_do() -> None:
    """One frame of 112 at .2, the rest at 1: an SSIM of more than 1 must not be held possible."""
    values = np.ones(112, np.float32)
    values[77] = 0.2
    low, high = block_interval(values)
    assert 0.2 <= low < values.mean() < high <= 1
