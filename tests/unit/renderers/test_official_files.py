"""Checkpoint files of the official code: written as it writes them, read by us, and back."""

from __future__ import annotations

import dataclasses
import functools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.field import TriplaneField
from synctalk_renderers.triplane.official_files import OfficialCheckpoints
from synctalk_renderers.triplane.renderer import TriplaneRenderer
from torch import Tensor

from synctalk_bench.errors import BadManifest, MissingFile
from synctalk_bench.protocols import CheckpointFormat, Context
from synctalk_bench.store.tensors import write_state

FORM = OfficialCheckpoints()

# Spec E.6, the parameters in their order, written out by hand.
PARAMETERS = {
    "individual_codes": (20000, 4),
    "audio_net.encoder_fc1.0.weight": (256, 512), "audio_net.encoder_fc1.0.bias": (256,),
    "audio_net.encoder_fc1.2.weight": (128, 256), "audio_net.encoder_fc1.2.bias": (128,),
    "audio_net.encoder_fc1.4.weight": (32, 128), "audio_net.encoder_fc1.4.bias": (32,),
    "audio_att_net.attentionConvNet.0.weight": (16, 32, 3), "audio_att_net.attentionConvNet.0.bias": (16,),
    "audio_att_net.attentionConvNet.2.weight": (8, 16, 3), "audio_att_net.attentionConvNet.2.bias": (8,),
    "audio_att_net.attentionConvNet.4.weight": (4, 8, 3), "audio_att_net.attentionConvNet.4.bias": (4,),
    "audio_att_net.attentionConvNet.6.weight": (2, 4, 3), "audio_att_net.attentionConvNet.6.bias": (2,),
    "audio_att_net.attentionConvNet.8.weight": (1, 2, 3), "audio_att_net.attentionConvNet.8.bias": (1,),
    "audio_att_net.attentionNet.0.weight": (8, 8), "audio_att_net.attentionNet.0.bias": (8,),
    "encoder_xy.embeddings": (163584, 1), "encoder_yz.embeddings": (163584, 1), "encoder_xz.embeddings": (163584, 1),
    "eye_att_net.net.0.weight": (64, 36), "eye_att_net.net.1.weight": (7, 64),
    "sigma_net.net.0.weight": (64, 75), "sigma_net.net.1.weight": (64, 64), "sigma_net.net.2.weight": (65, 64),
    "color_net.net.0.weight": (64, 84), "color_net.net.1.weight": (3, 64),
    "unc_net.net.0.weight": (32, 36), "unc_net.net.1.weight": (1, 32),
    "aud_ch_att_net.net.0.weight": (64, 36), "aud_ch_att_net.net.1.weight": (32, 64),
}  # fmt: skip
TORSO = {
    "individual_codes_torso": (20000, 8), "anchor_points": (3, 4),
    "torso_deform_net.net.0.weight": (32, 84), "torso_deform_net.net.1.weight": (32, 32),
    "torso_deform_net.net.2.weight": (2, 32), "torso_encoder.embeddings": (555520, 2),
    "torso_net.net.0.weight": (32, 116), "torso_net.net.1.weight": (32, 32), "torso_net.net.2.weight": (4, 32),
}  # fmt: skip
# Spec E.5: where each level of the torso's table begins.
TORSO_OFFSETS = [0, 296, 872, 1896, 3832, 7432, 14160, 26936, 50968, 96768, 162304, 227840, 293376, 358912, 424448,
                 489984, 555520]  # fmt: skip
CONVOLUTIONS = {0: (32, 29, 3), 2: (32, 32, 3), 4: (64, 32, 3), 6: (64, 64, 3)}
DEEPSPEECH = {
    **{f"audio_net.encoder_conv.{layer}.{part}": shape if part == "weight" else shape[:1]
       for layer, shape in CONVOLUTIONS.items() for part in ("weight", "bias")},
    "audio_net.encoder_fc1.0.weight": (64, 64), "audio_net.encoder_fc1.0.bias": (64,),
    "audio_net.encoder_fc1.2.weight": (32, 64), "audio_net.encoder_fc1.2.bias": (32,),
}  # fmt: skip


