"""``ave``: the network's shape and names, the rows it gives, and what happens to files that are not it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from synctalk_audio_encoders.ave import AudioVisualEncoder, AveNetwork, ave_windows, load_network, seeded_network
from synctalk_audio_encoders.configs import AveConfig

from synctalk_bench.errors import AssetMismatch, MissingAsset, TooShort, WrongFps
from synctalk_bench.protocols import Context

SHAPES = [  # spec C.1.2
    *[(32, 80, 16)] * 3,
    *[(64, 27, 16)] * 3,
    *[(128, 9, 6)] * 3,
    *[(256, 3, 3)] * 2,
    *[(512, 1, 1)] * 2,
]


@pytest.fixture(scope="module")
def network() -> AveNetwork:
    return seeded_network(3)


@pytest.fixture(scope="module")
def encoder(network: AveNetwork, tmp_path_factory: pytest.TempPathFactory) -> AudioVisualEncoder:
    """The encoder around weights that came through a file of the official format."""
    path = tmp_path_factory.mktemp("ave") / "audio_visual_encoder.pth"
    torch.save(network.state_dict(), path)
    return AudioVisualEncoder(AveConfig(), Context(asset=lambda name: path))


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def test_shapes_of_every_block(network: AveNetwork) -> None:
    x = torch.zeros(2, 1, 80, 16)
    for block, shape in zip(network, SHAPES, strict=True):
        x = block(x)
        assert x.shape[1:] == shape


def test_parameters_and_official_names(network: AveNetwork) -> None:
    assert sum(p.numel() for p in network.parameters()) == 2_812_672
    batch_norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {
        name
        for n in range(13)
        for name in (
            *(f"{n}.conv_block.0.{p}" for p in ("weight", "bias")),
            *(f"{n}.conv_block.1.{p}" for p in batch_norm),
        )
    }
    assert set(network.state_dict()) == expected


def test_first_block_by_hand(network: AveNetwork) -> None:
    """Convolution, batch norm with eps 1e-5, plus the input where residual, ReLU last."""
    x = torch.randn(1, 32, 5, 6, generator=torch.Generator().manual_seed(0))
    state = network.state_dict()
    for n in (1, 2):
        y = torch.nn.functional.conv2d(x, state[f"{n}.conv_block.0.weight"], state[f"{n}.conv_block.0.bias"], 1, 1)
        mean, var = (state[f"{n}.conv_block.1.{s}"][:, None, None] for s in ("running_mean", "running_var"))
        y = (y - mean) / torch.sqrt(var + 1e-5)  # affine part is 1 and 0 in a seeded network
        assert torch.allclose(network[n](x), torch.relu(y + x), atol=1e-5)


def test_rows_and_edges(encoder: AudioVisualEncoder, network: AveNetwork) -> None:
    wave = noise(16_000)  # 81 columns: 22 windows, 26 rows
    with torch.no_grad():
        rows = network(ave_windows(wave, 16_000, padding="zeros")).flatten(1)
    assert rows.shape == (22, 512)
    features = encoder.encode(wave, 16_000, fps=25.0, frames=30)
    assert features.shape == (30, 1, 512) and features.dtype == torch.float32
    assert (features >= 0).all()
    source = [0, 0, *range(22), 21, 21, 21, 21, 21, 21]  # two repeats at each end, then the last row for k >= Nf
    # One window at a time or many: the convolution may sum in another order; 2.9e-6 was the most seen.
    assert torch.allclose(features[:, 0], rows[source], atol=5e-6)


def test_batches_of_64_do_not_show(encoder: AudioVisualEncoder) -> None:
    wave = noise(16_000 * 6)
    long = encoder.encode(wave, 16_000, fps=25.0, frames=150)
    short = encoder.encode(wave[: 16_000 * 4], 16_000, fps=25.0, frames=90)
    assert torch.allclose(long[:90], short, atol=5e-6)


def test_deterministic_and_alive() -> None:
    wave = noise(32_000)
    first, second, other = (
        AudioVisualEncoder(AveConfig(weights="seeded"), Context(seed=seed)).encode(wave, 16_000, fps=25.0, frames=50)
        for seed in (7, 7, 8)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    moving = (first[:, 0].std(0) > 1e-3).float().mean()
    assert moving > 0.87, "92 % of the features follow even the small changes of steady noise"
    assert 1 < first[:, 0].norm(dim=1).mean() < 100


def test_seeded_does_not_touch_the_global_generator() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    AudioVisualEncoder(AveConfig(weights="seeded"), Context(seed=1))
    assert torch.equal(before, torch.get_rng_state())


def test_assets_follow_the_option() -> None:
    assert AveConfig().assets() == ("audio-visual-encoder",)
    assert AveConfig(weights="seeded").assets() == ()
    with pytest.raises(MissingAsset, match="audio-visual-encoder"):
        AudioVisualEncoder(AveConfig(), Context())


def test_wrong_fps_and_too_short(encoder: AudioVisualEncoder) -> None:
    with pytest.raises(WrongFps, match="30 fps"):
        encoder.encode(noise(16_000), 16_000, fps=30.0, frames=30)
    with pytest.raises(TooShort):
        encoder.encode(noise(2_999), 16_000, fps=25.0, frames=4)


def broken(state: dict[str, Any], how: str) -> object:
    if how == "missing":
        return {k: v for k, v in state.items() if not k.startswith("12.")}
    if how == "extra":
        return state | {"face.weight": torch.zeros(1)}
    if how == "prefixed":
        return {f"audio_encoder.{k}": v for k, v in state.items()}
    if how == "shape":
        return state | {"3.conv_block.0.weight": torch.zeros(64, 32, 5, 5)}
    if how == "list":
        return list(state.values())
    return {"state_dict": state}


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("missing", r"lacks 12\.conv_block\.0\.bias, .* and 4 more"),
        ("extra", r"unknown face\.weight"),
        ("prefixed", r"lacks .* and 88 more; has the unknown audio_encoder\.0"),
        ("shape", r"3\.conv_block\.0\.weight is \(64, 32, 5, 5\), not \(64, 32, 3, 3\)"),
        ("list", "not a dictionary of tensors"),
        ("nested", "not a dictionary of tensors"),
    ],
)
def test_other_files_are_refused(network: AveNetwork, tmp_path: Path, how: str, text: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(broken(dict(network.state_dict()), how), path)
    with pytest.raises(AssetMismatch, match=text):
        load_network(path)


def test_a_web_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_text("<!DOCTYPE html><title>Quota exceeded</title>")
    with pytest.raises(AssetMismatch, match="not a file of weights"):
        load_network(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_byte_is_never_a_crash(tmp_path: Path, zipped: bool) -> None:
    """torch's reader raises whatever it trips over, assertions of its own too."""
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for place in range(0, len(whole), 2 + 8 * zipped):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 3]) + whole[place + 1 :])
        with pytest.raises(AssetMismatch):
            load_network(path)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    path, evil = tmp_path / "weights.pth", tmp_path / "evil"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (evil,))

    torch.save({"0.conv_block.0.weight": Payload()}, path)
    with pytest.raises(AssetMismatch):
        load_network(path)
    assert not evil.exists()
