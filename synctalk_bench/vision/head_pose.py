"""A head pose per frame: one head shape and one focal length for the clip, an expression and a pose for each frame.

A linear head model (identity and expression modes at named landmarks, metres) is fitted to the landmarks of all frames
by alternating between them and the camera of spec A.3:

    X = mean + identity . alpha + offset + expression . beta_t        alpha and offset shared, one beta a frame
    Xc = R(euler_t) X + trans_t,   px = cx - f Xc_x / Xc_z,   py = cy + f Xc_y / Xc_z

The offsets, millimetres at each landmark, take up that a detector's points are not quite the model's: without them the
identity would bend to make the difference up.

The cost is a robust (Huber) landmark error in pixels with weights by landmark, priors on all shapes, and a light
penalty on the second time difference of pose, which takes the detector's jitter out without lagging behind the
head. All frames of a batch move together in L-BFGS steps in double precision. The focal length is searched over
500 ... 1450 px in steps of 50 at 512 pixels, as B.7 does, on a sample of frames, then refined around the best.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.camera import rotation
from synctalk_bench.errors import AssetMismatch, TooShort
from synctalk_bench.vision import landmarks as marks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

TRACKER: Final = "landmark-fit v2"
FOCALS: Final = tuple(range(500, 1500, 50))  # pixels at a picture size of 512 (spec B.7)

# Metres from the model's own origin to ours, between the ears and a little forward: the head then fills the scene box
# (spec A.4) and the tip of the nose lies at z = +0.09.
_ICT_ORIGIN: Final = (0.0, 0.005, 0.038)
_CANONICAL_ORIGIN: Final = (0.0, -0.003, -0.015)

_SEARCH_STEPS: Final = 60
_FRONT: Final = 0.09  # metres from the head's origin to its front
_OFFSET: Final = 0.004  # metres: how far a detector's point may lie from the model's of the same name

# The jaw line is soft: its points slide along the edge of the face when the head turns.
_WEIGHTS_68: Final = np.concatenate(
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
    """

    name: str
    mean: NDArray[np.float64]
    identity: NDArray[np.float64]
    expression: NDArray[np.float64]
    weights: NDArray[np.float64]
    pick: Callable[[NDArray[np.float32]], NDArray[np.float32]]


