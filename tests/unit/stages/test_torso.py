"""A predicted torso in a run: its own stages, the head over it, the protocol ``head+torso``; with the fakes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_components
import numpy as np
import pytest
import torch
from fake_runs import Recorder, cells_of
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.assets.store import AssetStore
from synctalk_bench.config.load import load_preset
from synctalk_bench.config.schema import Preset
from synctalk_bench.config.stored import stored_variants
from synctalk_bench.errors import ConfigError, MissingFile
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.protocols import Context
from synctalk_bench.results.rows import read_rows
from synctalk_bench.runner.run import run_preset
from synctalk_bench.specs import Kind
from synctalk_bench.stages.frames import open_clip
from synctalk_bench.stages.plan import Cell, Plan
from synctalk_bench.stages.plan_preset import make_plan
from synctalk_bench.stages.synthesize import Request, synthesize
from synctalk_bench.store.workspace import Workspace
from synctalk_bench.subjects.folder import FolderScene, open_subject
from synctalk_bench.subjects.sound import write_wav
from synctalk_bench.subjects.video import read_frames

TWO = '[variant.given]\n[variant.drawn]\ntorso.use = "band"\n'


def shifted(self: object, scene: Any) -> torch.Tensor:
    """Poses whose x says which frame it is, so that the band's edge moves by a pixel every fourth frame."""
    poses = torch.eye(4).repeat(scene.subject.frames, 1, 1)
    poses[:, 0, 3] = torch.arange(scene.subject.frames) / 4
    return poses


def over_torso(self: Any, scene: Any, span: Span) -> Iterator[torch.Tensor]:
    """What a head that covers nothing shows: the torso of the scene over black."""
    for k in span.frames:
        layer = torch.from_numpy(scene.image("torso", k).astype(np.float32)) / 255
        yield layer[..., :3] * layer[..., 3:]


@pytest.fixture
def preset(fake_preset: Path, fakes: PluginManager) -> Preset:
    fake_preset.write_text(fake_preset.read_text() + TWO)
    return load_preset(str(fake_preset), fakes)


def planned(preset: Preset) -> tuple[Plan, dict[str, Cell]]:
    plan = make_plan(preset, asset_digest=lambda name: None, find_subject=lambda name: (Path(name), name))
    return plan, {cell.variant: cell for cell in plan.cells if not cell.control}


