"""``synctalk-bench checkpoint`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from synctalk_renderers.torso.field import TorsoField
from synctalk_renderers.triplane.field import TriplaneField
from typer.testing import CliRunner

from synctalk_bench.cli.checkpoint import app
from synctalk_bench.errors import BadManifest, ConfigError, Damaged, MissingFile
from synctalk_bench.protocols import State
from synctalk_bench.store.store import RECORD
from synctalk_bench.store.tensors import read_state, write_state


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("official") / "ngp_ep0001.pth"
    model = TriplaneField(audio_shape=(1, 512), expression=7).state_dict()
    torch.save({"epoch": 1, "global_step": 5520, "model": model}, path)
    return path


def call(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_there_show_and_back(official: Path, tmp_path: Path) -> None:
    ours, back = tmp_path / "ours.safetensors", tmp_path / "back.pth"
    # individual codes .. attention: 768,165 trainable values; the buffers come on top.
    assert "ours, step 5520, " in call("convert", official, ours)
    assert read_state(ours).values["audio_shape"] == [1, 512]
    facts = json.loads(call("show", ours, "--json"))
    assert facts["form"] == "ours" and facts["modules"]["sigma_net"] == {"tensors": 3, "values": 13056}
    assert json.loads(call("show", official, "--json"))["modules"] == facts["modules"]
    assert "--ind_num 20000" in call("convert", ours, back)
    first, second = (torch.load(p, weights_only=True)["model"] for p in (official, back))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[k], second[k]) for k in first)
    # A stage's folder stands for the checkpoint in it.
    assert "sigma_net" in call("show", tmp_path)


def test_a_torso_goes_along(official: Path, tmp_path: Path) -> None:
    """One official file holds head and torso; of ours there may be two, which --torso puts together."""
    draw = torch.Generator().manual_seed(0)
    torso = {name: torch.rand(v.shape, generator=draw) if v.is_floating_point() else v
             for name, v in TorsoField().state_dict().items()}  # fmt: skip
    stage = tmp_path / "torso.safetensors"
    tensors = {f"model.{name}": value for name, value in torso.items()}
    tensors |= {
        f"ema.{name}": value + 1 for name, value in torso.items() if name in dict(TorsoField().named_parameters())
    }
    write_state(stage, State(tensors, {"step": 12, "ema_updates": 3, "scaler": {}}))
    assert json.loads(call("show", stage, "--json"))["modules"]["torso_net"]["tensors"] == 3
    head, both, again = tmp_path / "head.safetensors", tmp_path / "both.pth", tmp_path / "again.safetensors"
    call("convert", official, head)
    assert "--torso, --ind_num 20000" in call("convert", head, both, "--torso", stage)
    top = torch.load(both, weights_only=True)
    assert (top["global_step"], top["ema"]["num_updates"]) == (12, 3)
    assert top["mean_density_torso"] == pytest.approx(float(torso["density_grid_torso"].mean()))
    assert all(torch.equal(top["model"][name], value) for name, value in torso.items())
    assert len(top["model"]) == len(TriplaneField(audio_shape=(1, 512), expression=7, codes=1).state_dict()) + len(
        torso
    )
    assert torch.equal(top["ema"]["shadow_params"][1], torso["individual_codes_torso"] + 1), "second in their order"
    assert "torso.checkpoint takes it" in call("convert", both, again)
    found = read_state(again).tensors
    assert all(torch.equal(found[f"model.{name}"], value) for name, value in torso.items())
    with pytest.raises(BadManifest, match="a torso and no head"):
        call("convert", stage, tmp_path / "x.pth")
    with pytest.raises(ConfigError, match="is no torso: it holds"):
        call("convert", head, tmp_path / "x.pth", "--torso", head)
    with pytest.raises(ConfigError, match="an official file holds its own"):
        call("convert", official, tmp_path / "x.pth", "--torso", stage)
    few = tensors | {"model.individual_codes_torso": torch.zeros(30, 8)}
    write_state(stage, State(few, {"step": 12, "ema_updates": 3, "scaler": {}}))
    with pytest.raises(BadManifest, match="30 appearance codes and the head 20000"):
        call("convert", head, tmp_path / "x.pth", "--torso", stage)


def test_mistakes(official: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_text("precious")
    with pytest.raises(ConfigError, match="exists"):
        call("convert", official, out)
    assert out.read_text() == "precious"
    with pytest.raises(ConfigError, match="reads no checkpoints"):
        call("convert", official, tmp_path / "x", "--renderer", "nobody")
    with pytest.raises(MissingFile, match="there is no"):
        call("show", tmp_path / "nothing.pth")
    with pytest.raises(ConfigError, match="is a folder"):
        call("convert", official, tmp_path, "--force")
    for content in (b"hello\n", b""):  # torch's reader trips over each in its own way
        (tmp_path / "note.pth").write_bytes(content)
        with pytest.raises(BadManifest, match=r"note\.pth cannot be read: it is no file of torch\.save"):
            call("show", tmp_path / "note.pth")
    torch.save({"net_C": {"weight": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(BadManifest, match=r"does not hold a head of SyncTalk: it has no tensor 'eye_.*other\.pth"):
        call("show", tmp_path / "other.pth")
    write_state(tmp_path / "track.safetensors", State({"values": torch.zeros(3)}))
    with pytest.raises(BadManifest, match="no trained model"):
        call("show", tmp_path / "track.safetensors")


def test_what_any_component_stored_is_shown_by_its_own_names(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    write_state(path, State({"net.0.weight": torch.zeros(2, 3), "net.0.bias": torch.zeros(2), "mean": torch.zeros(4)}))
    assert json.loads(call("show", path, "--json"))["modules"] == {
        "mean": {"tensors": 1, "values": 4},
        "net": {"tensors": 2, "values": 8},
    }
    with pytest.raises(BadManifest, match="holds no trained model of this form"):
        call("convert", path, tmp_path / "theirs.pth")


def test_a_damaged_file_is_removed_only_from_a_store(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    write_state(path, State({"model.x": torch.zeros(300)}))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadManifest, match=r"half\.safetensors cannot be read") as own:
        call("show", path)
    assert "rm " not in own.value.hint and "anew" in own.value.hint
    (tmp_path / RECORD).write_text("{}")  # what the store lays beside its files
    with pytest.raises(Damaged, match=r"cannot be read") as stored:
        call("show", path)
    assert f"rm {path}" in stored.value.hint
