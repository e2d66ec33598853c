"""The photometric loss and its descent with a plain rasteriser, and the adapter to pytorch3d's interface."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from synctalk_bench.camera import rotation
from synctalk_bench.errors import MissingExtra
from synctalk_bench.vision import photometric as ph
from synctalk_bench.vision.head_models import ict_head
from synctalk_bench.vision.head_problem import project

SIZE, FOCAL = 32, 72.0


def rasterise(screen: Tensor, faces: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Every pixel against every face; weights carry gradients."""
    centre = torch.arange(size) + 0.5
    x, y = torch.meshgrid(centre, centre, indexing="xy")
    a, b, c = screen[:, faces].unbind(2)  # [B, F, 3] each

    def area(p: Tensor, q: Tensor, px: Tensor, py: Tensor) -> Tensor:
        return (q[..., 0] - p[..., 0]) * (py - p[..., 1]) - (q[..., 1] - p[..., 1]) * (px - p[..., 0])

    def weights(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        flat = torch.stack([area(b, c, px, py), area(c, a, px, py), area(a, b, px, py)], -1)
        return flat / area(a, b, c[..., 0], c[..., 1])[..., None]

    px, py = x[..., None], y[..., None]
    with torch.no_grad():
        inside = torch.stack([weights(*(v[k] for v in (a, b, c))) for k in range(len(screen))])  # [B, S, S, F, 3]
        depth = torch.stack([a[..., 2], b[..., 2], c[..., 2]], -1)[:, None, None]
        z = torch.where((inside >= 0).all(-1), (inside * depth).sum(-1), torch.inf)
        near, face = z.min(-1)
        face = torch.where(near.isfinite(), face, -1)
    px, py = x, y
    hit = [torch.stack([v[k][face[k].clamp(min=0)] for k in range(len(screen))]) for v in (a, b, c)]
    return face, weights(*hit)


def bowl() -> tuple[np.ndarray, np.ndarray]:
    """A head-sized half ellipsoid: vertices and faces."""
    u, v = np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8))
    points = np.stack([0.08 * u, 0.1 * v, 0.09 * np.sqrt(np.maximum(0, 1 - 0.45 * (u**2 + v**2)))], -1).reshape(-1, 3)
    corner = np.arange(56).reshape(7, 8)[:, :7].ravel()
    quads = np.stack([corner, corner + 1, corner + 9, corner + 8], -1)
    return points, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def test_rotation_with_gradients_is_the_contract_s() -> None:
    euler = np.random.default_rng(0).normal(0, 1, (20, 3))
    np.testing.assert_allclose(ph.rotations(torch.from_numpy(euler)).numpy(), rotation(euler), atol=1e-12)


def test_screen_is_the_tracker_s_camera() -> None:
    rng = np.random.default_rng(1)
    points, euler = rng.normal(0, 0.05, (2, 6, 3)), rng.normal(0, 0.3, (2, 3))
    trans = np.array([[0.01, -0.02, -0.7], [0, 0.03, -0.5]])
    pose = torch.from_numpy(np.concatenate([euler, trans], 1))
    screen = ph.to_screen(torch.from_numpy(points), pose, 800.0, 512)
    np.testing.assert_allclose(screen[..., :2].numpy(), project(points, euler, trans, 800.0, 512), atol=1e-9)
    assert (screen[..., 2] > 0.2).all()