@pytest.fixture
def ran(tmp_path: Path, fakes: PluginManager, preset: Preset, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(fake_components.Poses, "track", shifted)
    monkeypatch.setattr(fake_components.Renderer, "render", over_torso)
    place = Workspace.open(tmp_path / "ws")
    assert not run_preset(preset, place, fakes, assets=AssetStore(), display=Recorder(), device="cpu").outcome.failed
    return place


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_the_heads_training_is_shared_and_what_is_drawn_is_not(preset: Preset) -> None:
    plan, cells = planned(preset)
    given, drawn = cells["given"], cells["drawn"]
    assert given.train == drawn.train and given.channels == drawn.channels
    assert (given.protocol, drawn.protocol) == ("head", "head+torso")
    rendered = [plan.tasks[plan.tasks[cell.delivered].inputs["rendered"]] for cell in (given, drawn)]
    assert "torso" not in rendered[0].inputs
    layers = plan.tasks[rendered[1].inputs["torso"]]
    assert layers.key.stage == "torso" and layers.inputs["channel:pose"] == drawn.channels["pose"]
    trained = plan.tasks[layers.inputs["trained"]]
    assert (trained.key.stage, trained.key.kind, trained.key.component) == ("train", "torso", "band")
    assert set(trained.key.inputs) == {"subject", "channel:pose"}, "the torso needs the pose and no head"
    assert given.truth != drawn.truth and not set(given.scores.values()) & set(drawn.scores.values())
    controls = {cell.protocol for cell in plan.cells if cell.control}
    assert controls == {"head", "head+torso"}, "each protocol has its control rows"
    assert len({cell.delivered for cell in plan.cells}) == len(plan.cells)


def test_a_captured_torso_leaves_every_key_as_it_was(preset: Preset, fake_preset: Path, fakes: PluginManager) -> None:
    """A preset that does not name the place, one that names its default: the same run and tasks, none of a torso."""
    fake_preset.write_text(fake_preset.read_text().removesuffix(TWO))
    plain, named = (load_preset(str(fake_preset), fakes, overrides=o) for o in ((), ("torso.use=captured",)))
    assert "torso" not in json.dumps(plain.resolved())
    assert plain.run_name == named.run_name
    (one, _), (other, _) = planned(plain), planned(named)
    assert one.tasks.keys() == other.tasks.keys() <= planned(preset)[0].tasks.keys()
    assert not [task for task in one.tasks.values() if "torso" in (task.key.stage, task.key.kind)]
    for task in one.tasks.values():
        assert (
            "torso" not in task.inputs and "protocol" not in task.arguments and "clip.protocol" not in task.key.config
        )


def test_a_torso_that_would_not_be_seen_is_refused(fake_preset: Path, fakes: PluginManager) -> None:
    with pytest.raises(ConfigError, match="'pasted' delivers the captured one") as caught:
        load_preset(str(fake_preset), fakes, overrides=("torso.use=band", "portrait.use=pasted"))
    assert caught.value.where == "torso.use, from --set" and "portrait.use=none" in caught.value.hint
    load_preset(str(fake_preset), fakes, overrides=("portrait.use=pasted",))


def test_a_stored_run_without_the_place_had_the_captured_one(preset: Preset, fakes: PluginManager) -> None:
    stored = stored_variants(preset.resolved(), fakes)
    assert {name: v.choices[Kind.TORSO].name for name, v in stored.items()} == {"given": "captured", "drawn": "band"}


# --- the run ----------------------------------------------------------------------------------------------------------


def test_the_head_is_drawn_over_the_predicted_torso(ran: Workspace, preset: Preset) -> None:
    plan, cells = planned(preset)
    clip = open_clip(ran.store.artifact(plan.tasks[cells["drawn"].delivered].key).path)
    layers = open_clip(ran.store.artifact(plan.tasks[plan.tasks[cells["drawn"].delivered].inputs["torso"]].key).path)
    truth = open_clip(ran.store.artifact(plan.tasks[cells["drawn"].truth].key).path)
    assert (clip.protocol, layers.protocol, truth.protocol) == ("head+torso", "torso", "head+torso")
    root = ran.store.artifact(plan.tasks[plan.tasks[cells["drawn"].train].inputs["subject"]].key).path
    scene = FolderScene(open_subject(root, name="blocks", digest="d"))
    assert clip.span == layers.span == scene.subject.test
    for k in clip.span.frames:
        layer, frame = np.asarray(Image.open(layers.frame(k))), np.asarray(Image.open(clip.frame(k)))
        edge = round(8 + k / 4)
        assert (layer[:, :edge, 3] == 255).all() and not layer[:, edge:].any()
        assert np.array_equal(frame, layer[..., :3] * (layer[..., 3:] // 255))
        assert np.array_equal(np.asarray(Image.open(truth.frame(k))), scene.image("gt", k))
    # The band's colour is the mean of the torsos that the stage was shown: the first five, one a step.
    seen = np.mean([scene.image("torso", k)[..., :3].mean((0, 1)) for k in range(5)], 0)
    assert np.abs(layer[0, 0, :3] - seen).max() <= 1
    assert json.loads((ran.find_run(None).preset).read_text())["preset"]["variants"]["drawn"]["torso"]["use"] == "band"
    protocols = {(r.variant, r.score.protocol) for r in read_rows(ran.find_run(None).results).rows if not r.control}
    assert protocols == {("given", "head"), ("drawn", "head+torso")}


def test_a_scene_shows_one_torso_or_the_other(tmp_path: Path) -> None:
    fake_components.write_blocks(tmp_path)
    subject = open_subject(tmp_path, name="blocks", digest="d")
    layer = np.full((12, 16, 4), 7, np.uint8)
    (tmp_path / "predicted").mkdir()
    Image.fromarray(layer).save(tmp_path / "predicted" / "22.png")
    clip = Clip(frames=tmp_path / "predicted", span=Span(22, 23), fps=25.0, protocol="torso")
    captured, predicted = FolderScene(subject), FolderScene(subject, torso=clip)
    assert np.array_equal(predicted.image("torso", 22), layer)
    assert not np.array_equal(captured.image("torso", 22), layer)
    assert np.array_equal(predicted.image("gt", 22), captured.image("gt", 22))
    with pytest.raises(MissingFile, match=r"predicted.3\.png"):
        predicted.image("torso", 3)  # never the captured one instead


def test_the_same_command_again_makes_nothing(
    ran: Workspace, fakes: PluginManager, preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_components.Band, "layer", None)
    report = run_preset(preset, ran, fakes, assets=AssetStore(), display=Recorder(), device="cpu")
    assert not report.outcome.failed


# --- another sound ----------------------------------------------------------------------------------------------------


def test_the_torso_follows_the_replayed_pose(ran: Workspace, fakes: PluginManager, tmp_path: Path) -> None:
    cells = cells_of(ran, fakes)
    given, drawn = cells["given/blocks/0"], cells["drawn/blocks/0"]
    assert given.torso is None and drawn.torso is not None and drawn.torso.key.kind == "torso"
    assert set(drawn.channels) == {"audio", "expression", "pose"}
    write_wav(tmp_path / "voice.wav", np.zeros(16_000, np.float32), 16_000)
    assert drawn.subject_artifact is not None
    scene = FolderScene(open_subject(drawn.subject_artifact.path, name="blocks", digest="d"))
    edges = {}
    for cell in (given, drawn):
        out = tmp_path / f"{cell.variant.name}.mp4"
        request = Request(audio=tmp_path / "voice.wav", out=out, portrait=cell.variant.choices[Kind.PORTRAIT])
        made = synthesize(cell, request, scene, Context())
        assert made.facts["protocol"] == ("head+torso" if cell is drawn else "head")
        assert made.facts["components"]["torso"]["use"] == cell.variant.choices[Kind.TORSO].name
        assert ("trained_torso" in made.facts) == (cell is drawn)
        edges[cell.variant.name] = [int((f[6].sum(-1) > 60).sum()) for f in read_frames(out, range(made.frames))]
    # 25 frames: the 21 of training and back from the last. The video's chroma blurs an edge by a pixel.
    source = [*range(21), 20, 19, 18, 17]
    expected = [round(8 + k / 4) for k in source]
    assert np.abs(np.array(edges["drawn"]) - expected).max() <= 1
    assert edges["drawn"] != edges["given"]
    pasted = fakes.find(Kind.PORTRAIT, "pasted")
    refused = Request(
        audio=tmp_path / "voice.wav",
        out=tmp_path / "x.mp4",
        portrait=type(request.portrait)(pasted, pasted.spec.config(), {}),
    )
    with pytest.raises(ConfigError, match="'pasted' delivers the captured one"):
        synthesize(drawn, refused, scene, Context())
