"""What a stage function is given: where to write, what to read, whom to tell, and whether to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctalk_bench.config.schema import Choice
from synctalk_bench.errors import SynctalkBenchError
from synctalk_bench.subjects.folder import FolderScene, open_subject

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Subject
    from synctalk_bench.protocols import Context


class Interrupted(SynctalkBenchError):
    """The user asked to stop; everything done so far is saved."""

    exit_code = 130


@dataclass(slots=True)
class Job:
    """One task at work.

    Args:
        directory: the artifact being written; it may hold the remains of an earlier attempt.
        inputs: role -> directory of a finished artifact (``subject``: the subject's folder).
        choice: the component to run; None for stages without one.
        timing: seconds and memory, written beside the result.
    """

    directory: Path
    subject_name: str
    inputs: Mapping[str, Path]
    fingerprints: Mapping[str, str]
    context: Context
    choice: Choice | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    tell: Callable[[int, int], None] = lambda done, total: None
    log: Callable[[int, Mapping[str, float]], None] = lambda step, scalars: None
    stopping: Callable[[], bool] = lambda: False
    timing: dict[str, Any] = field(default_factory=dict)

    def progress(self, done: int, total: int) -> None:
        """Report ``done`` of ``total``; raises Interrupted when the user has asked to stop."""
        self.tell(done, total)
        if self.stopping() and done < total:
            raise Interrupted("stopped at the user's request")

    def note_backend(self, component: object) -> None:
        """Write beside the result which implementation a component resolved to, if it says so (``backend``)."""
        if (backend := getattr(component, "backend", None)) is not None:
            self.timing["backend"] = str(backend)

    def component(self) -> Any:
        """Build the chosen component."""
        from synctalk_bench.plugins.manager import build

        assert self.choice is not None
        return build(self.choice.entry.spec, self.choice.config, self.context)

    @property
    def protocol(self) -> str:
        """The render protocol that the frames of this task belong to (metrics spec 2.3)."""
        assert self.choice is not None
        return str(self.arguments.get("protocol") or self.choice.entry.spec.protocol or "head")

    def subject(self) -> Subject:
        """Return the subject of this task."""
        return open_subject(self.inputs["subject"], name=self.subject_name, digest=self.fingerprints["subject"])

    def scene(self) -> FolderScene:
        """Return the subject with the channels among this task's inputs, and their torso if it is predicted."""
        from synctalk_bench.stages.frames import open_clip
        from synctalk_bench.store.tensors import read_tensor

        channels: dict[str, Tensor] = {
            role.removeprefix("channel:"): read_tensor(path / "values.safetensors")
            for role, path in self.inputs.items()
            if role.startswith("channel:")
        }
        torso = open_clip(self.inputs["torso"]) if "torso" in self.inputs else None
        return FolderScene(self.subject(), channels, torso)