def official_model(shapes: dict[str, tuple[int, ...]], *, best: bool = False) -> OrderedDict[str, Tensor]:
    draw = torch.Generator().manual_seed(3)
    model = OrderedDict((name, torch.randn(*shape, generator=draw)) for name, shape in shapes.items())
    box = torch.tensor([-1.0, -0.5, -1.0, 1.0, 0.5, 1.0])
    model |= {"aabb_train": box, "aabb_infer": box.clone()}
    model["density_grid"] = torch.rand(1, 128**3, generator=draw) * 20 - 1
    model["density_bitfield"] = torch.randint(0, 256, (128**3 // 8,), dtype=torch.uint8, generator=draw)
    model["step_counter"] = torch.randint(0, 300_000, (16, 2), dtype=torch.int32, generator=draw)
    for plane in ("xy", "yz", "xz"):
        model[f"encoder_{plane}.offsets"] = TriplaneField(
            audio_shape=(1, 1), expression=1, codes=1
        ).encoder_xy.offsets.clone()
    if "anchor_points" in shapes:
        model["density_grid_torso"] = torch.rand(128 * 128, generator=draw)
        model["torso_encoder.offsets"] = torch.tensor(TORSO_OFFSETS, dtype=torch.int32)
    if best:
        del model["density_grid"]
    return model


def epoch_file(path: Path, shapes: dict[str, tuple[int, ...]], **changes: Any) -> dict[str, Any]:
    """Write what the official trainer writes after an epoch: optimiser, scheduler and numpy numbers with it."""
    model = official_model(shapes)
    parameters = [model[name].clone() for name in shapes]
    moments = {i: {"step": torch.tensor(3.0), "exp_avg": p, "exp_avg_sq": p ** 2}
               for i, p in enumerate(parameters)}  # fmt: skip
    optimiser = {"state": moments, "param_groups": [{"lr": 1e-2, "betas": (0, 0.99), "params": [*moments]}]}
    shadow = [p + 1.0 for p in parameters]
    top: dict[str, Any] = {
        "epoch": 19, "global_step": 104880,
        "stats": {"loss": [0.1], "valid_loss": [np.float64(0.2)], "results": [np.float32(0.3)],
                  "checkpoints": ["a/ngp_ep0019.pth"], "best_result": np.float64(0.3)},
        "mean_count": 300000, "mean_density": 0.7, "mean_density_torso": 0.0,
        "optimizer": optimiser, "lr_scheduler": {"last_epoch": 104880, "lr_lambdas": [None]},
        "scaler": {"scale": 65536.0, "growth_factor": 2.0},
        "ema": {"decay": 0.95, "num_updates": 104, "shadow_params": shadow, "collected_params": None},
        "model": model,
    }  # fmt: skip
    top |= changes
    torch.save(top, path)
    return top


@functools.cache
def shapes_of(variant: str) -> dict[str, tuple[int, ...]]:
    shapes = dict(PARAMETERS)
    if variant == "au45":
        shapes |= {"eye_att_net.net.0.weight": (16, 36), "eye_att_net.net.1.weight": (1, 16)}
        shapes |= {"sigma_net.net.0.weight": (64, 69)}
    if variant == "deepspeech":
        rest = {name: shape for name, shape in shapes.items() if not name.startswith(("audio_net", "individual"))}
        shapes = {"individual_codes": (20000, 4)} | DEEPSPEECH | rest
    if variant == "torso":
        # Own parameters first, then the modules: the torso's codes stand second, its networks last.
        late = {name: shape for name, shape in TORSO.items() if name.startswith("torso_")}
        early = {name: shape for name, shape in TORSO.items() if name not in late}
        first = {"individual_codes": (20000, 4)} | early
        shapes = first | {name: shape for name, shape in shapes.items() if name not in first} | late
    return shapes


def test_it_keeps_the_protocol() -> None:
    assert isinstance(FORM, CheckpointFormat)


@pytest.mark.parametrize("variant", ["ave", "au45", "deepspeech", "torso"])
def test_there_and_back_is_the_same_bits(variant: str, tmp_path: Path) -> None:
    top = epoch_file(tmp_path / "ngp_ep0019.pth", shapes_of(variant))
    state = FORM.read(tmp_path / "ngp_ep0019.pth")
    assert state.values["step"] == 104880 and state.values["ema_updates"] == 104
    assert not any(name.startswith("adam.") for name in state.tensors)
    FORM.write(state, tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert back["global_step"] == 104880 and back["ema"]["num_updates"] == 104
    model = top["model"]
    assert back["model"].keys() == model.keys()
    for name, value in model.items():
        assert torch.equal(back["model"][name], value) and back["model"][name].dtype == value.dtype, name
    # Shadow parameters are positional: the torso's codes stand second, its networks last.
    names = list(shapes_of(variant))
    assert len(back["ema"]["shadow_params"]) == len(names)
    for name, value in zip(names, back["ema"]["shadow_params"], strict=True):
        assert torch.equal(value, model[name] + 1.0), name
    assert back["mean_density"] == pytest.approx(float(model["density_grid"].clamp(min=0).mean()))
    opacity = float(model["density_grid_torso"].mean()) if variant == "torso" else 0.0
    assert back["mean_density_torso"] == pytest.approx(opacity)
    assert not [note for note in state.values["notes"] if note.startswith("not used")]
    averaged = FORM.read(tmp_path / "ngp_ep0019.pth", average=True)
    for name in names:
        assert torch.equal(averaged.tensors[f"model.{name}"], model[name] + 1.0), name


def test_best_file_and_bare_state_dict(tmp_path: Path) -> None:
    model = official_model(shapes_of("ave"), best=True)
    torch.save(model, tmp_path / "bare.pth")
    state = FORM.read(tmp_path / "bare.pth")
    assert torch.equal(state.tensors["model.density_bitfield"], model["density_bitfield"])
    assert "bit field" in " ".join(state.values["notes"])
    assert float(state.tensors["mean_density"]) == pytest.approx(float(state.tensors["model.density_grid"].mean()))


def test_moving_average_as_weights(tmp_path: Path) -> None:
    top = epoch_file(tmp_path / "a.pth", shapes_of("ave"))
    taken = FORM.read(tmp_path / "a.pth", average=True).tensors["model.unc_net.net.0.weight"]
    assert torch.equal(taken, top["model"]["unc_net.net.0.weight"] + 1.0)
    torch.save({"model": top["model"]}, tmp_path / "b.pth")
    with pytest.raises(BadManifest, match="no moving average"):
        FORM.read(tmp_path / "b.pth", average=True)
    top["ema"]["shadow_params"].reverse()
    torch.save(top, tmp_path / "c.pth")
    with pytest.raises(BadManifest, match="something else than individual_codes"):
        FORM.read(tmp_path / "c.pth")


def test_other_methods_are_named(tmp_path: Path) -> None:
    torch.save({"network_fn_state_dict": {}}, tmp_path / "ad.tar")
    with pytest.raises(BadManifest, match="AD-NeRF"):
        FORM.read(tmp_path / "ad.tar")
    torch.save({"model": {"ambient_net.net.0.weight": torch.zeros(64, 96)}}, tmp_path / "rad.pth")
    with pytest.raises(BadManifest, match="RAD-NeRF"):
        FORM.read(tmp_path / "rad.pth")
    model = official_model(shapes_of("au45") | {"individual_codes": (10_000, 4)})
    torch.save({"model": model}, tmp_path / "er.pth")
    with pytest.raises(BadManifest, match="sigmoid") as caught:
        FORM.read(tmp_path / "er.pth")
    assert "--assume" in caught.value.hint
    assert len(FORM.read(tmp_path / "er.pth", assume=True).tensors["model.individual_codes"]) == 10_000


def test_wrong_keys_and_files_are_named(tmp_path: Path) -> None:
    model = official_model(shapes_of("ave"))
    del model["unc_net.net.0.weight"]
    model["embedding.weight"] = torch.zeros(29, 29)
    torch.save({"model": model}, tmp_path / "a.pth")
    with pytest.raises(BadManifest, match=r"missing \['unc_net.net.0.weight'\], unknown \['embedding.weight'\]"):
        FORM.read(tmp_path / "a.pth")
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "b.pth")
    with pytest.raises(BadManifest, match="does not hold a head"):
        FORM.read(tmp_path / "b.pth")
    torch.save({"model": Path("code")}, tmp_path / "c.pth")
    with pytest.raises(BadManifest, match=r"more than tensors.*athlib") as caught:
        FORM.read(tmp_path / "c.pth")
    assert "never run" in caught.value.hint
    (tmp_path / "d.pth").write_bytes((tmp_path / "a.pth").read_bytes()[:1000])
    with pytest.raises(BadManifest):
        FORM.read(tmp_path / "d.pth")
    with pytest.raises(MissingFile):
        FORM.read(tmp_path / "none.pth")


def test_sizes_the_official_code_does_not_have_are_refused(tmp_path: Path) -> None:
    epoch_file(tmp_path / "a.pth", shapes_of("ave"))
    state = FORM.read(tmp_path / "a.pth")
    state.tensors["model.encoder_xy.embeddings"] = torch.zeros(100, 1)
    with pytest.raises(BadManifest, match=r"encoder_xy.embeddings \(100, 1\) for \(163584, 1\)"):
        FORM.write(state, tmp_path / "b.pth")


def small(**changes: Any) -> TriplaneConfig:
    return dataclasses.replace(TriplaneConfig(kernels="reference", half=False).tiny(), **changes)


def trained(head: Any, config: TriplaneConfig, seed: int = 0) -> TriplaneRenderer:
    renderer = TriplaneRenderer(config, Context(seed=seed))
    for _ in renderer.fit(head, head.subject.train):
        pass
    return renderer


def test_a_renderer_starts_from_a_checkpoint(head: Any, tmp_path: Path) -> None:
    first = trained(head, small(steps=0, lip_steps=0), seed=1)
    write_state(tmp_path / "a.safetensors", first.state())
    ready = small(steps=0, lip_steps=0, checkpoint=str(tmp_path / "a.safetensors"))
    second = trained(head, ready)
    assert second.state().values["step"] == 0
    for name, value in first.state().tensors.items():
        if name.startswith(("model.", "ema.")):
            assert torch.equal(second.state().tensors[name], value), name
    # Training goes on from there: one step of at most 1e-3 stays closer to it than another seed's start would.
    third = trained(head, dataclasses.replace(ready, steps=1)).state().tensors["model.sigma_net.net.0.weight"]
    moved = (third - first.state().tensors["model.sigma_net.net.0.weight"]).abs().max()
    assert 0.0 < float(moved) <= 1.1e-3
    (tmp_path / "b.pth").write_bytes(b"PK not safetensors")
    with pytest.raises(BadManifest, match="not a checkpoint of this renderer") as caught:
        trained(head, dataclasses.replace(ready, checkpoint=str(tmp_path / "b.pth")))
    assert "checkpoint convert" in caught.value.hint


def test_the_key_holds_the_files_content(tmp_path: Path) -> None:
    from synctalk_bench.store.fingerprint import config_fields

    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"x")
    two.write_bytes(b"x")
    key = config_fields(TriplaneConfig(checkpoint=str(one)))
    assert key == config_fields(TriplaneConfig(checkpoint=str(two)))
    two.write_bytes(b"y")
    assert key != config_fields(TriplaneConfig(checkpoint=str(two)))
    assert "checkpoint" not in config_fields(TriplaneConfig())
    with pytest.raises(MissingFile, match="checkpoint names"):
        config_fields(TriplaneConfig(checkpoint=str(tmp_path / "three")))


def test_hostile_values_are_named(tmp_path: Path) -> None:
    """Tensors of any claimed size over one stored value, shapes that no layer has, and texts for numbers."""
    model = official_model(shapes_of("ave"))
    claimed = torch.zeros(1).expand(32, 36)
    numbers = torch.zeros(())
    one: dict[str, Any] = {"eye_att_net.net.1.weight": numbers, "audio_net.encoder_fc1.0.weight": numbers}
    for change, top, text in (
        ({"unc_net.net.0.weight": claimed}, {}, "unc_net.net.0.weight .* not stored whole"),
        ({"unc_net.net.0.weight": torch.zeros(32, 36).to_sparse()}, {}, "not stored whole"),
        (one, {}, "does not hold a head"),
        ({"individual_codes": numbers}, {}, "individual_codes"),
        ({}, {"global_step": "soon"}, "'global_step' .* is not a number"),
    ):
        torch.save({"model": {**model, **change}, **top}, tmp_path / "x.pth")
        with pytest.raises(BadManifest, match=text):
            FORM.read(tmp_path / "x.pth")
