"""From a score back to what it was made of: the clips, the poses that drove them, what each step cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.stages.frames import open_clip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip, ResultRow
    from synctalk_bench.store.store import Artifact, Store

POSE = "channel:pose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one cell's scores were computed from, as far as the store still has it.

    Args:
        rendered, truth: the clips that were compared; None where the store has none.
        truth_id: the truth's fingerprint: equal for variants that are measured against the same pictures.
        made: everything that the rendered clip was made from, the clip first.
        scores: the score artifacts themselves.
        poses: [T, 4, 4] camera to world in metres, of the clip's frames.
    """

    rendered: Clip | None
    truth: Clip | None
    truth_id: str
    made: tuple[Artifact, ...]
    scores: tuple[Artifact, ...]
    poses: NDArray[np.float64] | None


class Tracer:
    """Looks artifacts up by fingerprint, each once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: dict[str, Artifact | None] = {}

    def artifact(self, fingerprint: str) -> Artifact | None:
        """Return the artifact, finished or not; None when the store has never had it."""
        if fingerprint not in self._found:
            self._found[fingerprint] = self._store.find(fingerprint)
        return self._found[fingerprint]

    def trace(self, rows: Iterable[ResultRow]) -> Trace:
        """Return what the rows of one variant, subject and seed were computed from."""
        scores = tuple(found for row in rows if (found := self.artifact(row.fingerprint)) is not None)
        inputs = scores[0].key.inputs if scores else {}
        rendered = self._clip(inputs.get("rendered", ""))
        made = tuple(self._upstream(inputs.get("rendered", "")))
        truth_id = inputs.get("truth", "")
        return Trace(
            rendered=rendered,
            truth=self._clip(truth_id),
            truth_id=truth_id,
            made=made,
            scores=scores,
            poses=None if rendered is None else self._poses(made, rendered),
        )

    def _clip(self, fingerprint: str) -> Clip | None:
        found = self.artifact(fingerprint) if fingerprint else None
        if found is None or not found.done:
            return None
        try:
            return open_clip(found.path)
        except (OSError, ValueError, KeyError):  # not what was written: as good as gone
            return None

    def _upstream(self, fingerprint: str) -> Iterable[Artifact]:
        seen, waiting = set[str](), [fingerprint]
        while waiting:
            current = waiting.pop(0)
            if current in seen:
                continue
            seen.add(current)
            if (found := self.artifact(current)) is not None:
                yield found
                waiting += found.key.inputs.values()

    def _poses(self, made: Iterable[Artifact], clip: Clip) -> NDArray[np.float64] | None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        track = next((artifact.key.inputs[POSE] for artifact in made if POSE in artifact.key.inputs), "")
        found = self.artifact(track) if track else None
        if found is None or not found.done:
            return None
        try:
            poses = load_file(found.path / "values.safetensors")["values"].astype(np.float64)
        except (OSError, KeyError, SafetensorError):
            return None
        whole = poses.ndim == 3 and poses.shape[1:] == (4, 4) and len(poses) >= clip.span.stop
        return poses[clip.span.first : clip.span.stop] if whole else None
