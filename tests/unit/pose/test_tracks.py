"""Keypoints, template matching and masks, each on what is known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from synctalk_pose.geometry import Motion, exponential, project
from synctalk_pose.keypoints import choose, reference_frames, unsteadiness
from synctalk_pose.refine import grey, match, sample, templates
from synctalk_pose.tracks import Paths, View, _Source, gather, head_mask, view
from torch.nn.functional import affine_grid, grid_sample, interpolate

from synctalk_bench.artifacts import Camera
from synctalk_bench.camera import camera_to_world
from synctalk_bench.errors import MissingFile
from synctalk_bench.testing.memory_scene import MemoryScene


def texture(seed: int = 0) -> torch.Tensor:
    """A smooth random picture, [1, 3, 96, 96] in [-1, 1]."""
    coarse = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return interpolate(coarse, size=(96, 96), mode="bicubic").clamp(-1, 1)


def places() -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(28.0, 70, 8), torch.arange(28.0, 70, 8))


def moved(picture: torch.Tensor, matrix: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Return the picture whose point matrix (x - 48) + 48 + shift shows what ``picture`` shows at x."""
    back = torch.linalg.inv(matrix)
    theta = torch.cat([back, (-(back @ shift) / 48)[:, None]], 1)[None]
    grid = affine_grid(theta, list(picture.shape), align_corners=False)
    return grid_sample(picture, grid, mode="bicubic", align_corners=False, padding_mode="border")


def test_matching_is_right_to_a_fiftieth_of_a_pixel_whatever_the_light() -> None:
    picture = texture()
    angle, shift = 0.08, torch.tensor([1.3, -0.7])
    matrix = 1.03 * torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    target = 0.6 * moved(picture, matrix, shift) + 0.2
    expected = (places() - 48) @ matrix.T + 48 + shift
    guess = expected + torch.tensor([1.2, -1.5])
    known = templates(grey(picture), places())
    found, like = match(grey(target), known, guess[None], matrix[None])
    assert like.all()
    assert float((found[0] - expected).norm(dim=1).mean()) < 0.02


def test_what_is_not_there_is_not_matched() -> None:
    known = templates(grey(texture()), places())
    _, like = match(grey(texture(seed=1)), known, places()[None], torch.eye(2)[None])
    assert like.float().mean() < 0.1


def test_a_patch_is_warped_as_the_camera_sees_it_turn_and_come_nearer() -> None:
    def seen_as(scale: list[float]) -> View:
        return View(torch.zeros(3, 320, 240), torch.zeros(2), torch.tensor(scale), np.ones((1, 1), bool))

    turns = torch.tensor([[0.1, -0.2, 0.05], [0.15, 0.1, 0.55]], dtype=torch.float64)
    motion = Motion(exponential(turns), torch.tensor([[0.0, 0, -0.9], [0.0, 0, -0.7]], dtype=torch.float64))
    source, target = _Source.__new__(_Source), seen_as([1.2, 0.7])
    source.frame, source.view = 0, seen_as([0.8, 1.1])
    # A hundredth of a pixel along x and along y in the reference's picture, as points of the head, drawn in frame 1.
    step = 0.01 * torch.diag(torch.tensor([0.8, 1.1])).double() * 0.9 / 1200
    facing = torch.cat([step * torch.tensor([1.0, -1.0]), torch.zeros(2, 1)], 1)  # camera axes: y up
    drawn = project(facing @ motion.turn[0] @ motion.turn[1].T + motion.move[1], Camera(focal=1200.0, cx=0.0, cy=0.0))
    expected = (drawn / torch.tensor([1.2, 0.7])).T / 0.01
    assert torch.allclose(source._warp(1, target, motion).double(), expected, atol=1e-3)
    assert expected[1, 0] < -0.3, "anticlockwise in axes with y up: what points right turns up, to smaller rows"


def test_sample_counts_pixels_from_their_corners() -> None:
    picture = torch.arange(12.0).view(1, 1, 3, 4)
    found = sample(picture, torch.tensor([[[0.5, 0.5], [3.5, 2.5], [1.0, 0.5]]]))
    assert torch.allclose(found, torch.tensor([[0.0, 11.0, 0.5]]), atol=1e-5)


