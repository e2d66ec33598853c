"""The helper that numerical tests lean on: what it lets pass and what it says."""

from __future__ import annotations

import pytest
import torch

from synctalk_bench.testing.close import assert_close

NAN, INF = float("nan"), float("inf")


def test_lets_pass_what_is_allowed() -> None:
    a = torch.tensor([1.0, 100.0])
    assert_close(a, a + torch.tensor([0.0009, 0.05]), atol=1e-3, rtol=1e-3)
    assert_close(a[:0], a[:0], atol=0)
    assert_close(torch.tensor([INF, -INF]), torch.tensor([INF, -INF]), atol=0)
    assert_close(torch.tensor([3]), torch.tensor([3]), atol=0)


def test_report_names_the_worst_element() -> None:
    a, b = torch.zeros(2, 3), torch.zeros(2, 3)
    a[1, 2], a[0, 1] = 0.5, 0.2
    b[0, 0] = a[0, 0] = 1.0
    with pytest.raises(AssertionError) as caught:
        assert_close(a, b, atol=0.1, name="depth")
    text = str(caught.value)
    assert text.startswith("depth: 2 of 6 elements")
    assert "worst at [1, 2]: 0.5, expected 0, off by 0.5 where 0.1 is allowed" in text
    assert f"relative error {(0.5**2 + 0.2**2) ** 0.5:.3g}" in text


@pytest.mark.parametrize(
    ("actual", "expected", "text"),
    [
        ([NAN], [NAN], "1 of 1 elements of the actual side are NaN"),
        ([1.0], [NAN], "expected side are NaN"),
        ([INF], [1.0], "worst at"),
        ([1.0], [INF], "worst at"),
        ([INF], [-INF], "worst at"),
        ([1.0, 2.0], [1.0], r"shape \(2,\), expected \(1,\)"),
    ],
)
def test_refused(actual: list[float], expected: list[float], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        assert_close(torch.tensor(actual), torch.tensor(expected), atol=1e9, rtol=0.1)


def test_types_must_agree() -> None:
    with pytest.raises(AssertionError, match=r"torch\.float64, expected torch\.float32"):
        assert_close(torch.zeros(1).double(), torch.zeros(1), atol=1)
