"""Closeness with a report that says how far off, where, and by how much overall."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def assert_close(actual: Tensor, expected: Tensor, *, atol: float, rtol: float = 0.0, name: str = "value") -> None:
    """Raise AssertionError unless |actual - expected| <= atol + rtol * |expected| in every element.

    A NaN on either side is refused before anything is compared: two NaNs are not equal, they are two failures. The
    report gives the worst element, how many are out, and the relative error of the whole, ||a - e|| / ||e||.
    """
    import torch

    if actual.shape != expected.shape:
        raise AssertionError(f"{name}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}")
    if actual.dtype != expected.dtype:
        raise AssertionError(f"{name}: {actual.dtype}, expected {expected.dtype}")
    left, right = actual.detach().to("cpu", torch.float64), expected.detach().to("cpu", torch.float64)
    for side, values in (("actual", left), ("expected", right)):
        bad = int(values.isnan().sum())
        if bad:
            raise AssertionError(f"{name}: {bad} of {values.numel()} elements of the {side} side are NaN")
    if left.numel() == 0:
        return
    # An infinity equals only itself; the difference of two would be NaN.
    distance = torch.where(left == right, torch.zeros_like(left), (left - right).abs())
    # The allowance beside an infinite expected value is atol alone, or it would excuse everything.
    allowed = atol + rtol * torch.where(right.isinf(), torch.zeros_like(right), right.abs())
    excess = distance - allowed
    out = int((excess > 0).sum())
    if not out:
        return
    worst = int(excess.argmax())
    place = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), left.shape))
    scale = float(right[right.isfinite()].norm())
    overall = float(distance.norm()) / scale if scale else float("inf")
    raise AssertionError(
        f"{name}: {out} of {left.numel()} elements are further off than {atol:g} + {rtol:g} * |expected|\n"
        f"  worst at {list(place)}: {float(left.flatten()[worst]):.9g}, expected {float(right.flatten()[worst]):.9g}, "
        f"off by {float(distance.flatten()[worst]):.3g} where {float(allowed.flatten()[worst]):.3g} is allowed\n"
        f"  as a whole: relative error {overall:.3g}"
    )
