"""Both stages learn, go on as if never interrupted, and give an encoder that the harness reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from synctalk_audio_encoders.ave import AudioVisualEncoder
from synctalk_audio_encoders.configs import AveConfig
from synctalk_audio_encoders.pretrain.configs import AvePretrainConfig
from synctalk_audio_encoders.pretrain.pretraining import AvePretraining
from synctalk_audio_encoders.pretrain.stage import learning_rate
from synctalk_audio_encoders.pretrain.windows import make_windows

from synctalk_bench.errors import ConfigError
from synctalk_bench.pretrain.corpus import Corpus
from synctalk_bench.protocols import Context, State
from synctalk_bench.store.tensors import read_state, write_state

from .conftest import speaking

TINY = replace(AvePretrainConfig().tiny(), sync_steps=2, generator_steps=2, evaluate_every=100)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus((speaking("ada", 0), speaking("ben", 1)), (speaking("cy", 2, 36),))


@pytest.fixture(scope="module")
def whole(corpus: Corpus) -> AvePretraining:
    """A training from beginning to end."""
    training = AvePretraining(TINY, Context(seed=3))
    steps = list(training.fit(corpus))
    assert [(s.index, s.total, s.phase) for s in steps] == [
        (1, 4, "discriminator"),
        (2, 4, "discriminator"),
        (3, 4, "generator"),
        (4, 4, "generator"),
    ]
    assert {"loss", "lr", "accuracy"} <= steps[0].scalars.keys()
    assert {"loss", "l1", "sync", "similarity"} <= steps[2].scalars.keys()
    assert "held_out_pair_accuracy_5" in steps[1].scalars  # the end of a stage is always measured
    return training


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_resuming_changes_nothing(corpus: Corpus, whole: AvePretraining, stop: int, tmp_path: Path) -> None:
    first = AvePretraining(TINY, Context(seed=3))
    running: Iterator[object] = first.fit(corpus)
    for _ in range(stop):
        next(running)
    write_state(tmp_path / "state", first.state())
    second = AvePretraining(TINY, Context(seed=3))
    list(second.fit(corpus, resume=read_state(tmp_path / "state")))
    ours, theirs = second.state(), whole.state()
    assert ours.values == theirs.values
    assert ours.tensors.keys() == theirs.tensors.keys()
    assert all(torch.equal(value, theirs.tensors[name]) for name, value in ours.tensors.items())


def test_another_trainings_state_is_refused(corpus: Corpus, whole: AvePretraining) -> None:
    for other in (AvePretraining(TINY, Context(seed=4)), AvePretraining(replace(TINY, sync_lr=1.0), Context(seed=3))):
        with pytest.raises(ConfigError, match="another seed or other options"):
            next(other.fit(corpus, resume=whole.state()))
    neutral = AvePretraining(replace(TINY, evaluate_every=7), Context(seed=3))
    neutral.load(whole.state())  # how often it is measured is nobody's business


def test_both_stages_learn(corpus: Corpus) -> None:
    """Shown one batch again and again, each stage's loss falls."""
    training = AvePretraining(replace(TINY, sync_steps=40, generator_steps=40, augment=False), Context())
    for stage, _ in training._stages(make_windows(corpus.training, torch.device("cpu")), {}):
        losses = [float(stage.advance(2)["loss"]) for _ in range(8)]
        assert min(losses[-2:]) < 0.95 * losses[0], stage.name


def test_encoder_is_read_by_the_harness(whole: AvePretraining, tmp_path: Path) -> None:
    file = tmp_path / "encoder.safetensors"
    write_state(file, whole.weights())
    assert file.stat().st_size < 12_000_000  # it is to live in the package
    asked: list[str] = []

    def asset(name: str) -> Path:
        asked.append(name)
        return file

    encoder = AudioVisualEncoder(AveConfig(weights="mine"), Context(asset=asset))
    assert asked == ["mine"]
    wave = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    rows = encoder.encode(wave, 16_000, fps=25.0, frames=25)
    assert rows.shape == (25, 1, 512)
    assert torch.isfinite(rows).all()
    own = whole.weights().tensors
    trained = whole.state().tensors["generator.model.audio.0.conv_block.0.weight"]
    assert torch.equal(own["0.conv_block.0.weight"], trained)


def test_generator_begins_with_the_discriminators_ear(corpus: Corpus) -> None:
    for start, same in (("discriminator", True), ("scratch", False)):
        config = replace(TINY, sync_steps=1, generator_steps=0, start=start)
        training = AvePretraining(config, Context())
        list(training.fit(corpus))
        state = training.state().tensors
        key = "audio.3.conv_block.0.weight"
        painter = training.weights().tensors["3.conv_block.0.weight"]
        assert torch.equal(painter, state[f"discriminator.model.{key}"]) is same


def test_evaluation_scores_true_and_painted_faces(whole: AvePretraining, corpus: Corpus) -> None:
    fresh = AvePretraining(TINY, Context(seed=3))
    state = whole.state()
    fresh.load(State(dict(state.tensors), dict(state.values)))
    scores = fresh.evaluate(Corpus(corpus.training, corpus.held_out, {"more": (speaking("dee", 9, 42),)}))
    assert scores["held_out"]["true_faces"]["windows"] == 36 - 4 - 30
    assert scores["more"]["true_faces"]["windows"] == 42 - 4 - 30
    assert scores["more"]["painted_faces"]["windows"] == 42 - 4 - 4 - 30
    assert 0 < scores["more"]["painted_faces"]["lower_half_l1"] < 1
    assert scores == whole.evaluate(Corpus(corpus.training, corpus.held_out, {"more": (speaking("dee", 9, 42),)}))


def test_learning_rate_rises_and_falls() -> None:
    rates = [learning_rate(1.0, k, 100) for k in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[5] == 1.0
    assert rates[4] == 1.0
    assert all(a >= b for a, b in pairwise(rates[5:]))
    assert rates[-1] == pytest.approx(0.02, abs=0.01)
