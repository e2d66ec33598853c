"""The log-mel front end against the vectors of spec M, computed there with librosa 0.11."""

from __future__ import annotations

import math

import pytest
import torch
from synctalk_audio_encoders.frontend import ave_rows, ave_starts, centred_starts, log_mel, mel_basis
from torch import Tensor

from synctalk_bench.errors import BadManifest, NoAudio, SubjectError, TooShort

PRINTED = 5.5e-7  # the vectors have six decimals; ours were off by at most 4.9e-7 from them


@pytest.fixture(scope="module")
def tones() -> Tensor:
    time = torch.arange(16_000, dtype=torch.float64) / 16_000
    return (0.5 * torch.sin(2 * math.pi * 440 * time) + 0.1 * torch.sin(2 * math.pi * 3000 * time)).float()


@pytest.mark.parametrize(
    ("padding", "mean", "edges"),
    [("zeros", -3.497182, (0.157437, -0.320019, 0.136621)), ("reflect", -3.500328, (-0.342285, -0.819251, -0.421442))],
)
def test_tones(tones: Tensor, padding: str, mean: float, edges: tuple[float, ...]) -> None:
    mel = log_mel(tones, 16_000, padding=padding)  # type: ignore[arg-type]
    assert mel.shape == (80, 81) and mel.dtype == torch.float32
    assert mel.double().mean().item() == pytest.approx(mean, abs=PRINTED)
    assert mel[54:56, 40].tolist() == pytest.approx([0.195140, 1.654746], abs=PRINTED)
    assert mel[14, 40] == -4
    assert mel[14, [0, 1, 80]].tolist() == pytest.approx(edges, abs=PRINTED)
    assert mel[:, 40].argmax() == 10


def test_padding_reaches_two_columns_at_each_end(tones: Tensor) -> None:
    zeros, reflect = log_mel(tones, 16_000), log_mel(tones, 16_000, padding="reflect")
    differ = (zeros != reflect).any(0).nonzero().flatten().tolist()
    assert differ == [0, 1, 79, 80]


def test_basis() -> None:
    basis = mel_basis()
    assert basis.shape == (80, 401)
    assert torch.equal(basis, basis.float().double()), "librosa's basis is float32"
    assert basis.sum().item() == pytest.approx(3.999498, abs=PRINTED)
    for row, first, last, largest in ((0, 3, 6, 0.02081245), (79, 353, 379, 0.00363534)):
        support = basis[row].nonzero().flatten()
        assert (support.min(), support.max()) == (first, last)
        assert basis[row].max().item() == pytest.approx(largest, abs=5.5e-9)


def test_silence_is_the_floor() -> None:
    assert (log_mel(torch.zeros(4000), 16_000) == -4).all()


@pytest.mark.parametrize("samples", [1, 199, 200, 399, 3000, 16_001])
def test_column_count(samples: int) -> None:
    assert log_mel(torch.zeros(samples), 16_000).shape == (80, 1 + samples // 200)


def test_window_starts() -> None:
    assert ave_starts(81)[:12] == [0, 3, 6, 9, 12, 16, 19, 22, 25, 28, 32, 35]
    assert len(ave_starts(81)) == ave_rows(81) == 22
    assert ave_starts(81)[-2:] == [64, 65], "the last window moves back to fit"
    assert ave_starts(16) == [0, 0]
    assert ave_rows(19_434) == 6070, "May"
    starts = ave_starts(19_434)
    assert all(start == min(16 * k // 5, 19_434 - 16) for k, start in enumerate(starts))


def test_centred_windows_are_ave_rows_after_padding() -> None:
    assert centred_starts(50, 25.0)[2:] == [16 * k // 5 for k in range(48)]
    assert centred_starts(3, 25.0) == [-7, -4, 0]


def test_pre_emphasis_is_first_order() -> None:
    """A click of 0.1 becomes the taps 0.1 and -0.097, whose spectrum is known."""
    impulse = torch.zeros(8000)
    impulse[4000] = 1.0
    spectrum = 10 ** ((log_mel(impulse * 1e-1, 16_000)[:, 20].double() + 4) * 100 / 8 / 20 - 100 / 20 + 20 / 20)
    centres = torch.arange(401, dtype=torch.float64) * 20
    response = (1 + 0.97**2 - 2 * 0.97 * torch.cos(2 * math.pi * centres / 16_000)).sqrt()
    # The Hann window is not quite flat between the taps; 2.1e-4 was the most seen, in the lowest band.
    assert torch.allclose(spectrum, 0.1 * mel_basis() @ response, rtol=2.2e-4)


@pytest.mark.parametrize(
    ("wave", "rate", "error", "text"),
    [
        (torch.zeros(0), 16_000, NoAudio, "no samples"),
        (torch.zeros(800), 44_100, SubjectError, "44100 Hz"),
        (torch.zeros(2, 800), 16_000, SubjectError, "mono"),
        (torch.full((16_000,), float("nan")), 16_000, BadManifest, "16000 samples .* not finite"),
    ],
)
def test_bad_sound(wave: Tensor, rate: int, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        log_mel(wave, rate)


def test_position_of_a_bad_sample_is_named() -> None:
    wave = torch.zeros(16_000)
    wave[8000] = float("inf")
    with pytest.raises(BadManifest, match=r"1 samples .* 0\.500 s"):
        log_mel(wave, 16_000)


def test_too_short() -> None:
    with pytest.raises(TooShort, match="400 samples"):
        log_mel(torch.zeros(400), 16_000, padding="reflect")
    with pytest.raises(TooShort, match="15 mel columns"):
        ave_rows(15)
