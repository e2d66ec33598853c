"""Shapes of both networks, block by block."""

from __future__ import annotations

import pytest
import torch
from synctalk_audio_encoders.ave import AveNetwork
from synctalk_audio_encoders.pretrain.networks import FaceGenerator, SyncNetwork

from synctalk_bench.errors import AssetMismatch


def test_discriminator() -> None:
    network = SyncNetwork(width=4).eval()
    x, sizes = torch.rand(2, 15, 48, 96), []
    with torch.no_grad():
        for block in network.face:
            x = block(x)
            sizes.append(tuple(x.shape[1:]))
        faces, sounds = network(torch.rand(2, 15, 48, 96), torch.rand(2, 1, 80, 16))
    assert sizes[0] == (4, 48, 96)
    assert list(dict.fromkeys(size[1:] for size in sizes)) == [
        (48, 96), (46, 47), (23, 24), (12, 12), (6, 6), (3, 3), (1, 1),
    ]  # fmt: skip
    assert faces.shape == sounds.shape == (2, 512)
    assert (faces >= 0).all()
    assert (sounds >= 0).all()  # cosines are probabilities only then


def test_wav2lip_width() -> None:
    """Channels as in Wav2Lip's lip-sync expert; the audio tower is the encoder of spec C.1.2."""
    network = SyncNetwork()
    assert [network.face[n].conv_block[0].out_channels for n in (0, 1, 4, 8, 11, 14)] == [32, 64, 128, 256, 512, 512]
    assert sum(p.numel() for p in network.audio.parameters()) == 2_812_672


def test_generator() -> None:
    network = FaceGenerator(width=4).eval()
    with torch.no_grad():
        painted = network(torch.rand(2, 1, 80, 16), torch.rand(2, 6, 96, 96))
    assert painted.shape == (2, 3, 96, 96)
    assert 0 <= painted.min() <= painted.max() <= 1
    assert network.audio.state_dict().keys() == AveNetwork().state_dict().keys()  # the official names


def test_generator_hears() -> None:
    network = FaceGenerator(width=4).eval()
    face = torch.rand(1, 6, 96, 96)
    with torch.no_grad():
        assert not torch.equal(network(torch.zeros(1, 1, 80, 16), face), network(torch.ones(1, 1, 80, 16), face))


def test_damaged_weights_are_refused(tmp_path: object) -> None:
    from pathlib import Path

    from synctalk_audio_encoders.ave import load_network

    file = Path(str(tmp_path)) / "encoder.safetensors"
    file.write_bytes((300).to_bytes(8, "little") + b"{" + b"x" * 50)
    with pytest.raises(AssetMismatch, match="not a file of weights"):
        load_network(file)
