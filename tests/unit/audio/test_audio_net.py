"""Every encoder's block [W, D] finds its network in the renderer (spec C.5, C.6)."""

from __future__ import annotations

import pytest
import torch
from synctalk_renderers.triplane.audio_net import AudioAttNet, ConvAudioNet, LinearAudioNet, audio_net, window

BLOCKS = {"ave": (1, 512), "hubert": (2, 1024), "hubert-base": (2, 768), "deepspeech": (16, 29), "mel": (16, 80)}


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", BLOCKS)
def test_a_window_becomes_one_code(name: str) -> None:
    rows, features = BLOCKS[name]
    torch.manual_seed(0)
    net, attention = audio_net((rows, features)), AudioAttNet()
    assert isinstance(net, LinearAudioNet if rows == 1 else ConvAudioNet)
    track = torch.randn(20, rows, features)
    codes = net(window(track, 10, 0, 20))
    assert codes.shape == (8, 32) and attention(codes).shape == (1, 32)
    other = track.clone()
    other[9, -1, -1] += 5.0
    assert not torch.equal(net(window(other, 10, 0, 20)), codes), "the last value of a block counts too"


def test_time_is_halved_four_times() -> None:
    """DeepSpeech 16, 8, 4, 2, 1; HuBERT 2, 1, 1, 1, 1."""
    for rows, lengths in ((16, [8, 4, 2, 1]), (2, [1, 1, 1, 1])):
        x, seen = torch.zeros(1, 29, rows), []
        for layer in ConvAudioNet(29).encoder_conv:
            x = layer(x)
            seen.append(x.shape[-1])
        assert seen[::2] == lengths


def test_published_sizes() -> None:
    """ER-NeRF's heads differ by this network alone: 683 509 values with HuBERT, 587 989 with DeepSpeech."""
    assert parameters(audio_net((2, 1024))) - parameters(audio_net((16, 29))) == 683_509 - 587_989
    assert parameters(audio_net((16, 29))) == 30_720 and parameters(audio_net((1, 512))) == 168_352


def test_context_outside_the_sound_is_zero() -> None:
    """Rows f-4 ... f+3; those outside the list are raw zeros (spec C.4)."""
    track = torch.arange(1.0, 11.0)[:, None, None]
    assert window(track, 1, 0, 10)[:, 0, 0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert window(track, 9, 0, 10)[:, 0, 0].tolist() == [6, 7, 8, 9, 10, 0, 0, 0]
    assert window(track, 8, 7, 10)[:, 0, 0].tolist() == [0, 0, 0, 8, 9, 10, 0, 0]
