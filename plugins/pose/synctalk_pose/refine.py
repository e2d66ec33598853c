"""Tracks made exact by template matching: Lucas-Kanade from where optical flow has brought each keypoint.

RAFT-small is right within about a pixel, and its error drifts with the pose, which a bundle adjustment cannot average
away. So a patch around each keypoint of the reference frame is matched in every frame by Gauss-Newton steps on its
shift, after a linear fit of brightness and contrast, since a head turns under lamps that stay. The patch is turned and
scaled as the tracker's pose says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.nn.functional import conv2d, grid_sample, pad

if TYPE_CHECKING:
    from torch import Tensor

HALF: Final = 7  # pixels from the middle of a patch to its edge
STEPS: Final = 6
REACH: Final = 4.0  # pixels that a keypoint may be led away from where the flow put it
LIKENESS: Final = 0.8  # correlation with the template below which a match is none
_BLUR: Final = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def grey(pictures: Tensor) -> Tensor:
    """Return slightly blurred brightness [N, 1, H, W] of ``pictures`` [N, 3, H, W]."""
    luma = (pictures * pictures.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    kernel = pictures.new_tensor(_BLUR)
    luma = conv2d(pad(luma, (2, 2, 2, 2), mode="replicate"), kernel.view(1, 1, 1, 5))
    return conv2d(luma, kernel.view(1, 1, 5, 1))


def sample(pictures: Tensor, place: Tensor) -> Tensor:
    """Return brightness [N, ...] of ``pictures`` [N, 1, H, W] at positions [N, ..., 2] in pixels."""
    height, width = pictures.shape[-2:]
    at = 2 * place / place.new_tensor([width, height]) - 1
    found = grid_sample(
        pictures, at.flatten(1, -2)[:, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return found[:, 0, 0].view(place.shape[:-1])


@dataclass(frozen=True, slots=True)
class Templates:
    """The patches of K keypoints, n pixels each.

    Args:
        centre: [K, 2] positions in the reference picture.
        offsets: [n, 2] pixels.
        unit: [K, n] brightness less its mean, of length 1.
        slope: [K, n, 2] of ``unit``, brightness and contrast projected out.
        inverse: [K, 2, 2] of the slopes' Gram matrix.
    """

    centre: Tensor
    offsets: Tensor
    unit: Tensor
    slope: Tensor
    inverse: Tensor


def templates(picture: Tensor, centre: Tensor) -> Templates:
    """Return the patches of ``picture`` [1, 1, H, W] around ``centre`` [K, 2]."""
    along = torch.arange(-HALF, HALF + 1, device=centre.device, dtype=centre.dtype)
    offsets = torch.cartesian_prod(along, along)
    round_ = offsets[offsets.norm(dim=1) <= HALF + 0.5]
    place = (centre[:, None] + round_)[None]
    patch = sample(picture, place)[0]
    step = torch.eye(2, device=centre.device, dtype=centre.dtype) / 2
    slope = torch.stack([(sample(picture, place + e) - sample(picture, place - e))[0] for e in step], -1)
    flat = patch - patch.mean(1, keepdim=True)
    length = flat.norm(dim=1, keepdim=True).clamp(min=1e-6)
    unit = flat / length
    slope = (slope - slope.mean(1, keepdim=True)) / length[..., None]
    slope = slope - unit[..., None] * (unit[..., None] * slope).sum(1, keepdim=True)
    eye = torch.eye(2, device=centre.device, dtype=centre.dtype)
    inverse = torch.linalg.inv(slope.mT @ slope + 1e-6 * eye)
    return Templates(centre, round_, unit, slope, inverse)


def match(pictures: Tensor, known: Templates, place: Tensor, warp: Tensor) -> tuple[Tensor, Tensor]:
    """Return positions [N, K, 2] in ``pictures`` [N, 1, H, W] at which the patches match best, and which do, [N, K].

    Args:
        place: [N, K, 2] first guesses.
        warp: [N, 2, 2] from offsets in the reference picture to offsets in each picture.
    """
    offsets = known.offsets @ warp.mT  # [N, n, 2]
    found = place.clone()
    likeness = torch.zeros_like(place[..., 0])
    for _ in range(STEPS):
        patch = sample(pictures, found[:, :, None] + offsets[:, None])
        patch = patch - patch.mean(-1, keepdim=True)
        unit = patch / patch.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        likeness = (unit * known.unit).sum(-1)
        # unit = a template(shifted) + noise: the shift in the reference's axes, carried over by the warp.
        off = torch.einsum("tkn,knc->tkc", unit / likeness[..., None].clamp(min=0.3), known.slope)
        shift = torch.einsum("kcd,tkd->tkc", known.inverse, off)
        length = shift.norm(dim=-1, keepdim=True)
        shift = shift * (2 / length.clamp(min=2))
        found = found - shift @ warp.mT
    return found, (likeness > LIKENESS) & ((found - place).norm(dim=-1) < REACH)
