"""Memory that nobody wrote is NaN inside the block and nowhere else."""

from __future__ import annotations

import pytest
import torch

from synctalk_bench.testing.poison import poisoned_empty


def test_every_way_to_allocate() -> None:
    like = torch.zeros(3)
    with poisoned_empty():
        memory = [torch.empty(3), torch.empty_like(like), torch.empty_strided((2, 2), (2, 1)), like.new_empty(4)]
        assert all(m.isnan().all() for m in memory)
        assert torch.empty(2, dtype=torch.float16).isnan().all()
        assert (torch.empty(2, dtype=torch.int32) == 2**31 - 1).all()
        assert torch.empty(2, dtype=torch.bool).all()
        assert torch.empty(2, device="meta").shape == (2,)
        assert torch.empty(2, requires_grad=True).requires_grad


def test_a_forgotten_element_shows() -> None:
    def forgets_the_last(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        out[:-1] = x[:-1]
        return out

    with poisoned_empty():
        assert forgets_the_last(torch.ones(5)).sum().isnan()


def test_functions_come_back_even_after_an_error() -> None:
    before = (torch.empty, torch.empty_like, torch.empty_strided, torch.Tensor.new_empty)
    with pytest.raises(RuntimeError, match="inside"), poisoned_empty():
        assert torch.empty is not before[0]
        raise RuntimeError("inside")
    assert (torch.empty, torch.empty_like, torch.empty_strided, torch.Tensor.new_empty) == before