def ict_head(pack: Path) -> HeadModel:
    """Return the ICT-FaceKit head at its 68 landmarks from the asset ``ict-facekit`` (an .npz in centimetres)."""
    try:
        with np.load(pack, allow_pickle=False) as data:
            index = np.array(json.loads(str(data["vertex_indices"]))["idx_to_landmark_verts"])
            mean = data["neutral"][index].astype(np.float64) / 100
            identity = data["ident"][:, index].astype(np.float64) / 100
            expression = data["expr"][:, index].astype(np.float64) / 100
    except (KeyError, ValueError, OSError) as error:
        raise AssetMismatch(
            f"{pack} is not the ICT-FaceKit pack: {error}", hint="synctalk-bench assets verify ict-facekit"
        ) from error
    # Shapes that do not move any of the 68 points (gaze, pupils) would only add null directions.
    moves = np.abs(expression).max((1, 2)) > 5e-4
    return HeadModel(
        "ict-facekit",
        mean - np.array(_ICT_ORIGIN),
        identity,
        expression[moves],
        _WEIGHTS_68 / _WEIGHTS_68.mean(),
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


@dataclass(frozen=True, slots=True)
class Tracked:
    """The fit: ``euler`` [T, 3] rad, ``trans`` [T, 3] metres, ``focal`` px, shape and how well it reprojects."""

    euler: NDArray[np.float64]
    trans: NDArray[np.float64]
    focal: float
    identity: NDArray[np.float64]  # [I]
    expression: NDArray[np.float64]  # [T, E]
    error: NDArray[np.float64]  # [T, L] pixels
    search: tuple[tuple[float, float], ...]  # (focal, cost)

    def summary(self, weights: NDArray[np.float64]) -> dict[str, float]:
        """Return mean and 95 % of the reprojection error in pixels: over all points, and those of brows, nose, eyes."""
        inner = self.error[:, weights >= weights.mean()]
        return {
            "mean": float(self.error.mean()),
            "p95": float(np.quantile(self.error, 0.95)),
            "rigid_mean": float(inner.mean()),
            "rigid_p95": float(np.quantile(inner, 0.95)),
        }


def _rotations(euler: Tensor) -> Tensor:
    """Return R of spec A.3 for ``euler`` [T, 3]: [T, 3, 3]; the twin of ``folder.rotation`` that has gradients."""
    import torch

    (a, b, c) = euler.unbind(-1)
    ca, sa, cb, sb, cc, sc = a.cos(), a.sin(), b.cos(), b.sin(), c.cos(), c.sin()
    rows = [
        torch.stack([cb * cc, cb * sc, sb], -1),
        torch.stack([sa * sb * cc - ca * sc, sa * sb * sc + ca * cc, -sa * cb], -1),
        torch.stack([-ca * sb * cc - sa * sc, -ca * sb * sc + sa * cc, ca * cb], -1),
    ]
    return torch.stack(rows, -2)


def project(
    points: NDArray[np.float64], euler: NDArray[np.float64], trans: NDArray[np.float64], focal: float, size: int
) -> NDArray[np.float64]:
    """Return the pixels of ``points`` [T, L, 3] (head frame, metres) seen by the camera of spec A.3: [T, L, 2]."""
    seen = points @ np.swapaxes(rotation(euler), -1, -2) + trans[:, None]
    return np.asarray(size / 2 + focal * seen[..., :2] / seen[..., 2:] * np.array([-1.0, 1.0]))


_UNKNOWNS: Final = ("alpha", "offset", "beta", "euler", "trans")


class _Fit:
    """The clip's unknowns at one focal length."""

    def __init__(self, head: HeadModel, observed: NDArray[np.float32], size: int, steps: float) -> None:
        import torch

        self.head, self.size, self.steps = head, size, steps
        self.seen = torch.from_numpy(observed.astype(np.float64))
        self.mean = torch.from_numpy(head.mean)
        self.identity = torch.from_numpy(head.identity)
        self.expression = torch.from_numpy(head.expression)
        self.weights = torch.from_numpy(head.weights)
        self.alpha = torch.zeros(len(head.identity), dtype=torch.float64)
        self.offset = torch.zeros_like(self.mean)
        self.beta = torch.zeros(len(observed), len(head.expression), dtype=torch.float64)
        self.euler = torch.zeros(len(observed), 3, dtype=torch.float64)
        self.trans = torch.zeros(len(observed), 3, dtype=torch.float64)

    def take(self, other: _Fit) -> None:
        """Start from another fit of the same frames."""
        for name in _UNKNOWNS:
            setattr(self, name, getattr(other, name).clone())

    def place(self, focal: float) -> None:
        """Start from a frontal head at the distance and place that the landmarks' extent gives."""
        wide = (self.mean[:, :2].amax(0) - self.mean[:, :2].amin(0)).norm()
        extent = (self.seen.amax(1) - self.seen.amin(1)).norm(dim=-1)
        depth = focal * wide / extent
        centre = self.seen.mean(1) - self.size / 2
        self.trans[:, 0] = centre[:, 0] * depth / focal
        self.trans[:, 1] = -centre[:, 1] * depth / focal
        self.trans[:, 2] = -depth
        self.trans -= self.mean.mean(0)

    def reproject(self, focal: float) -> Tensor:
        import torch

        shape = self.mean + self.offset + torch.einsum("i,ilc->lc", self.alpha, self.identity)
        points = shape + torch.einsum("te,elc->tlc", self.beta, self.expression)
        seen = points @ _rotations(self.euler).mT + self.trans[:, None]
        flip = torch.tensor([-1.0, 1.0], dtype=torch.float64)
        return self.size / 2 + focal * seen[..., :2] / seen[..., 2:] * flip

    def cost(self, focal: float) -> Tensor:
        import torch

        # Pixels at a picture size of 512, so that the priors mean the same for every clip.
        off = (self.reproject(focal) - self.seen) * (512 / self.size)
        far = (off.square().sum(-1) + 1e-8).sqrt()
        huber = torch.where(far < 3, 0.5 * far.square(), 3 * (far - 1.5))
        data = (self.weights * huber).mean()
        prior = 0.3 * self.alpha.square().mean() + 0.3 * (self.offset / _OFFSET).square().sum(-1).mean()
        if self.beta.shape[1]:
            outside = (-self.beta).clamp(min=0).square() + (self.beta - 1).clamp(min=0).square()
            prior = prior + 0.5 * self.beta.square().mean() + 4.0 * outside.mean()
        if len(self.euler) > 2 and self.steps > 0:
            turn = self.euler[2:] - 2 * self.euler[1:-1] + self.euler[:-2]
            move = self.trans[2:] - 2 * self.trans[1:-1] + self.trans[:-2]
            # In pixels that the front of the head moves; depth, which is seen least well, at a third of the price.
            scale = focal * 512 / self.size / self.trans[:, 2].detach().abs().mean()
            parts = torch.cat([turn * _FRONT, move[:, :2], move[:, 2:] * 0.3], -1) * scale
            far = (parts.square().sum(-1) + 1e-8).sqrt()
            # Huber again: a real start or stop of the head may be sudden, the detector's jitter is small.
            prior = prior + self.steps * torch.where(far < 1, 0.5 * far.square(), far - 0.5).mean()
        return data + prior

    def solve(self, focal: float, unknowns: list[str], steps: int) -> float:
        """Move the named unknowns downhill by up to ``steps`` L-BFGS steps and return the cost."""
        import torch

        # Scaled so that a unit of each unknown moves the picture by about as much.
        scales = {"alpha": 1.0, "offset": _OFFSET, "beta": 1.0, "euler": 0.3, "trans": 0.03}
        free = {name: (getattr(self, name) / scales[name]).clone().requires_grad_() for name in unknowns}
        search = torch.optim.LBFGS(
            list(free.values()), max_iter=steps, history_size=20, line_search_fn="strong_wolfe", tolerance_change=1e-10
        )

        def closure() -> Tensor:
            search.zero_grad()
            for name, value in free.items():
                setattr(self, name, value * scales[name])
            cost = self.cost(focal) * len(self.seen)
            cost.backward()  # type: ignore[no-untyped-call]
            return cost

        search.step(closure)  # type: ignore[no-untyped-call]
        for name, value in free.items():
            setattr(self, name, (value * scales[name]).detach())
        with torch.no_grad():
            return float(self.cost(focal))


def track(
    points: NDArray[np.float32],
    size: int,
    head: HeadModel,
    *,
    smoothness: float = 0.3,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tracked:
    """Fit ``head`` to the landmarks of a clip.

    Args:
        points: [T, 478, 2 or 3] pixels.
        size: side of the square frames in pixels; the principal point is its middle.
        head: what is fitted.
        smoothness: how many pixels of landmark error one pixel of unsteadiness is worth; 0 fits each frame alone.
        progress: called with (rounds done, rounds in all).

    Raises:
        TooShort: fewer than three frames.
    """
    import torch

    observed = head.pick(points[..., :2])
    if len(observed) < 3:
        raise TooShort(f"a head cannot be tracked over {len(observed)} frames; at least 3 are needed")
    with torch.random.fork_rng(devices=[]):
        some = np.unique(np.linspace(0, len(observed) - 1, min(len(observed), 48)).astype(int))
        focals = [f * size / 512 for f in FOCALS]
        rounds, done = len(focals) + 9, 0

        common = _Fit(head, observed[some], size, 0.0)
        middle = focals[len(focals) // 2]
        common.place(middle)
        common.solve(middle, ["euler", "trans"], 60)
        common.solve(middle, list(_UNKNOWNS), 300)

        def fitted(focal: float) -> tuple[float, float, _Fit]:
            nonlocal done
            fit = _Fit(head, observed[some], size, 0.0)
            # Every focal length starts from the same fit and takes as many steps, so that their costs compare.
            fit.take(common)
            fit.trans[:, 2] *= focal / middle
            cost = fit.solve(focal, list(_UNKNOWNS), _SEARCH_STEPS)
            done += 1
            progress(done, rounds)
            return focal, cost, fit

        search = [fitted(focal) for focal in focals]
        step = 25.0 * size / 512
        for _ in range(3):
            best = min(search, key=lambda found: found[1])
            near = (best[0] - step, best[0] + step)
            search += [fitted(focal) for focal in near if focals[0] <= focal <= focals[-1]]
            step /= 2
        focal, _, sampled = min(search, key=lambda found: found[1])
        sampled.solve(focal, list(_UNKNOWNS), 300)

        full = _Fit(head, observed, size, smoothness)
        full.alpha, full.offset = sampled.alpha, sampled.offset
        at = np.arange(len(observed))
        for name in ("euler", "trans", "beta"):  # between the sampled frames, start from a straight line
            known = getattr(sampled, name).numpy()
            line = [np.interp(at, some, known[:, c]) for c in range(known.shape[1])]
            setattr(full, name, torch.from_numpy(np.stack(line, -1) if line else np.zeros((len(at), 0))))
        progress(rounds - 2, rounds)
        full.solve(focal, ["euler", "trans"], 80)
        progress(rounds - 1, rounds)
        full.solve(focal, ["beta", "euler", "trans"], 250)
        progress(rounds, rounds)
        error = (full.reproject(focal) - full.seen).norm(dim=-1)
    return Tracked(
        euler=full.euler.numpy(),
        trans=full.trans.numpy(),
        focal=float(focal),
        identity=full.alpha.numpy(),
        expression=full.beta.numpy(),
        error=error.numpy(),
        search=tuple((f, cost) for f, cost, _ in sorted(search, key=lambda found: found[0])),
    )
