"""Linear 3-D heads at named landmarks, metres: ICT-FaceKit (MIT) and MediaPipe's rigid canonical face."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.vision import landmarks as marks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

# Metres from the model's own origin to ours, between the ears and a little forward: the head then fills the scene box
# (spec A.4) and the tip of the nose lies at z = +0.09.
_ICT_ORIGIN: Final = (0.0, 0.005, 0.038)
_CANONICAL_ORIGIN: Final = (0.0, -0.003, -0.015)

# The jaw line is soft: its points slide along the edge of the face when the head turns.
WEIGHTS_68: Final = np.concatenate(
    [np.full(17, 0.15), np.full(10, 0.5), np.full(9, 2.0), np.full(12, 1.5), np.full(20, 0.6)]
)


@dataclass(frozen=True, slots=True)
class HeadModel:
    """A linear head at L landmarks, metres, x right, y up, z to the front (spec A.3).

    Args:
        name: what made it.
        mean: [L, 3].
        identity: [I, L, 3]; unit deviation each.
        expression: [E, L, 3]; 0 is neutral, 1 the full shape.
        weights: [L] trust in each landmark, mean 1.
        pick: which of the 478 points are these landmarks; [478, C] -> [L, C].
        one_sided: whether an expression runs from 0 to 1; else 1 is a deviation either way.
    """

    name: str
    mean: NDArray[np.float64]
    identity: NDArray[np.float64]
    expression: NDArray[np.float64]
    weights: NDArray[np.float64]
    pick: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    one_sided: bool = True


def ict_arrays(
    pack: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return ICT-FaceKit's mean [V, 3], identities [30, V, 3] and expressions [E, V, 3] in metres, and quads [Q, 4].

    Expressions that move none of the 68 landmarks (gaze, pupils) are left out: to the tracker they would be directions
    of no consequence.

    Raises:
        AssetMismatch: ``pack`` is not the asset ``ict-facekit`` (an .npz in centimetres).
    """
    try:
        with np.load(pack, allow_pickle=False) as data:
            mean, identity, expression = (data[name].astype(np.float64) / 100 for name in ("neutral", "ident", "expr"))
            moves = np.abs(expression[:, ict_landmarks(data)]).max((1, 2)) > 5e-4
            return mean - np.array(_ICT_ORIGIN), identity, expression[moves], data["quads"].astype(np.int64)
    except (KeyError, ValueError, OSError) as error:
        raise AssetMismatch(
            f"{pack} is not the ICT-FaceKit pack: {error}", hint="synctalk-bench assets verify ict-facekit"
        ) from error


def ict_landmarks(data: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return the vertices of the 68 landmarks from the pack's arrays."""
    return np.array(json.loads(str(data["vertex_indices"]))["idx_to_landmark_verts"])


def ict_head(pack: Path) -> HeadModel:
    """Return the ICT-FaceKit head at its 68 landmarks from the asset ``ict-facekit``."""
    mean, identity, expression, _ = ict_arrays(pack)
    with np.load(pack, allow_pickle=False) as data:
        index = ict_landmarks(data)
    return HeadModel(
        "ict-facekit",
        mean[index],
        identity[:, index],
        expression[:, index],
        WEIGHTS_68 / WEIGHTS_68.mean(),
        marks.to_68,
    )


def canonical_head(obj: Path) -> HeadModel:
    """Return MediaPipe's canonical face (asset ``canonical-face``, an .obj in centimetres) at its 468 points.

    It has neither identity nor expression modes: the identity is a scale of width, height and depth, and only points
    that hardly move in speech are trusted.
    """
    try:
        rows = [line.split()[1:4] for line in obj.read_text().splitlines() if line.startswith("v ")]
        mean = np.array(rows, dtype=np.float64) / 100
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise AssetMismatch(f"{obj} is not a wavefront mesh: {error}") from error
    if mean.shape != (marks.MESH, 3):
        raise AssetMismatch(f"{obj} has {len(mean)} vertices; the canonical face has {marks.MESH}")
    mean = mean - np.array(_CANONICAL_ORIGIN)
    weights = np.ones(marks.MESH)
    weights[mean[:, 1] < mean[2, 1]] = 0.1  # below the nose: mouth and jaw
    weights[list(marks.OVAL)] = 0.2
    stretch = np.stack([0.05 * mean * np.eye(3)[axis] for axis in range(3)])
    return HeadModel(
        "canonical-face",
        mean,
        stretch,
        np.zeros((0, marks.MESH, 3)),
        weights / weights.mean(),
        lambda points: points[..., : marks.MESH, :],
    )
