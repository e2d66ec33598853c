"""``mel``: which columns a frame gets."""

from __future__ import annotations

import pytest
import torch
from synctalk_audio_encoders.configs import MelConfig
from synctalk_audio_encoders.frontend import log_mel
from synctalk_audio_encoders.mel import MelWindows

from synctalk_bench.errors import WrongFps
from synctalk_bench.protocols import Context


@pytest.fixture(scope="module")
def encoder() -> MelWindows:
    return MelWindows(MelConfig(), Context())


def test_inside_the_sound_it_is_the_spectrogram(encoder: MelWindows) -> None:
    wave = torch.randn(16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    mel = log_mel(wave, 16_000)
    features = encoder.encode(wave, 16_000, fps=25.0, frames=25)
    assert features.shape == (25, 16, 80)
    assert torch.equal(features[2], mel[:, :16].T), "the first window that is whole"
    assert torch.equal(features[10], mel[:, 25:41].T)  # floor(3.2 * 10 - 6.4)


def test_a_click_is_in_the_middle_of_its_frame(encoder: MelWindows) -> None:
    """Frame 12 lasts 0.48 to 0.52 s; a click at 0.5 s is column 40, in the middle of 32 ... 47."""
    wave = torch.zeros(16_000)
    wave[8000] = 1.0
    features = encoder.encode(wave, 16_000, fps=25.0, frames=25)
    loudest = features[12].sum(1).argmax().item()
    assert loudest in (7, 8)
    energy = (features + 4).sum((1, 2))
    # The 0.2 s window is longer than a frame and columns 39 ... 41 hear the click: windows that begin at 24 ... 41.
    heard = energy.nonzero().flatten()
    assert (heard.min(), heard.max()) == (10, 15)


def test_outside_the_sound_is_silence(encoder: MelWindows) -> None:
    wave = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    features = encoder.encode(wave, 16_000, fps=25.0, frames=40)
    assert (features[0, :7] == -4).all() and (features[0, 7:] > -4).any()
    assert (features[20:] == -4).all()


def test_other_frame_rates(encoder: MelWindows) -> None:
    wave = torch.randn(16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    assert torch.equal(
        encoder.encode(wave, 16_000, fps=50.0, frames=40)[21], encoder.encode(wave, 16_000, fps=100.0, frames=80)[42]
    ), "frames whose middles fall into one column get one window"
    with pytest.raises(WrongFps):
        encoder.encode(wave, 16_000, fps=0.0, frames=4)
