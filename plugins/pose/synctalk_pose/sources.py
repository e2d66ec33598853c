"""Head poses that the subject's folder holds, as camera-to-world matrices in metres (spec A.2, A.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from synctalk_bench.errors import BadManifest
from synctalk_pose.configs import PoseConfig
from synctalk_pose.smooth import smooth_path

if TYPE_CHECKING:
    from synctalk_bench.artifacts import Origin
    from synctalk_bench.protocols import Context, Scene


class _Captured:
    """A pose that was read, not made up."""

    source: Literal["tracker", "transforms"]
    origin: Origin = "captured"

    def __init__(self, config: PoseConfig, context: Context) -> None:
        self._window = config.smooth_window

    def track(self, scene: Scene) -> Tensor:
        """Return camera-to-world matrices in metres: [T, 4, 4] float32.

        Raises MissingFile when the file behind it is not there, BadManifest when it does not fit the clip.
        """
        poses = np.asarray(scene.poses(self.source), np.float64)
        if poses.shape != (scene.subject.frames, 4, 4) or not np.isfinite(poses).all():
            raise BadManifest(
                f"the {self.source} poses of '{scene.subject.name}' have shape {poses.shape} or are not finite; "
                f"expected ({scene.subject.frames}, 4, 4)"
            )
        return torch.from_numpy(smooth_path(poses, self._window).astype(np.float32))


class TrackerPose(_Captured):
    """The pose of ``track_params.pt``: what the face tracker measured."""

    source = "tracker"


class TransformsPose(_Captured):
    """The pose of ``transforms_{train,val}.json``.

    Its origin reads ``captured``: the files do not say whether a stabiliser wrote them (the official May set's did).
    """

    source = "transforms"