@dataclass
class _Moving:
    """Cells that all drift; the left half also trembles."""

    paths: Paths

    @classmethod
    def make(cls) -> _Moving:
        time = torch.arange(20.0)[:, None, None]
        place = torch.zeros(20, 2, 4, 6) + time[:, None] * 0.5
        place[:, 0, :, :3] += 0.4 * (-1) ** time
        head = torch.ones(4, 6, dtype=torch.bool)
        head[0] = False
        return cls(Paths(place, head.expand(20, 4, 6).clone(), head))


def test_unsteadiness_is_half_the_second_difference() -> None:
    found = unsteadiness(_Moving.make().paths)
    assert torch.isinf(found[0]).all()
    assert torch.allclose(found[1:, :3], torch.tensor(0.8)) and torch.allclose(found[1:, 3:], torch.tensor(0.0))


def test_a_jerk_of_the_whole_head_is_left_out() -> None:
    moving = _Moving.make()
    moving.paths.place[10:] += 50.0
    assert torch.allclose(unsteadiness(moving.paths)[1:, 3:], torch.tensor(0.0))


@pytest.mark.parametrize(("rule", "left"), [("steady", 0), ("moving", 9), ("all", 4)])
def test_rules_choose_what_they_say(rule: Any, left: int) -> None:
    cells = choose(_Moving.make().paths, rule, 9)
    assert len(cells) == 9 and cells.unique().equal(cells)
    assert (cells >= 6).all(), "all on the head"
    assert abs(int((cells % 6 < 3).sum()) - left) <= 1


def test_gather_keeps_cell_frame_and_reference_together() -> None:
    paths = _Moving.make().paths
    tracks = gather([paths, paths], [3, 7], [torch.tensor([7, 9]), torch.tensor([11])])
    assert tracks.place.shape == (20, 3, 2) and tracks.origin.tolist() == [3, 3, 7]
    assert torch.equal(tracks.place[5, 1], paths.place[5, :, 1, 3].double())


def test_references_are_the_middle_and_the_extremes() -> None:
    yaw = np.linspace(-0.4, 0.4, 41)
    poses = camera_to_world(np.stack([0 * yaw, yaw, 0 * yaw], 1), np.tile([0, 0, -0.8], (41, 1)))
    assert reference_frames(poses, np.ones(41, bool), 3) == [20, 0, 40]
    usable = np.ones(41, bool)
    usable[20] = False
    assert reference_frames(poses, usable, 1)[0] in (19, 21)


class _Without(MemoryScene):
    """A scene that lacks some pictures."""

    gone: tuple[str, ...] = ()

    def image(self, layer: Any, frame: int) -> Any:
        if layer in self.gone:
            raise MissingFile(f"{layer} {frame}")
        return super().image(layer, frame)


def test_mask_comes_from_the_parsing_map_where_there_is_no_other() -> None:
    scene = _Without()
    expected = head_mask(scene, 3)
    assert expected.any() and not expected.all()
    scene.gone = ("head_mask",)
    assert np.array_equal(head_mask(scene, 3), expected)
    scene.gone = ("head_mask", "parsing")
    with pytest.raises(MissingFile, match=r"face_mask/3.png nor parsing/3.png"):
        head_mask(scene, 3)


def test_view_is_the_head_and_knows_where_it_was() -> None:
    scene = MemoryScene(height=200, width=160)
    found = view(scene, 0)
    assert found is not None and found.picture.shape == (3, 320, 240)
    assert found.picture.min() >= -1 and found.picture.max() <= 1 and (found.picture[:, 0, 0] == -1).all()
    corners = torch.tensor([[0.0, 240.0], [0.0, 320.0]])
    there = found.to_frame(corners)
    rows, columns = np.nonzero(head_mask(scene, 0))
    assert there[0].tolist() == pytest.approx([max(columns.min() - 10, 0), min(columns.max() + 11, 160)])
    assert there[1].tolist() == pytest.approx([max(rows.min() - 10, 0), min(rows.max() + 11, 200)])
    assert torch.allclose(found.from_frame(there), corners, atol=1e-4)
    middle = torch.tensor([[columns.mean() + 0.5, -5.0], [rows.mean() + 0.5, 3.0]])
    assert found.holds(middle).tolist() == [True, False]
