"""``synthesize``: a trained head driven by another sound, with the fakes as its components."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import fake_components
import numpy as np
import pytest
import torch
from fake_runs import cells_of, run_file
from typer.testing import CliRunner

from synctalk_bench.artifacts import Span
from synctalk_bench.cli.app import app
from synctalk_bench.errors import ConfigError, StoreError, SynctalkBenchError
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.protocols import Context
from synctalk_bench.specs import Kind
from synctalk_bench.stages import synthesize as stage
from synctalk_bench.stages.driven import DrivenScene, replay
from synctalk_bench.stages.synthesize import Request, synthesize
from synctalk_bench.stages.trained import TrainedCell, choose_cell
from synctalk_bench.store.workspace import Workspace
from synctalk_bench.subjects.folder import FolderScene, open_subject
from synctalk_bench.subjects.sound import read_sound, sound_blocks, write_wav
from synctalk_bench.subjects.video import read_frames

TRAIN, ALL = 21, 24  # frames of the fakes' subject


def rows_of(self: object, scene: Any) -> torch.Tensor:
    """A track whose value is the frame's number."""
    return torch.arange(scene.subject.frames).float()[:, None].expand(-1, 3).contiguous()


def loudness(self: object, wave: torch.Tensor, rate: int, *, fps: float, frames: int) -> torch.Tensor:
    """The peak of each frame's sound."""
    size = round(rate / fps)
    padded = torch.nn.functional.pad(wave, (0, max(0, frames * size - len(wave))))
    return padded[: frames * size].reshape(frames, 1, size).abs().amax(2, keepdim=True)


def drawn(self: object, scene: Any, span: Span) -> Iterator[torch.Tensor]:
    """Frames that show what drives them: red the sound, green the expression, blue the picture underneath."""
    audio, expression = scene.channel("audio"), scene.channel("expression")
    for k in span.frames:
        blue = float(scene.image("ori", k)[0, 0, 2]) / 255
        yield torch.tensor([float(audio[k, 0, 0]), float(expression[k, 0]) / ALL, blue]).expand(12, 16, 3)


