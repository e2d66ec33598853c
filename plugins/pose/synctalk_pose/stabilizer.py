"""The Head-Sync Stabilizer (paper section 3.3, Eq. 5-8; spec B.8): flow, keypoints, bundle adjustment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from synctalk_bench.errors import BadManifest, MissingFile, NoFace, TooShort
from synctalk_bench.vision.flow import load_raft
from synctalk_pose import adam, levenberg
from synctalk_pose.adjustment import Problem, Solution, Weights, first_points
from synctalk_pose.geometry import Motion
from synctalk_pose.keypoints import choose, reference_frames
from synctalk_pose.tracks import Paths, Tracks, follow, gather, head_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.artifacts import Origin
    from synctalk_bench.protocols import Context, Scene
    from synctalk_pose.configs import BundleAdjustmentConfig

_SHORTEST: Final = 3  # frames that have a second time difference
_FEWEST: Final = 3  # keypoints that say where a rigid head is
_QUIET: Final = 10.0  # seconds between two lines of progress
_BATCH: Final = {"cpu": 4, "cuda": 32}  # frames at a time


class Stabilizer:
    """Poses from a bundle adjustment of points that optical flow follows on the head."""

    origin: Origin = "stabilised"

    def __init__(self, config: BundleAdjustmentConfig, context: Context) -> None:
        self._config = config
        self._context = context

    def track(self, scene: Scene) -> Tensor:
        """Return camera-to-world matrices in metres: [T, 4, 4] float32.

        Raises:
            MissingFile: the poses to start from, the pictures or the head masks are not there; it says which.
            BadManifest: the poses do not fit the clip.
            TooShort: fewer than three frames.
            MissingAsset, AssetMismatch: the flow network's weights.
        """
        raw = self._start(scene)
        with torch.no_grad():
            tracks = self.keypoints(*self.paths(scene, raw))
            start = Motion.of(torch.from_numpy(raw))
            solution = self.adjust(scene, tracks, start)
        self._context.say(self._summary(scene, tracks, start, solution))
        return solution.motion.poses().cpu().float()

    def _start(self, scene: Scene) -> NDArray[np.float64]:
        subject = scene.subject
        try:
            poses = np.asarray(scene.poses(self._config.start), np.float64)
        except MissingFile as error:
            if self._config.start == "transforms":
                raise
            raise MissingFile(
                f"{error.message}; the stabilizer starts from it",
                hint="stabilise the poses of the transforms files: --set pose.start=transforms, "
                "or use them as they are: --set pose.use=transforms",
            ) from error
        if poses.shape != (subject.frames, 4, 4) or not np.isfinite(poses).all():
            raise BadManifest(
                f"the {self._config.start} poses of '{subject.name}' have shape {poses.shape} or are not finite; "
                f"expected ({subject.frames}, 4, 4)"
            )
        if subject.frames < _SHORTEST:
            raise TooShort(f"'{subject.name}' has {subject.frames} frames; the stabilizer needs {_SHORTEST}")
        return poses

    def paths(self, scene: Scene, poses: NDArray[np.float64]) -> tuple[list[Paths], list[int]]:
        """Return the paths of all cells of the head and the reference frames that ``poses`` suggest for them."""
        config, context = self._config, self._context
        shown = np.array([head_mask(scene, k).any() for k in range(scene.subject.frames)])
        if shown.sum() < _SHORTEST:
            raise NoFace(
                f"the head masks of '{scene.subject.name}' show a head in {shown.sum()} frames",
                hint="prepare the video again: synctalk-bench prepare VIDEO --from parsing",
            )
        raft = load_raft(context.asset(config.flow), context.device, asset=config.flow)
        references = reference_frames(poses, shown, config.references)
        paths = follow(
            scene,
            raft,
            references,
            Motion.of(torch.from_numpy(poses)),
            iterations=config.flow_steps,
            refine=config.refine,
            batch=_BATCH[torch.device(context.device).type],
            progress=progress_lines("optical flow", context.say),
        )
        return paths, references

    def keypoints(self, paths: list[Paths], references: list[int]) -> Tracks:
        """Return the tracks of the cells that become keypoints."""
        config = self._config
        return gather(paths, references, [choose(path, config.keypoints, config.points) for path in paths])

    def adjust(self, scene: Scene, tracks: Tracks, start: Motion) -> Solution:
        """Return the bundle adjustment of ``tracks`` from the motion ``start``."""
        config, subject = self._config, scene.subject
        knee = config.knee * subject.width / 512 if config.knee else torch.inf
        weights = Weights(knee=knee, prior=config.prior, smoothness=config.smoothness)
        problem = Problem(tracks.place, tracks.seen.double(), start, subject.camera, weights)
        tell = progress_lines("bundle adjustment", self._context.say)
        if config.solver == "adam":
            on = problem.to(self._context.device, torch.float32)
            zeros = torch.zeros(tracks.place.shape[1], 3, device=self._context.device)
            return adam.solve(on, zeros, steps=config.adam_steps, progress=tell)
        first = levenberg.solve(problem, first_points(tracks, start, subject.camera), progress=tell)
        # What moves by itself (lids, brows, lips) does not fit a rigid head: out with it, and once more from there.
        loose = problem.loose(first)
        return levenberg.solve(problem.without(loose), first.points, motion=first.motion, progress=tell)

    def _summary(self, scene: Scene, tracks: Tracks, start: Motion, solution: Solution) -> str:
        """Return one line on how well the keypoints fit and how much steadier the motion is."""
        problem = Problem(tracks.place, tracks.seen.double(), start, scene.subject.camera, Weights())
        motion = Motion(solution.motion.turn.cpu().double(), solution.motion.move.cpu().double())
        far = problem.residual(motion, solution.points.cpu().double()).norm(dim=-1)[tracks.seen]
        before, after = (float(problem.jolts(m).norm(dim=1).mean()) for m in (start, motion))
        blind = int((tracks.seen.sum(1) < _FEWEST).sum())
        return (
            f"stabilised {len(tracks.place)} poses on {tracks.place.shape[1]} keypoints: they fit within "
            f"{float(far.median()):.2f} px (median), unsteadiness {before:.2f} -> {after:.2f} px a frame squared"
            + (
                f"; {blind} frames show fewer than {_FEWEST} of them: tracker and neighbours decide there"
                if blind
                else ""
            )
        )


def progress_lines(what: str, say: Callable[[str], None]) -> Callable[[int, int], None]:
    """Return a ``progress(done, total)`` that says a line with the time left, at most one in ten seconds."""
    begun = last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _QUIET and done < total:
            last, left = now, (now - begun) / done * (total - done)
            say(f"{what}: {done}/{total}, about {int(left // 60)}:{int(left % 60):02d} left")

    return tell
