"""Poses refined on the pictures: the head model is drawn in the clip's own colours and moved until it fits.

Landmarks say where a dozen features are; the skin between them says how the head lies. From a sample of frames every
vertex takes the mean colour at which it is seen. Then each frame's pose moves downhill on

    mean over covered pixels of sqrt(|gain_t * drawn - frame|^2 + eps^2)  +  pull * (landmark error in pixels)^2

with one gain by frame and colour for the light. Shape and expression stay. Drawing goes through a ``Rasterise``:
pytorch3d's (the extra of that name) in use, any other of the same signature in tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d

from synctalk_bench.errors import MissingExtra
from synctalk_bench.vision.head_models import ict_arrays

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_FACE: Final = 9409  # the first vertices of ICT-FaceKit are its face area, without neck, eyes and mouth
_SAMPLE: Final = 16
_BATCH: Final = 8
_EPS: Final = 0.02  # of a colour in [0, 1]: what noise and compression do
_PULL: Final = 0.002  # a landmark error of one pixel costs as much as this difference of colours
_UNITS: Final = (0.02, 0.02, 0.02, 0.004, 0.004, 0.02)  # radians and metres that a pose's unknowns are counted in


class Rasterise(Protocol):
    """Finds the nearest face at every pixel."""

    def __call__(self, screen: Tensor, faces: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Return the face's number [B, S, S], -1 for none, and barycentric coordinates [B, S, S, 3] with gradients.

        ``screen`` [B, V, 3]: x to the right and y down in pixels, z the distance along the axis; ``faces`` [F, 3].
        """
        ...


def pytorch3d_rasteriser() -> Rasterise:
    """Return pytorch3d's rasteriser.

    Raises:
        MissingExtra: pytorch3d is not installed; it has no wheel for this Python and is built from its source.
    """
    try:
        from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
        from pytorch3d.structures import Meshes
    except ImportError as error:
        raise MissingExtra(
            f"photometric refinement draws with pytorch3d, which is not installed ({error})",
            hint="pip install --no-build-isolation 'git+https://github.com/facebookresearch/pytorch3d@v0.7.9' "
            "(about half an hour), or leave --refine photometric out",
        ) from error

    def rasterise(screen: Tensor, faces: Tensor, size: int) -> tuple[Tensor, Tensor]:
        # Its own space: x to the left, y up, the square picture from -1 to 1.
        place = torch.cat([1 - screen[..., :2] * (2 / size), screen[..., 2:]], -1)
        meshes = Meshes(verts=list(place), faces=[faces] * len(place))
        found, _, weights, _ = rasterize_meshes(
            meshes, image_size=size, blur_radius=0.0, faces_per_pixel=1, perspective_correct=True, cull_backfaces=False
        )
        first = torch.arange(len(place), device=found.device)[:, None, None] * len(faces)
        face = found[..., 0]  # numbered through the whole batch
        return torch.where(face >= 0, face - first, -1), weights[..., 0, :]

    return rasterise


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseHead:
    """A head as a mesh: ``mean`` [V, 3], ``identity`` [I, V, 3], ``expression`` [E, V, 3] metres, ``faces`` [F, 3]."""

    mean: NDArray[np.float64]
    identity: NDArray[np.float64]
    expression: NDArray[np.float64]
    faces: NDArray[np.int64]

    def shapes(self, identity: NDArray[np.float64], expression: NDArray[np.float64]) -> Tensor:
        """Return the vertices for ``identity`` [I] and ``expression`` [T, E]: [T, V, 3] float32."""
        still = self.mean + np.tensordot(identity, self.identity, 1)
        return torch.from_numpy((still + np.tensordot(expression, self.expression, 1)).astype(np.float32))


def ict_mesh(pack: Path) -> DenseHead:
    """Return the face of ICT-FaceKit whose unknowns are those of ``head_models.ict_head``.

    Raises:
        AssetMismatch: ``pack`` is another file.
    """
    mean, identity, expression, quads = ict_arrays(pack)
    quads = quads[(quads < _FACE).all(1)]
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return DenseHead(
        mean=mean[:_FACE], identity=identity[:, :_FACE], expression=expression[:, :_FACE], faces=faces.astype(np.int64)
    )


def rotations(euler: Tensor) -> Tensor:
    """Return R of spec A.3 for ``euler`` [T, 3] with gradients: [T, 3, 3]."""
    (a, b, c) = euler.unbind(-1)
    ca, sa, cb, sb, cc, sc = a.cos(), a.sin(), b.cos(), b.sin(), c.cos(), c.sin()
    rows = [
        torch.stack([cb * cc, cb * sc, sb], -1),
        torch.stack([sa * sb * cc - ca * sc, sa * sb * sc + ca * cc, -sa * cb], -1),
        torch.stack([-ca * sb * cc - sa * sc, -ca * sb * sc + sa * cc, ca * cb], -1),
    ]
    return torch.stack(rows, -2)


def to_screen(points: Tensor, pose: Tensor, focal: float, size: int) -> Tensor:
    """Return pixels and distance of ``points`` [B, V, 3] for ``pose`` [B, 6] (rad, m; spec A.3): [B, V, 3]."""
    seen = points @ rotations(pose[:, :3]).mT + pose[:, None, 3:]
    far = -seen[..., 2:]
    return torch.cat([size / 2 + focal * seen[..., :1] / far, size / 2 - focal * seen[..., 1:2] / far, far], -1)