@pytest.fixture
def ran(tmp_path: Path, fakes: PluginManager, fake_preset: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A finished run of two seeds."""
    monkeypatch.setattr(fake_components.Tracks, "track", rows_of)
    monkeypatch.setattr(fake_components.Audio, "encode", loudness)
    place = Workspace.open(tmp_path / "ws")
    assert not run_file(fake_preset, place, fakes, seeds=[0, 1]).outcome.failed
    monkeypatch.setattr(fake_components.Renderer, "render", drawn)
    return place


@pytest.fixture
def cell(ran: Workspace, fakes: PluginManager) -> TrainedCell:
    return choose_cell(cells_of(ran, fakes), run="fake", seed=1)


@pytest.fixture
def scene(ran: Workspace, cell: TrainedCell) -> FolderScene:
    assert cell.subject_artifact is not None
    return FolderScene(open_subject(cell.subject_artifact.path, name="blocks", digest="d"))


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """2.02 s: two loud seconds with a silent quarter in the middle, and a little more."""
    wave = np.full(32_320, 0.5, np.float32)
    wave[14_080:18_560] = 0
    write_wav(tmp_path / "voice.wav", wave, 16_000)
    return tmp_path / "voice.wav"


def request(cell: TrainedCell, audio: Path, out: Path, **more: Any) -> Request:
    return Request(audio=audio, out=out, portrait=cell.variant.choices[Kind.PORTRAIT], **more)


def pixels(film: Path, count: int) -> np.ndarray:
    return np.stack([frame[6, 8] for frame in read_frames(film, range(count))]).astype(float)


# --- order ------------------------------------------------------------------------------------------------------------


def test_mirror_is_that_of_the_published_loader() -> None:
    """Spec A.8: idx div S even: idx mod S, odd: S - 1 - idx mod S."""
    assert replay(10, Span(0, 4), "mirror").tolist() == [0, 1, 2, 3, 3, 2, 1, 0, 0, 1]
    assert replay(10, Span(5, 8), "loop").tolist() == [5, 6, 7, 5, 6, 7, 5, 6, 7, 5]
    assert replay(3, Span(5, 9), "mirror").tolist() == [5, 6, 7]
    steps = np.abs(np.diff(replay(1000, Span(2, 30), "mirror")))
    assert steps.max() == 1, "the head never jumps"


def test_driven_scene_shows_the_old_frames(scene: FolderScene) -> None:
    source = replay(50, scene.subject.train, "mirror")
    driven = DrivenScene(scene, source, (np.zeros(8, np.float32), 16_000))
    assert driven.subject.frames == 50 and driven.subject.train == Span(0, 50)
    assert np.array_equal(driven.image("gt", 30), scene.image("gt", 2 * TRAIN - 1 - 30))
    assert np.array_equal(driven.landmarks(45), scene.landmarks(45 - 2 * TRAIN))
    assert np.array_equal(driven.blendshapes(), scene.blendshapes()[source])
    assert np.array_equal(driven.poses("transforms"), scene.poses("transforms")[source])
    assert np.array_equal(driven.background(), scene.background())
    with pytest.raises(KeyError, match="audio"):
        driven.channel("audio")


# --- film -------------------------------------------------------------------------------------------------------------


def test_film_follows_the_sound_and_replays_the_rest(
    cell: TrainedCell, scene: FolderScene, voice: Path, tmp_path: Path
) -> None:
    out = tmp_path / "film.mp4"
    told: list[tuple[int, int]] = []
    made = synthesize(
        cell, request(cell, voice, out, comment="synthetic"), scene, Context(), tell=lambda *now: told.append(now)
    )
    assert made.frames == 51, "2.02 s are 50.5 frames: none of the sound is left out"
    assert told == [(k, 51) for k in range(52)]
    seen = pixels(out, 51)
    silent = [k for k in range(51) if seen[k, 0] < 60]
    assert silent == list(range(22, 29)), "frames 22 ... 28 are the silent ones"
    shown = replay(51, Span(0, TRAIN), "mirror")
    expected = [round(k / ALL * 255) for k in shown]
    assert np.abs(seen[:, 1] - expected).max() < 14, "the expression of the frame shown; H.264 is not exact"
    with av.open(str(out)) as film:
        video, sound = film.streams.video[0], film.streams.audio[0]
        assert (video.codec_context.name, sound.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height, video.frames, video.average_rate) == (16, 12, 51, 25)
        assert film.metadata["comment"] == "synthetic"
    heard, _ = read_sound(out, rate=16_000)
    assert len(heard) / 16_000 == pytest.approx(2.02, abs=0.05)
    assert np.abs(heard[15_000:17_500]).max() < 0.05 < 0.3 < np.abs(heard[20_000:30_000]).max()


def test_facts_say_how_it_was_made(cell: TrainedCell, scene: FolderScene, voice: Path, tmp_path: Path) -> None:
    asked = request(cell, voice, tmp_path / "film.mp4", poses="all", order="loop")
    facts = synthesize(cell, asked, scene, Context()).facts
    assert facts["replayed"] == {"poses": "all", "first": 0, "stop": ALL, "order": "loop"}
    assert facts["components"]["audio"]["use"] == "tone" and facts["protocol"] == "head"
    assert (facts["variant"], facts["subject"], facts["seed"]) == ("fake", "blocks", 1)
    assert facts["trained"] == cell.train.key.fingerprint
    assert facts["real_time_factor"] == pytest.approx((facts["encode_seconds"] + facts["frame_seconds"]) / 2.04)
    assert json.loads(json.dumps(facts)) == facts


def test_frames_are_made_when_they_are_written(
    cell: TrainedCell, scene: FolderScene, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes must not wait in memory: no frame is drawn before the one before it was written."""
    made, written = [], []

    def render(self: object, scene: Any, span: Span) -> Iterator[torch.Tensor]:
        for k in span.frames:
            assert len(written) == k
            made.append(k)
            yield torch.zeros(12, 16, 3)

    def write(path: Path, frames: Iterator[np.ndarray], *more: Any, **options: Any) -> None:
        for frame in frames:
            written.append(frame.shape)
        path.write_bytes(b"film")

    monkeypatch.setattr(fake_components.Renderer, "render", render)
    monkeypatch.setattr(stage, "write_mp4", write)
    synthesize(cell, request(cell, voice, tmp_path / "film.mp4"), scene, Context())
    assert len(made) == len(written) == 51


def test_sound_comes_in_blocks(voice: Path) -> None:
    blocks = list(sound_blocks(voice, rate=16_000))
    assert len(blocks) > 5 and max(map(len, blocks)) < 10_000
    assert np.array_equal(np.concatenate(blocks), read_sound(voice, rate=16_000)[0])


def test_what_is_made_from_sound_is_made_anew(
    cell: TrainedCell, scene: FolderScene, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An expression that is generated from audio must not be replayed; one that is captured must."""
    own = cell.variant.choices[Kind.EXPRESSION]
    spec = dataclasses.replace(own.entry.spec, requires=("audio",))
    choices = dict(cell.variant.choices)
    choices[Kind.EXPRESSION] = dataclasses.replace(own, entry=dataclasses.replace(own.entry, spec=spec))
    generated = dataclasses.replace(cell, variant=dataclasses.replace(cell.variant, choices=choices))
    monkeypatch.setattr(fake_components.Tracks, "track", lambda self, s: ALL / 2 * (s.channel("audio")[:, :, 0] > 0.1))
    out = tmp_path / "film.mp4"
    synthesize(generated, request(generated, voice, out), scene, Context())
    seen = pixels(out, 51)
    assert np.abs(seen[5:20, 1] - 127).max() < 20 and seen[23:28, 1].max() < 20


def test_interrupted_it_leaves_nothing(cell: TrainedCell, scene: FolderScene, voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "films" / "film.mp4"

    def stop(done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(cell, request(cell, voice, out), scene, Context(), tell=stop)
    assert list(out.parent.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said_before_the_work(
    cell: TrainedCell, scene: FolderScene, voice: Path, tmp_path: Path
) -> None:
    told: list[int] = []
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")  # a file where the folder should be refuses root as well
    with pytest.raises(StoreError, match="cannot be written"):
        synthesize(cell, request(cell, voice, blocked / "film.mp4"), scene, Context(), tell=lambda *n: told.append(1))
    assert told == []


# --- which head -------------------------------------------------------------------------------------------------------


def test_choosing(ran: Workspace, fakes: PluginManager) -> None:
    cells = cells_of(ran, fakes)
    assert sorted(cells) == ["fake/blocks/0", "fake/blocks/1"], "controls are no heads"
    assert choose_cell(cells, run="r", seed=0).name == "fake/blocks/0"
    with pytest.raises(ConfigError, match="2 of its heads fit") as several:
        choose_cell(cells, run="r")
    assert "fake/blocks/0, fake/blocks/1" in str(several.value)
    with pytest.raises(ConfigError, match="none of its heads fits"):
        choose_cell(cells, run="r", subject="obama")
    with pytest.raises(ConfigError, match="has no trained head"):
        choose_cell({}, run="r")


def test_a_later_version_still_finds_its_heads(ran: Workspace, fakes: PluginManager) -> None:
    """The keys that a plan would make today are not asked: they change with every version bump."""
    entry = fakes.find(Kind.RENDERER, "mean-colour")
    object.__setattr__(entry.spec, "version", entry.spec.version + 1)
    assert len(cells_of(ran, fakes)) == 2


def test_a_head_without_its_training_is_none(ran: Workspace, fakes: PluginManager) -> None:
    train = cells_of(ran, fakes)["fake/blocks/0"].train
    (train.path / "DONE").unlink()
    assert sorted(cells_of(ran, fakes)) == ["fake/blocks/1"]


# --- command ----------------------------------------------------------------------------------------------------------


def call(place: Workspace, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["synthesize", "-w", str(place.root), "--device", "cpu", *arguments])


@pytest.fixture
def catalogue(fakes: PluginManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synctalk_bench.plugins.manager.plugins", lambda: fakes)


@pytest.mark.usefixtures("catalogue")
def test_command(ran: Workspace, voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    done = call(ran, "-a", str(voice), "-o", str(out), "--seed", "0")
    assert done.exit_code == 0, done.output
    assert "51 frames, 2.04 s" in done.output and "real-time factor" in done.output
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["run"] == ran.find_run(None).path.name and record["environment"]["device"] == "cpu"
    assert sorted(p.name for p in tmp_path.glob("film*")) == ["film.json", "film.mp4"]


@pytest.mark.usefixtures("catalogue")
def test_the_newest_run_that_trained_a_head_is_taken(ran: Workspace, voice: Path, tmp_path: Path) -> None:
    trained = ran.find_run(None)
    for name, preset in (("eval-1", {"variants": {"good": {"label": "good"}}}), ("eval-2", {}), ("quick-1", None)):
        folder = ran.run(name)
        folder.path.mkdir()
        folder.results.write_text("")
        if preset is not None:  # without it, a run that was stopped early
            folder.preset.write_text(json.dumps({"preset": preset}))
        later = trained.results.stat().st_mtime_ns + 10**9
        os.utime(folder.results, ns=(later, later))
    assert ran.find_run(None).path != trained.path
    done = call(ran, "-a", str(voice), "-o", str(tmp_path / "film.mp4"), "--seed", "0")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "film.json").read_text())["run"] == trained.path.name
    several = call(ran, "-a", str(voice), "-o", "film.mp4", "--run", "eval").exception
    assert isinstance(several, ConfigError) and several.hint == "there are: eval-1, eval-2"
    trained.results.unlink()
    none = call(ran, "-a", str(voice), "-o", "film.mp4").exception
    assert isinstance(none, SynctalkBenchError) and "--run" in none.hint


@pytest.mark.usefixtures("catalogue")
def test_mistakes(ran: Workspace, voice: Path, tmp_path: Path) -> None:
    film = tmp_path / "own.mp4"
    film.write_bytes(b"a film of the user")
    for arguments, words in (
        (("-a", str(voice), "-o", "film.avi"), "does not name an .mp4"),
        (("-a", str(tmp_path / "no.wav"), "-o", "film.mp4"), "no.wav is not there"),
        (("-a", str(film), "-o", str(film)), "would be overwritten"),
        (("-a", str(voice), "-o", "film.mp4"), "2 of its heads fit"),
        (("-a", str(voice), "-o", "film.mp4", "--run", "other"), "no run is named 'other'"),
        (("-a", str(voice), "-o", "film.mp4", "--seed", "0", "--portrait", "plane"), "did you mean 'plain'"),
    ):
        done = call(ran, *arguments)
        assert isinstance(done.exception, SynctalkBenchError) and words in str(done.exception), (arguments, done.output)
    assert film.read_bytes() == b"a film of the user"


@pytest.mark.usefixtures("catalogue")
def test_stopped_it_says_where(ran: Workspace, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def render(self: object, scene: Any, span: Span) -> Iterator[torch.Tensor]:
        for k in span.frames:
            if k == 9:
                raise KeyboardInterrupt
            yield torch.zeros(12, 16, 3)

    monkeypatch.setattr(fake_components.Renderer, "render", render)
    done = call(ran, "-a", str(voice), "-o", str(tmp_path / "film.mp4"), "--seed", "0")
    assert done.exit_code == 130
    assert "stopped after frame 9 of 51" in done.output and "was not written" in done.output
    assert not list(tmp_path.glob("*film*"))
