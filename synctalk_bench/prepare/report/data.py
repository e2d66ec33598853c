"""What a subject's folder knows about itself, read for the page; a folder made elsewhere knows less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.prepare.probes.finding import Finding
from synctalk_bench.prepare.record import Record
from synctalk_bench.subjects.files import read_record
from synctalk_bench.subjects.folder import FolderScene, open_subject
from synctalk_bench.subjects.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that the page shows.

    Args:
        subject: the folder, checked.
        record: subject.json; empty for a folder made elsewhere.
        steps: the entries of prepare.json by step name; empty for a folder made elsewhere.
        findings: of all steps.
        probe, sync: per-frame values of .prepare; empty when they are not there.
        poses: [T, 4, 4] camera to world, metres.
        marks: [T, 68, 2] pixels.
        wave: the sound, 16 kHz mono.
    """

    subject: Subject
    record: Mapping[str, Any]
    steps: Mapping[str, Any]
    findings: tuple[Finding, ...]
    probe: Mapping[str, NDArray[Any]]
    sync: Mapping[str, NDArray[Any]]
    poses: NDArray[np.float64]
    marks: NDArray[np.float64]
    wave: NDArray[np.float32]

    @property
    def layout(self) -> Layout:
        """The folder's names."""
        return Layout(self.subject.root)

    def found(self, step: str) -> Mapping[str, Any]:
        """Return what a step found; empty when it was not done here."""
        found: Mapping[str, Any] = self.steps.get(step, {}).get("found", {})
        return found


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def read(root: Path, name: str) -> Seen:
    """Return what the folder ``root`` knows.

    Raises:
        SubjectError: it is not a usable subject.
    """
    subject = open_subject(root, name=name, digest="")
    scene = FolderScene(subject)
    steps = {step: entry for step, entry in Record(root).steps.items() if entry.get("done")}
    findings = [Finding.from_json(value) for entry in steps.values() for value in entry["found"].get("findings", ())]
    return Seen(
        subject=subject,
        record=read_record(root)[0],
        steps=steps,
        findings=tuple(findings),
        probe=_arrays(root / ".prepare" / "probe.npz"),
        sync=_arrays(root / ".prepare" / "sync.npz"),
        poses=scene.poses("transforms"),
        marks=np.stack([scene.landmarks(k) for k in range(subject.frames)]).astype(np.float64),
        wave=scene.audio()[0],
    )
