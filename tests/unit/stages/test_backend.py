"""Which implementation made a result stands beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from synctalk_bench.artifacts import Camera, Span, Subject
from synctalk_bench.protocols import Context, State, Step
from synctalk_bench.stages.job import Job
from synctalk_bench.stages.train import train


class Stepper:
    """A component that resolves its implementation while it trains."""

    backend = "undecided"

    def fit(self, scene: Any, span: Span, *, resume: State | None = None) -> Any:
        self.backend = "reference"
        yield Step(index=1, total=1, phase="head")

    def state(self) -> State:
        return State({"x": torch.zeros(1)}, {})


class Scene:
    subject = Subject(
        name="s", root=Path(), fps=25.0, height=1, width=1, frames=2, camera=Camera(focal=1.0, cx=0.5, cy=0.5),
        train=Span(0, 1), test=Span(1, 2), digest="",
    )  # fmt: skip


def test_training_records_what_was_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(directory=tmp_path, subject_name="s", inputs={}, fingerprints={}, context=Context())
    monkeypatch.setattr(Job, "component", lambda self: Stepper())
    monkeypatch.setattr(Job, "scene", lambda self: Scene())
    train(job)
    assert job.timing["backend"] == "reference"


def test_a_component_without_a_choice_records_none() -> None:
    job = Job(directory=Path(), subject_name="s", inputs={}, fingerprints={}, context=Context())
    job.note_backend(object())
    assert job.timing == {}
