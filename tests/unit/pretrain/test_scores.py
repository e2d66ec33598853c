"""Accuracies on tables whose answers are known by hand."""

from __future__ import annotations

import math

import pytest
import torch
from synctalk_audio_encoders.pretrain.scores import (
    choice_accuracy,
    cross_similarity,
    offset_accuracy,
    offset_table,
    pair_accuracy,
    positive_loss,
    report,
    similarity,
    summary,
    sync_loss,
)
from torch import Tensor


def one_hot_rows(best: list[int], reach: int = 2) -> Tensor:
    """Return a table whose row i is highest at offset ``best[i]``."""
    table = torch.full((len(best), 2 * reach + 1), 0.1)
    for row, offset in enumerate(best):
        table[row, reach + offset] = 0.9
    return table


def test_similarity_is_the_cosine() -> None:
    a, b = torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0]])
    assert similarity(a, b).item() == pytest.approx(24 / 25)
    assert cross_similarity(a[None], b[None]).item() == pytest.approx(24 / 25)


def test_loss_is_binary_cross_entropy_with_even_weights() -> None:
    cosine = torch.tensor([0.8, 0.3, 0.6, 0.99])
    in_sync = torch.tensor([True, False, False, False])
    counted = torch.tensor([True, True, True, False])  # the last pair is too near to be called wrong
    expected = (-math.log(0.8) + (-math.log(0.7) - math.log(0.4)) / 2) / 2
    assert sync_loss(cosine, in_sync, counted).item() == pytest.approx(expected, abs=1e-6)
    assert positive_loss(torch.tensor([0.5, 0.25])).item() == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2)
    for hopeless in (torch.zeros(1), torch.ones(1)):  # logarithms of nothing must not end a training
        assert torch.isfinite(sync_loss(hopeless, torch.tensor([True]), torch.tensor([True])))
        assert torch.isfinite(sync_loss(hopeless, torch.tensor([False]), torch.tensor([True])))


def test_table_pairs_each_window_with_the_sounds_around_it() -> None:
    faces = torch.eye(7)
    table = offset_table(faces, faces, 2)
    assert table.shape == (3, 5)
    assert torch.equal(table, torch.tensor([[0.0, 0, 1, 0, 0]] * 3))
    late = torch.roll(faces, 1, 0)  # each sound comes one frame later
    assert torch.equal(offset_table(faces, late, 2)[:, 3], torch.ones(3))
    assert offset_table(faces[:4], faces[:4], 2).shape == (0, 5)


def test_offset_accuracy_counts_the_true_offset_alone() -> None:
    table = one_hot_rows([0, 0, 1, -1, 2, 0])
    assert offset_accuracy(table) == pytest.approx(3 / 6)
    assert offset_accuracy(table, tolerance=1) == pytest.approx(5 / 6)
    assert offset_accuracy(torch.full((4, 5), 0.3)) == 0  # a tie is a miss
    # Of neighbours' means, the first three rows agree on 0 and the last three on none.
    assert offset_accuracy(one_hot_rows([0, 0, 0, 2, 2, 2]), average=3) == pytest.approx(2 / 4)
    assert math.isnan(offset_accuracy(table, average=7))


def test_pair_and_choice_accuracy() -> None:
    table = torch.tensor([[0.6, 0.0, 0.9, 0.0, 0.2], [0.4, 0.0, 0.4, 0.0, 0.3]])
    # In sync: 0.9 is called rightly, 0.4 is not. Off by two: 0.6 is called wrongly, 0.2, 0.4 and 0.3 rightly.
    assert pair_accuracy(table, 2) == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert choice_accuracy(table, 2) == pytest.approx((1 + 1 + 0.5 + 1) / 4)


def test_report_weighs_windows_and_skips_short_clips() -> None:
    good, bad = one_hot_rows([0] * 30, reach=15), one_hot_rows([5] * 10, reach=15)
    found = report([good, bad, torch.zeros(0, 31)])
    assert found["windows"] == 40
    assert found["offset_accuracy_11"]["5"] == pytest.approx(30 / 40)
    assert found["offset_accuracy_11"]["15"] == pytest.approx(20 / 20)  # ten windows are too few for eleven
    assert found["pair_accuracy_5"] == pytest.approx((30 / 40 + 70 / 80) / 2)
    assert found["curve"]["5"] == pytest.approx((30 * 0.1 + 10 * 0.9) / 40)
    assert len(found["curve"]) == 31
    assert summary(found) == (
        "in or out of sync at 5 frames 81.2%, offset found among 11 75.0% (100.0% from 15 frames), 40 windows"
    )
    assert report([]) == {"windows": 0} and summary(report([])) == ""
