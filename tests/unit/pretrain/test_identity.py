"""A result folder belongs to one training: the same goes on in it, any other is told what differs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synctalk_audio_encoders.pretrain.configs import AvePretrainConfig

from synctalk_bench.errors import ConfigError, Damaged
from synctalk_bench.plugins.manager import plugins
from synctalk_bench.pretrain.corpus import Corpus
from synctalk_bench.pretrain.identity import identity, refuse_another
from synctalk_bench.pretrain.processes import Crew
from synctalk_bench.pretrain.run import Request, pretrain
from synctalk_bench.runner.events import Event
from synctalk_bench.specs import Kind
from synctalk_bench.stages.job import Interrupted

from .conftest import speaking

TINY = replace(AvePretrainConfig().tiny(), sync_steps=2, generator_steps=2, evaluate_every=100)
PEOPLE = Corpus((speaking("ada", 0), speaking("ben", 1)), (speaking("cy", 2, 36),))
OTHERS = Corpus((speaking("ada", 7), speaking("ben", 1)), PEOPLE.held_out)
MORE = Corpus((*PEOPLE.training, speaking("dee", 3)), PEOPLE.held_out)


class Stopping:
    """A display that presses Ctrl-C at a step."""

    def __init__(self, step: int) -> None:
        self.step, self.done = step, 0

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            self.done = event.done
            if event.done == self.step:
                import signal

                signal.raise_signal(signal.SIGINT)

    def close(self) -> None:
        pass


def request(out: Path, **changes: Any) -> Request:
    spec = plugins().find(Kind.AUDIO, "ave").spec
    plain = Request(component=spec, config=TINY, corpus=PEOPLE, out=out, seed=3, device="cpu")
    return replace(plain, **changes)


def test_an_unfinished_training_is_not_gone_on_with_for_another(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        pretrain(request(out), Stopping(1), Crew())
    (state,) = (out / "state").iterdir()
    before = state.read_bytes()
    for changes, said in (
        ({"corpus": OTHERS}, "other clips of the same people"),
        ({"corpus": MORE}, "people learned from: 2 clips of ada, ben there, 3 clips of ada, ben, dee here"),
        ({"config": replace(TINY, sync_lr=0.5)}, "sync_lr is 0.0005 there and 0.5 here"),
        ({"seed": 4}, "seed is 3 there and 4 here"),
    ):
        with pytest.raises(ConfigError) as caught:
            pretrain(request(out, **changes), Stopping(0), Crew())
        assert caught.value.message == f"{out} holds an unfinished training of something else: {said}"
        assert "--out DIR" in caught.value.hint
    assert state.read_bytes() == before
    going = Stopping(0)
    card = pretrain(request(out), going, Crew())
    assert going.done == 4 and card["seed"] == 3
    assert json.loads((out / "card.json").read_text()) == json.loads(json.dumps(card))


def test_what_a_folder_holds(tmp_path: Path) -> None:
    mine = identity("ave", TINY, 0, PEOPLE)
    refuse_another(tmp_path / "nothing", mine)
    (tmp_path / "asked.json").write_text(json.dumps(identity("ave", TINY, 1, OTHERS)))
    refuse_another(tmp_path, mine)  # stopped before anything was saved
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "step-00000001.safetensors").touch()
    with pytest.raises(ConfigError, match="seed is 1 there and 0 here; other clips"):
        refuse_another(tmp_path, mine)
    (tmp_path / "card.json").write_text(json.dumps(mine | {"scores": {}}))
    refuse_another(tmp_path, mine)  # what is finished says what it is
    old = {key: value for key, value in mine.items() if key != "corpus_digest"}
    (tmp_path / "card.json").write_text(json.dumps(old))
    refuse_another(tmp_path, mine)  # cards of before do not say which clips
    for torn in ("{", "[]", "{}", '{"component": "ave", "seed": 0, "config": 5}'):
        (tmp_path / "card.json").write_text(torn)
        with pytest.raises(Damaged, match=r"card\.json cannot be read"):
            refuse_another(tmp_path, mine)
