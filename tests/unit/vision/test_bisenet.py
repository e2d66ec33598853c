"""BiSeNet by the key layout of 79999_iter.pth: seeded weights, the published shapes, torchvision's ResNet-18."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.prepare.layers import parsing_picture
from synctalk_bench.vision.bisenet import BiSeNet, label, load_bisenet

# Shapes of spec B.3, written down apart from the module.
SHAPES = {
    "cp.resnet.conv1.weight": (64, 3, 7, 7),
    "cp.resnet.layer1.0.conv1.weight": (64, 64, 3, 3),
    "cp.resnet.layer2.0.downsample.0.weight": (128, 64, 1, 1),
    "cp.resnet.layer2.0.downsample.1.running_var": (128,),
    "cp.resnet.layer4.1.bn2.bias": (512,),
    "cp.arm16.conv.conv.weight": (128, 256, 3, 3),
    "cp.arm16.conv_atten.weight": (128, 128, 1, 1),
    "cp.arm32.conv.conv.weight": (128, 512, 3, 3),
    "cp.arm32.bn_atten.running_mean": (128,),
    "cp.conv_head32.conv.weight": (128, 128, 3, 3),
    "cp.conv_head16.bn.weight": (128,),
    "cp.conv_avg.conv.weight": (128, 512, 1, 1),
    "ffm.convblk.conv.weight": (256, 256, 1, 1),
    "ffm.conv1.weight": (64, 256, 1, 1),
    "ffm.conv2.weight": (256, 64, 1, 1),
    "conv_out.conv.conv.weight": (256, 256, 3, 3),
    "conv_out.conv_out.weight": (19, 256, 1, 1),
}


def seeded() -> dict[str, torch.Tensor]:
    """Weights of every tensor, small enough for activations to stay finite, and the file's two auxiliary heads."""
    torch.manual_seed(0)
    state = {name: value.clone() for name, value in BiSeNet().state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    for name, value in state.items():
        if name.endswith(("running_mean", "bn.bias", "bn1.bias", "bn2.bias")):
            state[name] = 0.1 * torch.randn(value.shape, generator=generator)
        elif name.endswith("running_var"):
            state[name] = 0.5 + torch.rand(value.shape, generator=generator)
    for head in ("conv_out16", "conv_out32"):
        state[f"{head}.conv.conv.weight"] = torch.zeros(64, 128, 3, 3)
        state[f"{head}.conv_out.weight"] = torch.zeros(19, 64, 1, 1)
    return state


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "79999_iter.pth"
    torch.save(seeded(), path)
    return path


def test_keys_and_shapes_are_the_file_s(weights: Path) -> None:
    state = load_bisenet(weights).state_dict()
    for name, shape in SHAPES.items():
        assert tuple(state[name].shape) == shape, name
    assert not [name for name in state if name.endswith("conv.bias")], "its convolutions have no bias"
    # 18 in the trunk's blocks, its stem, three shortcuts; ten in the arms and the context; three and two in the heads.
    convolutions = [name for name, value in state.items() if value.ndim == 4]
    assert len(convolutions) == 20 + 7 + 3 + 2


def test_trunk_is_torchvision_s_resnet18(weights: Path) -> None:
    from torchvision.models import resnet18

    other = resnet18(weights=None).eval()
    prefix = "cp.resnet."
    state = {name.removeprefix(prefix): v for name, v in torch.load(weights).items() if name.startswith(prefix)}
    assert set(other.load_state_dict(state, strict=False).missing_keys) == {"fc.weight", "fc.bias"}
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        ours = load_bisenet(weights).cp.resnet(x)
        y = other.layer2(other.layer1(other.maxpool(functional.relu(other.bn1(other.conv1(x))))))
        torch.testing.assert_close(ours[0], y)
        torch.testing.assert_close(ours[2], other.layer4(other.layer3(y)))


def test_heads_do_what_the_specification_says(weights: Path) -> None:
    """Everything behind the trunk once more, by plain functions of the file's tensors."""
    w = torch.load(weights)
    network = load_bisenet(weights)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))

    def norm(v: torch.Tensor, name: str) -> torch.Tensor:
        names = (f"{name}.running_mean", f"{name}.running_var", f"{name}.weight", f"{name}.bias")
        return functional.batch_norm(v, *(w[n] for n in names))

    def block(v: torch.Tensor, name: str) -> torch.Tensor:
        kernel = w[f"{name}.conv.weight"]
        return norm(functional.conv2d(v, kernel, padding=kernel.shape[2] // 2), f"{name}.bn").relu()

    def arm(v: torch.Tensor, name: str) -> torch.Tensor:
        v = block(v, f"{name}.conv")
        gate = functional.conv2d(functional.adaptive_avg_pool2d(v, 1), w[f"{name}.conv_atten.weight"])
        return v * norm(gate, f"{name}.bn_atten").sigmoid()

    def twice(v: torch.Tensor) -> torch.Tensor:
        return v.repeat_interleave(2, 2).repeat_interleave(2, 3)

    with torch.no_grad():
        c3, c4, c5 = network.cp.resnet(x)
        top = arm(c5, "cp.arm32") + block(functional.adaptive_avg_pool2d(c5, 1), "cp.conv_avg")
        mid = arm(c4, "cp.arm16") + block(twice(top), "cp.conv_head32")
        fused = block(torch.cat([c3, block(twice(mid), "cp.conv_head16")], 1), "ffm.convblk")
        gate = functional.conv2d(functional.adaptive_avg_pool2d(fused, 1), w["ffm.conv1.weight"]).relu()
        fused = fused + fused * functional.conv2d(gate, w["ffm.conv2.weight"]).sigmoid()
        scores = functional.conv2d(block(fused, "conv_out.conv"), w["conv_out.conv_out.weight"])
        want = functional.interpolate(scores, scale_factor=8, mode="bilinear", align_corners=True)
        torch.testing.assert_close(network(x), want, rtol=1e-4, atol=1e-5)


def test_labels_are_those_of_the_best_score_and_get_the_official_colours(weights: Path, tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)
    ids = label(weights, frame)
    assert ids.shape == (96, 96) and ids.dtype == np.uint8 and ids.max() < 19
    np.testing.assert_array_equal(ids, label(weights, frame))
    # One class outscores all others everywhere: its id, and its colour of spec B.3, is the whole picture.
    for winner, colour in ((0, (255, 255, 255)), (14, (0, 255, 0)), (16, (255, 0, 0))):
        state = seeded()
        state["conv_out.conv_out.weight"] *= 0
        state["conv_out.conv_out.weight"][winner] = 1.0  # behind a ReLU, so its score is positive
        path = tmp_path / f"{winner}.pth"
        torch.save(state, path)
        ids = label(path, frame[:64, :64])
        assert (ids == winner).all()
        assert (parsing_picture(ids) == colour).all()


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    page = tmp_path / "page.pth"
    page.write_text("<html>")
    with pytest.raises(AssetMismatch, match=r"page\.pth is not a file of weights"):
        load_bisenet(page)
    state = seeded()
    del state["ffm.conv1.weight"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(AssetMismatch, match=r"ffm\.conv1\.weight"):
        load_bisenet(tmp_path / "part.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(AssetMismatch, match="holds a list"):
        load_bisenet(tmp_path / "list.pth")
