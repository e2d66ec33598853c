"""From clips to scores with seeded weights of the true format; the face detector is one that is told its boxes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.errors import BadManifest, NoAudio, NoFace, PrerequisiteError, TooShort, WrongFps
from synctalk_bench.metrics.sync import metric as module
from synctalk_bench.metrics.sync.configs import SyncConfig
from synctalk_bench.metrics.sync.measure import MEMORY
from synctalk_bench.metrics.sync.metric import SyncConfidence, SyncDistance
from synctalk_bench.metrics.sync.network import SyncNet
from synctalk_bench.protocols import Context
from synctalk_bench.subjects.sound import write_wav

FRAMES = 14
CONFIG = SyncConfig(min_track=8, with_truth=False)


class Told:
    """Finds the boxes that ``faces`` says for every picture and counts the pictures it was shown."""

    label = "told"
    faces: tuple[tuple[float, float, float, float], ...] = ((20, 20, 130, 130),)
    shown = 0

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def find(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        Told.shown += len(pictures)
        return [np.array(Told.faces, float).reshape(-1, 4) for _ in pictures]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "syncnet_v2.model"
    torch.save(SyncNet().state_dict(), path)
    return path


@pytest.fixture
def context(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(SyncDistance, "detector", staticmethod(lambda path, device: Told()))
    monkeypatch.setattr(SyncConfidence, "detector", staticmethod(lambda path, device: Told()))
    monkeypatch.setattr(Told, "faces", ((20, 20, 130, 130),))
    return Context(asset=lambda name: weights)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Clip]:
    def clip(
        name: str = "a", *, frames: int = FRAMES, loud: float = 0.3, seconds: float = FRAMES / 25, first: int = 30
    ) -> Clip:
        generator = np.random.default_rng(len(name))
        folder = tmp_path / name / "frames"
        folder.mkdir(parents=True)
        for k in range(first, first + frames):
            Image.fromarray(generator.integers(0, 256, (160, 160, 3)).astype(np.uint8)).save(folder / f"{k}.png")
        sound = tmp_path / name / "audio.wav"
        write_wav(sound, loud * generator.uniform(-1, 1, round(16000 * seconds)).astype(np.float32), 16000)
        return Clip(frames=folder, span=Span(first, first + frames), fps=25.0, protocol="head", audio=sound)

    return clip


def test_both_scores_share_one_computation(context: Context, make: Callable[..., Clip]) -> None:
    clip = make()
    Told.shown = 0
    d = SyncDistance(CONFIG, context).score(clip, None)
    c = SyncConfidence(CONFIG, context).score(clip, None)
    assert Told.shown == FRAMES
    for result in (d, c):
        rows = result.per_frame
        assert rows is not None
        assert rows.shape == (FRAMES,)
        assert rows.dtype == np.float32
        assert np.isfinite(rows).tolist() == [False] * 2 + [True] * 9 + [False] * 3  # 14 - 5 windows, each its middle
        assert np.nanmean(rows) == pytest.approx(result.mean, rel=1e-5)
        json.dumps(dict(result.details))
    assert d.mean == d.details["lse_d"] == c.details["lse_d"]
    assert c.mean == pytest.approx(d.details["lse_c"], abs=1e-6)
    assert min(d.details["curve"].values()) == pytest.approx(d.mean, abs=1e-5)
    assert d.details["curve"][str(d.details["offset_frames"])] == min(d.details["curve"].values())
    assert (d.details["windows"], d.details["tracks"], d.details["left_out"], d.details["coverage"]) == (9, 1, 0, 1.0)


def test_another_sound_is_another_clip(context: Context, make: Callable[..., Clip]) -> None:
    """The memory goes by content: the same path with other bytes is measured again."""
    clip = make()
    before = SyncDistance(CONFIG, context).score(clip, None).details["curve"]
    assert clip.audio is not None
    noise = np.random.default_rng(99).uniform(-0.1, 0.1, 16000).astype(np.float32)
    write_wav(clip.audio, noise, 16000)
    assert SyncDistance(CONFIG, context).score(clip, None).details["curve"] != before


def test_the_truth_stands_beside(context: Context, make: Callable[..., Clip]) -> None:
    clip, truth = make("rendered"), make("truth")
    config = SyncConfig(min_track=8)
    found = SyncDistance(config, context).score(clip, truth).details["truth"]
    alone = SyncDistance(CONFIG, context).score(truth, None)
    assert found["lse_d"] == alone.mean
    assert found["offset_frames"] == alone.details["offset_frames"]
    curve = SyncDistance(CONFIG, context).score(clip, None).details["curve"]
    assert found["rendered_lse_d_at_this_offset"] == pytest.approx(curve[str(found["offset_frames"])], abs=1e-5)
    silent = make("silent truth", loud=0)
    assert "silent" in SyncDistance(config, context).score(clip, silent).details["truth"]["reason"]


def test_what_cannot_be_judged_says_why(
    context: Context, make: Callable[..., Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    score = SyncDistance(CONFIG, context).score
    clip = make("good")
    with pytest.raises(NoAudio, match="without its sound"):
        score(Clip(frames=clip.frames, span=clip.span, fps=25.0, protocol="head"), None)
    with pytest.raises(NoAudio, match="silent"):
        score(make("no sound at all", loud=0), None)
    with pytest.raises(WrongFps, match="24"):
        score(Clip(frames=clip.frames, span=clip.span, fps=24.0, protocol="head", audio=clip.audio), None)
    with pytest.raises(TooShort, match="8 frames"):
        score(make("eight", frames=8), None)
    with pytest.raises(TooShort, match="no window"):
        score(make("sound of five", seconds=0.2), None)
    with pytest.raises(BadManifest, match="no frames"):
        score(Clip(frames=clip.frames, span=Span(4, 4), fps=25.0, protocol="head", audio=clip.audio), None)
    monkeypatch.setattr(Told, "faces", ())
    with pytest.raises(NoFace, match="0 of 14 frames"):
        score(make("nobody"), None)
    monkeypatch.setattr(Told, "faces", ((20, 20, 130, 130), (140, 20, 250, 130)))
    with pytest.raises(NoFace, match="two faces"):
        score(make("a couple"), None)
    odd = make("odd sizes")
    Image.new("RGB", (100, 100)).save(odd.frame(35))
    with pytest.raises(BadManifest, match="not all 160 x 160"):
        score(odd, None)


def test_weights_that_are_missing_say_so(make: Callable[..., Clip]) -> None:
    with pytest.raises(PrerequisiteError, match="syncnet-v2"):
        SyncDistance(CONFIG, Context())


def test_the_scores_of_two_detectors_never_mix() -> None:
    ours = {cls.faces for cls in (module.SyncDistance, module.SyncConfidence)}
    others = {cls.faces for cls in (module.SyncDistanceMediaPipe, module.SyncConfidenceMediaPipe)}
    assert len(ours) == len(others) == 1
    assert not ours & others
    assert len(MEMORY._known) <= 256
