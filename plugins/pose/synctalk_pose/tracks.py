"""Points of the head followed through a clip by optical flow (spec B.8): the measurements of the bundle adjustment.

The head of a reference frame and that of every other frame are cut out, scaled to 240 x 320 and matched by RAFT-small
directly, so that nothing drifts. RAFT-small predicts one vector a cell of 8 x 8 pixels; the tracks are those vectors
at the cells' centres, not interpolated ones, then made exact by template matching (refine.py) if that is asked for.
Pixel positions here are continuous: the middle of pixel 0 is 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.nn.functional import interpolate

from synctalk_bench.errors import MissingFile, NoFace
from synctalk_bench.vision.flow import CELL, Raft, cells
from synctalk_pose.refine import grey, match, templates

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.protocols import Scene
    from synctalk_pose.geometry import Motion
    from synctalk_pose.refine import Templates

WIDTH: Final = 240  # of the picture that the network sees (spec B.8)
HEIGHT: Final = 320
MARGIN: Final = 10  # pixels around the head mask
_HEAD: Final = (0, 0, 255)  # colour of the head in parsing/{k}.png, as RGB (spec B.3)


@dataclass(frozen=True, slots=True)
class View:
    """The head of one frame as the network sees it.

    Args:
        picture: [3, 320, 240] RGB in [-1, 1], black where the head is not.
        corner: [2] x, y of the cut's top left corner in the frame.
        scale: [2] pixels of the frame in a pixel of ``picture``.
        mask: [H, W] where the head is in the frame.
    """

    picture: Tensor
    corner: Tensor
    scale: Tensor
    mask: NDArray[np.bool_]

    def from_frame(self, place: Tensor) -> Tensor:
        """Return positions [2, ...] of the frame as positions in ``picture``."""
        shape = (2, *[1] * (place.ndim - 1))
        return (place - self.corner.view(shape)) / self.scale.view(shape)

    def to_frame(self, place: Tensor) -> Tensor:
        """Return positions [2, ...] of ``picture`` as positions in the frame."""
        shape = (2, *[1] * (place.ndim - 1))
        return self.corner.view(shape) + self.scale.view(shape) * place

    def holds(self, place: Tensor) -> Tensor:
        """Return whether the positions [2, ...] of the frame lie on the head: [...]."""
        height, width = self.mask.shape
        x, y = place.floor().long()
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        on: Tensor = inside & torch.from_numpy(self.mask)[y.clamp(0, height - 1), x.clamp(0, width - 1)]
        return on


def head_mask(scene: Scene, frame: int) -> NDArray[np.bool_]:
    """Return where the head is in a frame, [H, W]: face_mask/{k}.png, else the head's colour in parsing/{k}.png.

    Raises:
        MissingFile: neither is there.
    """
    try:
        return scene.image("head_mask", frame) > 127
    except MissingFile as error:
        try:
            return np.asarray((scene.image("parsing", frame) == np.array(_HEAD)).all(-1))
        except MissingFile:
            raise MissingFile(
                f"the stabilizer needs the head's mask of every frame, and frame {frame} of '{scene.subject.name}' has "
                f"neither face_mask/{frame}.png nor parsing/{frame}.png",
                hint="'synctalk-bench prepare VIDEO' writes both; or use the poses as they are: "
                "--set pose.use=transforms",
            ) from error


def view(scene: Scene, frame: int) -> View | None:
    """Return the head of a frame, None where its mask is empty."""
    mask = head_mask(scene, frame)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    low = np.maximum([columns[0] - MARGIN, rows[0] - MARGIN], 0)
    high = np.minimum([columns[-1] + MARGIN + 1, rows[-1] + MARGIN + 1], [mask.shape[1], mask.shape[0]])
    cut = (slice(low[1], high[1]), slice(low[0], high[0]))
    pixels = np.where(mask[cut][..., None], scene.image("ori", frame)[cut], 0)
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    picture = interpolate(picture, size=(HEIGHT, WIDTH), mode="bilinear", align_corners=False)[0] / 127.5 - 1
    scale = (high - low) / np.array([WIDTH, HEIGHT])
    return View(picture, torch.from_numpy(low).float(), torch.from_numpy(scale).float(), mask)


@dataclass(frozen=True, slots=True)
class Paths:
    """Where every cell of one reference frame is in every frame.

    Args:
        place: [T, 2, 40, 30] x, y in pixels of the frame.
        seen: [T, 40, 30] whether that lies on the frame's head.
        head: [40, 30] whether the cell lies on the reference's head.
    """

    place: Tensor
    seen: Tensor
    head: Tensor


class _Source:
    """A reference frame: its head, what is known of it, and the paths found so far."""

    def __init__(self, scene: Scene, frame: int, raft: Raft) -> None:
        found = view(scene, frame)
        if found is None:
            raise NoFace(f"frame {frame} of '{scene.subject.name}' was to be the reference and shows no head")
        self.frame, self.view, self.raft = frame, found, raft
        shape = (HEIGHT // CELL, WIDTH // CELL)
        self.middle = (cells(shape)[0] + 0.5) * CELL  # [2, h, w]
        self.features = raft.features(found.picture[None])
        head = found.holds(found.to_frame(self.middle))
        total = scene.subject.frames
        self.paths = Paths(torch.zeros(total, 2, *shape), torch.zeros(total, *shape, dtype=torch.bool), head)

    @cached_property
    def templates(self) -> Templates:
        """The patches around the head's cells."""
        picture = grey(self.view.picture[None]).to(self.raft.device)
        return templates(picture, self.middle[:, self.paths.head].mT.to(self.raft.device))

    def take(self, frames: Sequence[int], views: Sequence[View], features: Tensor, iterations: int) -> None:
        """Add the flow to ``frames``."""
        flow = self.raft.between(self.view.picture, self.features, features, iterations=iterations).cpu()
        for k, target, moved in zip(frames, views, flow, strict=True):
            self.paths.place[k] = target.to_frame(self.middle + moved)
            self.paths.seen[k] = target.holds(self.paths.place[k]) & self.paths.head

    def sharpen(self, frames: Sequence[int], views: Sequence[View], motion: Motion) -> None:
        """Lead the paths in ``frames`` to where the cells' patches are; those not found again count as not seen."""
        head = self.paths.head
        guess = [target.from_frame(self.paths.place[k][:, head]).mT for k, target in zip(frames, views, strict=True)]
        warp = [self._warp(k, target, motion) for k, target in zip(frames, views, strict=True)]
        pictures = grey(torch.stack([target.picture for target in views]).to(self.raft.device))
        device = self.raft.device
        place, like = match(pictures, self.templates, torch.stack(guess).to(device), torch.stack(warp).to(device))
        for k, target, mine, good in zip(frames, views, place.cpu(), like.cpu(), strict=True):
            self.paths.place[k][:, head] = target.to_frame(mine.mT)
            self.paths.seen[k][head] &= good

    def _warp(self, frame: int, target: View, motion: Motion) -> Tensor:
        """Return what ``motion`` does to a small patch that faces the camera, between the two pictures: [2, 2]."""
        turn = (motion.turn[frame] @ motion.turn[self.frame].T)[:2, :2]
        flip = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])  # y of the picture points down
        nearer = float(motion.move[self.frame, 2] / motion.move[frame, 2])
        return turn.float() * flip * nearer * self.view.scale / target.scale[:, None]