def test_loss_is_zero_on_its_own_picture_blind_outside_and_knows_the_light() -> None:
    drawn = torch.rand(2, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    covered = torch.zeros(2, 8, 8, dtype=torch.bool)
    covered[:, 1:6] = True
    truth = drawn.clone()
    truth[:, [0, 1, 5, 6, 7]] = 7  # outside and on the rim
    gain = torch.ones(2, 3)
    assert ph.photometric_loss(drawn, covered, truth, gain).abs().max() < 1e-6
    dimmed = truth * torch.tensor([0.5, 0.8, 1.0])
    assert ph.photometric_loss(drawn, covered, dimmed, gain).min() > 0.05
    assert ph.photometric_loss(drawn, covered, dimmed, torch.tensor([[0.5, 0.8, 1.0]] * 2)).max() < 1e-6
    assert ph.photometric_loss(drawn, covered & False, truth, gain).max() == 0


def test_poses_get_nearer_to_those_that_made_the_pictures() -> None:
    torch.manual_seed(0)
    points, faces = (torch.from_numpy(a) for a in bowl())
    x, y = points[:, 0] / 0.08, points[:, 1] / 0.1
    paint = 0.5 + 0.4 * torch.stack([torch.sin(4 * x), torch.sin(5 * y + 2 * x), torch.cos(3 * x - 4 * y)], -1)
    count = 8
    turn = torch.linspace(-0.25, 0.25, count, dtype=torch.float64)
    true = torch.stack([0.3 * turn, turn, 0 * turn, 0.01 * turn, 0 * turn, -0.5 + 0 * turn], -1).float()
    shapes = points.float().expand(count, -1, -1)
    pictures, _ = ph.draw(ph.to_screen(shapes, true, FOCAL, SIZE), faces, paint.float(), SIZE, rasterise)
    pictures = pictures * torch.linspace(0.9, 1.1, count)[:, None, None, None]  # the light changes
    start = true + torch.tensor([0.01, 0.01, 0.01, 0.0005, 0.0005, 0.002]) * torch.randn(count, 6)
    marks = shapes[:, ::9]
    observed = ph.to_screen(marks, true, FOCAL, SIZE)[..., :2]
    observed = observed + 0.1 * torch.randn_like(observed)
    seen: list[int] = []
    found = ph.refine(
        shapes, marks, observed, torch.full((marks.shape[1],), 0.05), start, FOCAL, faces, lambda at: pictures[at],
        SIZE, rasterise, steps=20, progress=lambda done, total: seen.append(done),
    )  # fmt: skip

    def off(pose: Tensor) -> float:
        away = pose[:, :3] - true[:, :3]
        return float((away - away.mean(0)).norm(dim=1).mean())  # what all share, the colours take along

    assert off(found) < 0.7 * off(start)
    assert seen == [8]


def test_colours_come_from_where_a_vertex_is_seen() -> None:
    points, faces = (torch.from_numpy(a) for a in bowl())
    shapes = points.float()[None]
    pose = torch.tensor([[0.0, 0, 0, 0, 0, -0.5]])
    picture = torch.zeros(1, SIZE, SIZE, 3)
    picture[:, :, SIZE // 2 :] = torch.tensor([1.0, 0.5, 0.25])
    colours, seen = ph.vertex_colours(picture, ph.to_screen(shapes, pose, FOCAL, SIZE), faces, rasterise)
    right, left = points[:, 0] > 0.02, points[:, 0] < -0.02
    inner = (points[:, 0].abs() < 0.07) & (points[:, 1].abs() < 0.08)
    assert seen[inner].min() == 1 and seen[~inner].max() == 0  # the outermost vertices see the wall too
    torch.testing.assert_close(
        colours[right & (seen > 0)], torch.tensor([[1.0, 0.5, 0.25]]).expand(int((right & (seen > 0)).sum()), 3)
    )
    assert colours[left].abs().max() == 0


def test_absent_pytorch3d_is_said_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch3d", None)
    monkeypatch.setitem(sys.modules, "pytorch3d.renderer.mesh.rasterize_meshes", None)
    with pytest.raises(MissingExtra, match="pytorch3d") as caught:
        ph.pytorch3d_rasteriser()
    assert "pytorch3d@v0.7.9" in caught.value.hint


def test_adapter_speaks_pytorch3d_s_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with the documented interface: x left, y up, faces numbered through the batch."""

    def rasterize_meshes(meshes: SimpleNamespace, image_size: int, **options: object) -> tuple[Tensor, ...]:
        assert options["faces_per_pixel"] == 1 and options["blur_radius"] == 0.0
        verts, faces = torch.stack(meshes.verts), meshes.faces[0]
        back = torch.cat([(1 - verts[..., :2]) * image_size / 2, verts[..., 2:]], -1)
        face, weights = rasterise(back, faces, image_size)
        packed = torch.where(face >= 0, face + torch.arange(len(verts))[:, None, None] * len(faces), -1)
        return packed[..., None], torch.zeros(0), weights[..., None, :], torch.zeros(0)

    for name, content in (
        ("pytorch3d", {}),
        ("pytorch3d.renderer", {}),
        ("pytorch3d.renderer.mesh", {}),
        ("pytorch3d.renderer.mesh.rasterize_meshes", {"rasterize_meshes": rasterize_meshes}),
        ("pytorch3d.structures", {"Meshes": lambda verts, faces: SimpleNamespace(verts=verts, faces=faces)}),
    ):
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    points, faces = (torch.from_numpy(a) for a in bowl())
    pose = torch.tensor([[0.1, 0.2, 0, 0.01, 0, -0.5], [0.0, -0.2, 0.1, 0, 0.02, -0.6]])
    screen = ph.to_screen(points.float().expand(2, -1, -1), pose, FOCAL, SIZE)
    for ours, plain in zip(ph.pytorch3d_rasteriser()(screen, faces, SIZE), rasterise(screen, faces, SIZE), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-3)


def test_real_pytorch3d_agrees_with_the_plain_rasteriser() -> None:
    pytest.importorskip("pytorch3d", reason="extra missing: pytorch3d")
    points, faces = (torch.from_numpy(a) for a in bowl())
    screen = ph.to_screen(points.float()[None], torch.tensor([[0.1, 0.2, 0, 0.01, 0, -0.5]]), FOCAL, SIZE)
    colours = points.float() * 5 + 0.5
    ours, covered = ph.draw(screen, faces, colours, SIZE, ph.pytorch3d_rasteriser())
    plain, there = ph.draw(screen, faces, colours, SIZE, rasterise)
    assert (covered == there).float().mean() > 0.98
    assert (ours - plain)[covered & there].abs().median() < 0.01


def test_mesh_and_landmarks_of_ict_are_one_head(asset_file: Callable[[str], Path]) -> None:
    pack = asset_file("mesh/ict_facekit_pack.npz")
    mesh, head = ph.ict_mesh(pack), ict_head(pack)
    assert len(mesh.identity) == len(head.identity) and len(mesh.expression) == len(head.expression)
    rng = np.random.default_rng(0)
    alpha, beta = rng.normal(size=len(head.identity)), rng.uniform(0, 1, (2, len(head.expression)))
    dense = mesh.shapes(alpha, beta).numpy()
    marks = head.mean + np.tensordot(alpha, head.identity, 1) + np.tensordot(beta, head.expression, 1)
    inner = marks[:, 17:]  # of the face area, whose vertices come first
    near = np.linalg.norm(dense[:, None] - inner[:, :, None], axis=-1).min(-1)
    assert near.max() < 1e-5
    # Every triangle's front is outwards.
    a, b, c = (mesh.mean[mesh.faces[:, k]] for k in range(3))
    assert (np.cross(b - a, c - a)[:, 2] > 0).mean() > 0.7