def draw(screen: Tensor, faces: Tensor, colours: Tensor, size: int, rasterise: Rasterise) -> tuple[Tensor, Tensor]:
    """Return the mesh with vertex ``colours`` [V, C]: [B, S, S, C], and where it covers the picture: [B, S, S] bool."""
    face, weights = rasterise(screen, faces, size)
    corner = colours[faces[face.clamp(min=0)]]  # [B, S, S, 3, C]
    return (weights[..., None] * corner).sum(-2), face >= 0


def _inner(covered: Tensor) -> Tensor:
    """Return ``covered`` [B, S, S] without its outermost pixels, whose colour is partly that of what lies behind."""
    return -max_pool2d(-covered[:, None].float(), 3, 1, 1)[:, 0]


def _sampled(pictures: Tensor, screen: Tensor) -> Tensor:
    """Return the colours of ``pictures`` [B, S, S, 3] at ``screen`` [B, V, 2+]: [B, V, 3]."""
    at = screen[:, :, None, :2] * (2 / pictures.shape[1]) - 1
    return grid_sample(pictures.movedim(-1, 1), at, align_corners=False, padding_mode="border")[..., 0].mT


def vertex_colours(pictures: Tensor, screen: Tensor, faces: Tensor, rasterise: Rasterise) -> tuple[Tensor, Tensor]:
    """Return each vertex's mean colour over the ``pictures`` [B, S, S, 3] that show it, [V, 3]; how many do, [V]."""
    face, _ = rasterise(screen, faces, pictures.shape[1])
    seen = torch.zeros(screen.shape[:2], dtype=pictures.dtype)
    for k, found in enumerate(face):
        seen[k, faces[found[found >= 0].unique()].flatten()] = 1
    inner = _inner(face >= 0)[..., None].expand(-1, -1, -1, 3)
    within = ((screen[..., :2] > 0) & (screen[..., :2] < pictures.shape[1])).all(-1)
    seen = seen * (within & (_sampled(inner, screen)[..., 0] > 0.99))
    total = (_sampled(pictures, screen) * seen[..., None]).sum(0)
    return total / seen.sum(0).clamp(min=1)[:, None], seen.sum(0)


def photometric_loss(drawn: Tensor, covered: Tensor, pictures: Tensor, gain: Tensor) -> Tensor:
    """Return each frame's mean colour difference over the covered pixels but their rim: [B]; ``gain`` [B, 3]."""
    off = (drawn * gain[:, None, None] - pictures).square().sum(-1)
    far, inner = (off + _EPS**2).sqrt() - _EPS, _inner(covered)
    return (far * inner).sum((1, 2)) / inner.sum((1, 2)).clamp(min=1)


def refine(
    shapes: Tensor,
    marks: Tensor,
    observed: Tensor,
    weights: Tensor,
    pose: Tensor,
    focal: float,
    faces: Tensor,
    pictures: Callable[[list[int]], Tensor],
    size: int,
    rasterise: Rasterise,
    *,
    steps: int = 40,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Return the poses, [T, 6] rad and m, that fit pictures and landmarks.

    Args:
        shapes: [T, V, 3] vertices in the head's frame, metres.
        marks: [T, L, 3] landmarks in the head's frame.
        observed, weights: [T, L, 2] pixels and [L].
        pose: [T, 6] from which to start.
        focal: pixels.
        faces: [F, 3].
        pictures: frame numbers to [B, S, S, 3] float32 in [0, 1].
        size: S.
        rasterise: what draws.
        steps: of Adam, by frame.
        progress: called with (frames done, frames in all).
    """
    count = len(pose)
    some = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int)).tolist()
    with torch.no_grad():
        screen = to_screen(shapes[some], pose[some], focal, size)
        colours, seen = vertex_colours(pictures(some), screen, faces, rasterise)
    faces = faces[(seen[faces] > 0).all(1)]  # what was never seen has no colour
    unit, found = torch.tensor(_UNITS), pose.clone()
    for first in range(0, count, _BATCH):
        at = list(range(first, min(first + _BATCH, count)))
        truth = pictures(at)
        move = torch.zeros(len(at), 6, requires_grad=True)
        gain = torch.ones(len(at), 3, requires_grad=True)
        search = torch.optim.Adam([{"params": [move], "lr": 0.1}, {"params": [gain], "lr": 0.02}])
        fade = torch.optim.lr_scheduler.CosineAnnealingLR(search, steps)
        for _ in range(steps):
            search.zero_grad()
            now = pose[at] + move * unit
            drawn, covered = draw(to_screen(shapes[at], now, focal, size), faces, colours, size, rasterise)
            off = (to_screen(marks[at], now, focal, size)[..., :2] - observed[at]) * (512 / size)
            pull = (weights * off.square().sum(-1)).mean(1)
            loss = (photometric_loss(drawn, covered, truth, gain) + _PULL * pull).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            search.step()
            fade.step()
        found[at] = (pose[at] + move * unit).detach()
        progress(at[-1] + 1, count)
    return found