def follow(
    scene: Scene,
    raft: Raft,
    references: Sequence[int],
    motion: Motion,
    *,
    iterations: int,
    refine: bool,
    batch: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Paths]:
    """Return the paths of the cells of each reference frame.

    Args:
        references: frames whose head is followed through the whole clip.
        motion: the tracker's, for the patches of the template matching.
        iterations: of RAFT's recurrence; 12 as published.
        refine: follow by template matching where the flow has led to.
        batch: frames at a time.

    Raises:
        MissingFile: the pictures or the head masks are not there.
        NoFace: a reference frame shows no head.
    """
    sources = [_Source(scene, reference, raft) for reference in references]
    total = scene.subject.frames
    for first in range(0, total, batch):
        stop = min(first + batch, total)
        found = {k: target for k in range(first, stop) if (target := view(scene, k)) is not None}
        if found:
            frames, views = list(found), list(found.values())
            features = raft.features(torch.stack([target.picture for target in views]))
            for source in sources:
                source.take(frames, views, features, iterations)
                if refine:
                    source.sharpen(frames, views, motion)
        progress(stop, total)
    return [source.paths for source in sources]


@dataclass(frozen=True, slots=True)
class Tracks:
    """The track matrix: ``place`` [T, K, 2] float64 pixels, ``seen`` [T, K] bool, ``origin`` [K] reference frame."""

    place: Tensor
    seen: Tensor
    origin: Tensor


def gather(paths: Sequence[Paths], references: Sequence[int], chosen: Sequence[Tensor]) -> Tracks:
    """Return the tracks of the ``chosen`` cells (flat indices, one tensor a reference)."""
    place = [path.place.flatten(2)[..., cell].mT for path, cell in zip(paths, chosen, strict=True)]
    seen = [path.seen.flatten(1)[..., cell] for path, cell in zip(paths, chosen, strict=True)]
    origin = [torch.full((len(cell),), frame) for frame, cell in zip(references, chosen, strict=True)]
    return Tracks(torch.cat(place, 1).double(), torch.cat(seen, 1), torch.cat(origin))
