"""One pre-training from corpus to weights: the function behind ``synctalk-bench pretrain``, usable from Python."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctalk_bench.pretrain.corpus import Corpus
from synctalk_bench.pretrain.identity import ASKED, CARD, STATES, identity, refuse_another
from synctalk_bench.pretrain.processes import Crew
from synctalk_bench.protocols import Context
from synctalk_bench.runner.environment import describe
from synctalk_bench.runner.events import Event
from synctalk_bench.runner.tensorboard import TensorBoard
from synctalk_bench.stages.train import drive
from synctalk_bench.store.atomic import write_json
from synctalk_bench.store.fingerprint import config_fields, digest, file_digest
from synctalk_bench.store.lease import lease
from synctalk_bench.store.tensors import read_state, write_state

if TYPE_CHECKING:
    from types import FrameType

    from synctalk_bench.protocols import Pretraining
    from synctalk_bench.runner.display import Display
    from synctalk_bench.specs import ComponentSpec

WEIGHTS = "encoder.safetensors"
NETWORKS = "networks.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to train and where.

    Args:
        component: whose weights are made; it has a ``pretraining``.
        config: of that pre-training.
        out: the folder of the result; the same request there goes on where it stopped.
        device: ``cpu`` or ``cuda:N``, already checked.
    """

    component: ComponentSpec
    config: Any
    corpus: Corpus
    out: Path
    seed: int
    device: str


def pretrain(request: Request, display: Display, crew: Crew) -> dict[str, Any]:
    """Train to the end and return the card, which is written beside the weights.

    A finished training is only measured, on what it was not measured on before.

    Raises:
        Interrupted: the user stopped it; what was done is saved.
        ConfigError: the folder holds a training of another component, seed or corpus, or with other options.
        Leased: another process trains there.
    """
    card_file = request.out / CARD
    made_from = identity(request.component.name, request.config, request.seed, request.corpus)
    refuse_another(request.out, made_from)
    if card_file.is_file():
        return _finished(request, crew)
    board = TensorBoard(request.out / "tensorboard")
    title, begun = f"pretrain {request.component.name}", time.perf_counter()

    def emit(event: Event) -> None:
        if crew.first:
            display(event)
            board(event)

    first: list[int] = []  # the step that this process began with

    def tell(done: int, total: int) -> None:
        first.append(done - 1) if not first else None
        # As if all steps had gone as fast as ours: what is left is estimated from it.
        spent = (time.perf_counter() - begun) * done / (done - first[0])
        emit(Event(kind="progress", task=title, done=done, total=total, seconds=spent))

    def log(step: int, scalars: Mapping[str, float]) -> None:
        emit(Event(kind="scalars", task=title, done=step, scalars=scalars))

    def say(line: str) -> None:
        emit(Event(kind="note", message=line))

    training = _build(request, say)
    with lease(request.out) if crew.first else _nothing(), _asked_to_stop(say) as stopping:
        if crew.first:
            write_json(request.out / ASKED, made_from)
        crew.wait()  # nobody reads states before the folder is ours
        seconds = drive(
            lambda resume: training.fit(request.corpus, resume=resume),
            training.state,
            request.out / STATES,
            tell=tell,
            log=log,
            stopping=crew.agree(stopping),
            say=say,
            keeps=crew.first,
        )
        card: dict[str, Any] = {}
        if crew.first:
            card = made_from | _finish(request, training, seconds, crew)
            write_json(card_file, card)
    board.close()
    crew.wait()
    return card


def _build(request: Request, say: Callable[[str], None]) -> Pretraining:
    from synctalk_bench.plugins.manager import build

    assert request.component.pretraining is not None
    context = Context(device=request.device, seed=request.seed, say=say)
    training: Pretraining = build(request.component.pretraining, request.config, context)
    return training


def _finish(request: Request, training: Pretraining, seconds: float, crew: Crew) -> dict[str, Any]:
    """Write the weights and all networks, and return the card."""
    write_state(request.out / NETWORKS, training.state())
    weights = request.out / WEIGHTS
    write_state(weights, training.weights())
    return {
        "sha256": file_digest(weights),
        "bytes": weights.stat().st_size,
        "corpus": request.corpus.card(),
        "processes": crew.size,
        "train_seconds": round(seconds, 1),
        "scores": training.evaluate(request.corpus),
        "environment": describe(request.device),
    }


def _finished(request: Request, crew: Crew) -> dict[str, Any]:
    """Return the card of the finished training in ``request.out``, with the scores of all that is to be measured."""
    card: dict[str, Any] = json.loads((request.out / CARD).read_text(encoding="utf-8"))
    corpus = request.corpus.card()
    if crew.first and corpus.keys() - card["corpus"].keys():
        training = _build(request, lambda line: None)
        training.load(read_state(request.out / NETWORKS))
        found = training.evaluate(request.corpus)
        card |= {"corpus": card["corpus"] | corpus, "scores": card["scores"] | found}
        write_json(request.out / CARD, card)
    return card


def folder_name(component: str, config: Any, seed: int, corpus: Corpus) -> str:
    """Return ``ave-<8 hex digits>``: the same for the same component, options, seed and clips."""
    return f"{component}-{digest([config_fields(config), seed, corpus.digests])[:8]}"


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _asked_to_stop(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed; a second one stops at once."""
    asked: list[int] = []
    told: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    def stopping() -> bool:
        if asked and not told:
            told.append(1)
            say("stopping after this step; press Ctrl-C again to stop at once")
        return bool(asked)

    handlers = {s: signal.signal(s, on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
