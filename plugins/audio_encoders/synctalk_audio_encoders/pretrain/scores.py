"""How well sounds are told to belong to pictures: Eq. 1 and 2 of the paper, and the accuracies on held-out people."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_EPS = 1e-6  # cosines of 0 and 1 have no logarithm of both sides
LENGTHS = (5, 7, 9, 11, 13, 15)  # frames of video behind one decision, as in the SyncNet paper's table


def similarity(faces: Tensor, sounds: Tensor) -> Tensor:
    """Return Eq. 1, the cosine of ``faces`` [..., D] and ``sounds`` [..., D], float32; in [0, 1] for features >= 0."""
    return torch.nn.functional.cosine_similarity(faces.float(), sounds.float(), dim=-1)


def cross_similarity(faces: Tensor, sounds: Tensor) -> Tensor:
    """Return Eq. 1 of every picture with every sound of its clip: [C, K, D] twice to [C, K, K] float32."""
    unit = torch.nn.functional.normalize
    return unit(faces.float(), dim=-1) @ unit(sounds.float(), dim=-1).transpose(-1, -2)


def sync_loss(cosine: Tensor, in_sync: Tensor, counted: Tensor) -> Tensor:
    """Return Eq. 2, binary cross-entropy of ``cosine`` as a probability; both kinds of pairs weigh one half.

    Args:
        cosine, in_sync, counted: of one shape; ``in_sync`` says which pairs belong together, and pairs that are not
            ``counted`` (too near to be called out of sync) have no part.
    """
    p = cosine.clamp(_EPS, 1 - _EPS)
    wrong = counted & ~in_sync
    positive = -(p.log() * in_sync).sum() / in_sync.sum().clamp(min=1)
    negative = -((1 - p).log() * wrong).sum() / wrong.sum().clamp(min=1)
    return (positive + negative) / 2


def positive_loss(cosine: Tensor) -> Tensor:
    """Return Eq. 2 for pairs that should be in sync."""
    return -cosine.clamp(_EPS, 1 - _EPS).log().mean()


def offset_table(faces: Tensor, sounds: Tensor, reach: int) -> Tensor:
    """Return the similarity of each window with the sounds around it: [n - 2 reach, 2 reach + 1].

    Row i is window i + reach of the clip, column j the sound that begins j - reach frames later. Windows without all
    these sounds are left out.

    Args:
        faces, sounds: [n, D] features of the clip's windows, one a frame.
    """
    rows = len(faces) - 2 * reach
    if rows <= 0:
        return faces.new_zeros((0, 2 * reach + 1))
    windows = sounds.unfold(0, 2 * reach + 1, 1).transpose(1, 2)  # [rows, 2 reach + 1, D]
    return similarity(faces[reach : reach + rows, None], windows)


def _margin(table: Tensor, tolerance: int) -> Tensor:
    """Return for each row how far the best right offset is above the best wrong one."""
    reach = table.shape[1] // 2
    right = torch.zeros(table.shape[1], dtype=torch.bool, device=table.device)
    right[reach - tolerance : reach + tolerance + 1] = True
    return table[:, right].amax(1) - table[:, ~right].amax(1)


def offset_accuracy(table: Tensor, *, tolerance: int = 0, average: int = 1) -> float:
    """Return the share of decisions that find the true offset: its similarity is above all others (a tie is a miss).

    Args:
        table: [n, 2 reach + 1] of one clip, from ``offset_table``.
        tolerance: offsets up to so many frames from the true one are right as well.
        average: neighbouring windows whose similarities are averaged before the decision.
    """
    if len(table) < average:
        return float("nan")
    smooth = table.unfold(0, average, 1).mean(-1)
    return float((_margin(smooth, tolerance) > 0).double().mean())


def pair_accuracy(table: Tensor, offset: int) -> float:
    """Return how often pairs are called rightly at the threshold 1/2: half of them in sync, half off by ``offset``.

    The out-of-sync half is equally many pairs with the sound ``offset`` frames early and late.
    """
    reach = table.shape[1] // 2
    hits = (table[:, reach] > 0.5).double().mean()
    misses = (table[:, [reach - offset, reach + offset]] < 0.5).double().mean()
    return float((hits + misses) / 2)


def choice_accuracy(table: Tensor, offset: int) -> float:
    """Return how often the true sound beats the one ``offset`` frames early or late; a tie counts half."""
    reach = table.shape[1] // 2
    wrong = table[:, [reach - offset, reach + offset]]
    true = table[:, [reach]]
    return float(((true > wrong).double() + 0.5 * (true == wrong).double()).mean())


def report(tables: list[Tensor]) -> dict[str, Any]:
    """Return every accuracy over the clips' ``tables`` (reach 15), all windows weighing alike, and the mean curve."""
    tables = [table for table in tables if len(table)]
    if not tables:
        return {"windows": 0}
    whole = torch.cat(tables)
    reach = whole.shape[1] // 2
    near = [table[:, reach - 5 : reach + 6] for table in tables]

    def found(parts: list[Tensor], tolerance: int, average: int) -> float:
        scores = [(offset_accuracy(p, tolerance=tolerance, average=average), len(p) - average + 1) for p in parts]
        counted = [(score, count) for score, count in scores if count > 0]
        return round(sum(s * c for s, c in counted) / max(1, sum(c for _, c in counted)), 4)

    return {
        "windows": len(whole),
        "pair_accuracy_5": round(pair_accuracy(whole, 5), 4),
        "choice_accuracy_5": round(choice_accuracy(whole, 5), 4),
        "offset_accuracy_11": {str(n): found(near, 0, n - 4) for n in LENGTHS},
        "offset_accuracy_11_within_1": {str(n): found(near, 1, n - 4) for n in LENGTHS},
        "offset_accuracy_31_within_1": {str(n): found(tables, 1, n - 4) for n in LENGTHS},
        "curve": {str(j - reach): round(float(value), 4) for j, value in enumerate(whole.mean(0))},
    }


def summary(found: dict[str, Any]) -> str:
    """Return a ``report`` in words; nothing where no window was long enough."""
    if not found["windows"]:
        return ""
    return (
        f"in or out of sync at 5 frames {found['pair_accuracy_5']:.1%}, "
        f"offset found among 11 {found['offset_accuracy_11']['5']:.1%} "
        f"({found['offset_accuracy_11']['15']:.1%} from 15 frames), {found['windows']} windows"
    )
