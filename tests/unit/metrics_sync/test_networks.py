"""SyncNet and S3FD: names, shapes, sizes, loading, and that running over a clip equals cutting it into windows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.metrics.sync.network import SyncNet, load_syncnet
from synctalk_bench.metrics.sync.s3fd import S3FD, load_s3fd


@pytest.fixture(scope="module")
def syncnet() -> SyncNet:
    torch.manual_seed(0)
    return SyncNet().eval()


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}


def test_syncnet_has_the_published_tensors(syncnet: SyncNet) -> None:
    """Metrics spec 9.2: 13,631,616 parameters; 88 tensors of 54,561,024 bytes; these layers under these numbers."""
    stored = weights(syncnet)
    assert sum(p.numel() for p in syncnet.parameters()) == 13_631_616
    assert len(stored) == 88
    assert sum(v.numel() * v.element_size() for v in stored.values()) == 54_561_024
    shapes = {k: tuple(v.shape) for k, v in stored.items()}
    for place, shape in {
        "netcnnaud.0": (64, 1, 3, 3),
        "netcnnaud.4": (192, 64, 3, 3),
        "netcnnaud.8": (384, 192, 3, 3),
        "netcnnaud.11": (256, 384, 3, 3),
        "netcnnaud.14": (256, 256, 3, 3),
        "netcnnaud.18": (512, 256, 5, 4),
        "netcnnlip.0": (96, 3, 5, 7, 7),
        "netcnnlip.4": (256, 96, 1, 5, 5),
        "netcnnlip.8": (256, 256, 1, 3, 3),
        "netcnnlip.14": (256, 256, 1, 3, 3),
        "netcnnlip.18": (512, 256, 1, 6, 6),
        "netfcaud.0": (512, 512),
        "netfclip.3": (1024, 512),
    }.items():
        assert shapes[f"{place}.weight"] == shape
        assert shapes[f"{place}.bias"] == shape[:1]
    assert shapes["netcnnlip.19.running_var"] == (512,)
    assert shapes["netfcaud.1.running_mean"] == (512,)


def test_a_clip_at_once_equals_its_windows(syncnet: SyncNet) -> None:
    frames = torch.rand(7, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        whole = syncnet.lips(frames)
        cut = torch.cat([syncnet.lips(frames[k : k + 5]) for k in range(3)])
        heard = syncnet.sound(torch.randn(2, 1, 13, 20))
    assert whole.shape == (3, 1024)
    assert heard.shape == (2, 1024)
    assert torch.allclose(whole, cut, atol=1e-5)
    assert not torch.allclose(whole[0], whole[1], atol=1e-4)


def test_loading_takes_the_file_without_step_counters(syncnet: SyncNet, tmp_path: Path) -> None:
    torch.save(weights(syncnet), tmp_path / "syncnet_v2.model")
    before = torch.random.get_rng_state()
    loaded = load_syncnet(tmp_path / "syncnet_v2.model", "cpu")
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(weights(loaded).values(), weights(syncnet).values(), strict=True))
    assert not loaded.training


def test_a_wrong_or_truncated_file_is_named(syncnet: SyncNet, tmp_path: Path) -> None:
    whole = tmp_path / "whole.model"
    torch.save(weights(syncnet), whole)
    cut = tmp_path / "cut.model"
    cut.write_bytes(whole.read_bytes()[:824_000])
    with pytest.raises(AssetMismatch, match="cannot be read as SyncNet v2"):
        load_syncnet(cut, "cpu")
    (tmp_path / "page.model").write_text("<html>404</html>")
    with pytest.raises(AssetMismatch, match="cannot be read"):
        load_syncnet(tmp_path / "page.model", "cpu")
    torch.save(weights(syncnet) | {"netfclip.3.weight": torch.zeros(256, 512)}, whole)
    with pytest.raises(AssetMismatch, match=r"1 tensors differ.*netfclip.3.weight \(256, 512\)"):
        load_syncnet(whole, "cpu")
    with pytest.raises(AssetMismatch, match="is not S3FD"):
        load_s3fd(whole, "cpu")


def test_s3fd_has_the_published_tensors() -> None:
    """As in sfd_face.pth: 65 tensors, 22.5 million numbers."""
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in S3FD().state_dict().items()}
    assert len(shapes) == 65
    assert shapes["vgg.0.weight"] == (64, 3, 3, 3)
    assert shapes["vgg.28.weight"] == (512, 512, 3, 3)
    assert shapes["vgg.31.weight"] == (1024, 512, 3, 3)
    assert shapes["vgg.33.weight"] == (1024, 1024, 1, 1)
    assert shapes["L2Norm4_3.weight"] == (512,)
    assert shapes["extras.3.weight"] == (256, 128, 3, 3)
    assert shapes["conf.0.weight"] == (4, 256, 3, 3)
    assert shapes["conf.5.weight"] == (2, 256, 3, 3)
    assert shapes["loc.3.weight"] == (4, 1024, 3, 3)


def test_s3fd_anchors() -> None:
    """With its heads silenced it answers with its anchors: squares of four strides about the cells' centres."""
    torch.manual_seed(0)
    model = S3FD().eval()
    for layer in model.loc:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    with torch.inference_mode():
        boxes, faces = model(torch.rand(1, 3, 64, 96))
    assert boxes.shape[1] == faces.shape[1] == 16 * 24 + 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2 + 1
    assert boxes[0, 0].tolist() == [2 - 8, 2 - 8, 2 + 8, 2 + 8]
    assert boxes[0, 25].tolist() == [6 - 8, 6 - 8, 6 + 8, 6 + 8]
    assert boxes[0, 16 * 24].tolist() == [4 - 16, 4 - 16, 4 + 16, 4 + 16]
    assert boxes[0, -1].tolist() == [64 - 256, 64 - 256, 64 + 256, 64 + 256]
    assert bool(((faces > 0) & (faces < 1)).all())
