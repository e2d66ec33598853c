"""Our field, marcher and compositor against the official ones (../shared/golden)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synctalk_kernels.composite import composite
from synctalk_kernels.march import march, near_far, step_length
from synctalk_kernels.occupancy import occupied_box
from synctalk_kernels.sh import spherical_harmonics
from synctalk_renderers.triplane import cameras
from synctalk_renderers.triplane.audio_net import window
from synctalk_renderers.triplane.draw import draw_rays
from synctalk_renderers.triplane.field import Condition, TriplaneField
from synctalk_renderers.triplane.official import load_official
from torch import Tensor

from synctalk_bench.artifacts import Camera

CAMERA = Camera(focal=1365.0, cx=256.0, cy=256.0)
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def vectors(golden_dir: Path) -> dict[str, Tensor]:
    with np.load(golden_dir / "vectors_a.npz", allow_pickle=False) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@pytest.fixture(scope="module")
def field(golden_dir: Path) -> TriplaneField:
    with np.load(golden_dir / "checkpoint_a.npz", allow_pickle=False) as file:
        state = {key: torch.from_numpy(file[key]) for key in file.files}
    field = TriplaneField(audio_shape=(1, 512), expression=7, codes=256)
    assert load_official(field, state) == ()
    return field


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference as a share of the largest value."""
    ours, theirs = ours.detach().double(), theirs.double()
    return float((ours - theirs).abs().max() / theirs.abs().max())


def condition(field: TriplaneField, vectors: dict[str, Tensor], frame: int, code: int) -> Condition:
    audio = field.encode_audio(window(vectors["audio"][:, None], frame, 0, 200))
    eye = torch.zeros(1, 7)
    eye[0, 0] = vectors["blink"][frame]
    return Condition(audio, eye, field.individual_codes[code : code + 1])


def test_audio_window_and_code(field: TriplaneField, vectors: dict[str, Tensor]) -> None:
    rows = window(vectors["audio"][:, None], 20, 0, 200)
    assert torch.equal(rows, vectors["audio_window"])
    assert relative(field.encode_audio(rows), vectors["enc_a"]) <= TOLERANCE


def test_hash_and_harmonics(field: TriplaneField, vectors: dict[str, Tensor]) -> None:
    assert relative(field.features(vectors["x"]), vectors["enc_x"]) <= TOLERANCE
    assert relative(spherical_harmonics(vectors["d"]), vectors["enc_d"]) <= TOLERANCE


def test_values_and_every_gradient(field: TriplaneField, vectors: dict[str, Tensor]) -> None:
    field.zero_grad()
    drive = Condition(field.encode_audio(vectors["audio_window"]), vectors["eye"], field.individual_codes[3:4])
    out = field(vectors["x"], vectors["d"], drive)
    audio, eye = out.attention.unbind(-1)
    found = {
        "sigma": out.sigma, "rgb": out.rgb, "amb_aud": audio[:, None], "amb_eye": eye[:, None],
        "unc": out.uncertainty[:, None, None],
    }  # fmt: skip
    for name, value in found.items():
        assert relative(value, vectors[f"f32_{name}"]) <= TOLERANCE, name
    terms = [(vectors[f"w_{k}"] * value).sum() * (0.01 if k == "sigma" else 1.0) for k, value in found.items()]
    torch.stack(terms).sum().backward()
    for name, parameter in field.named_parameters():
        assert parameter.grad is not None, name
        if name == "individual_codes":
            assert relative(parameter.grad[3], vectors["grad_code3"]) <= TOLERANCE
        else:
            # The softmax over the window is saturated here: what is left of its gradient (1e-12) is cancellation.
            tolerance = 20 * TOLERANCE if name.startswith("audio_att_net.") else TOLERANCE
            assert relative(parameter.grad, vectors[f"grad_{name}"]) <= tolerance, name


def march_like_golden(field: TriplaneField, vectors: dict[str, Tensor]) -> Any:
    near, far = near_far(vectors["ray_o"], vectors["ray_d"], field.aabb_train)
    return near, far, march(
        vectors["ray_o"], vectors["ray_d"], near, far, field.density_bitfield,
        size=128, bound=1.0, step=step_length(128, 1.0, 16), max_steps=16,
    )  # fmt: skip


def by_ray(rays: Tensor) -> dict[int, tuple[int, int]]:
    return {int(r): (int(o), int(c)) for r, o, c in rays}


def test_rays_and_box(field: TriplaneField, vectors: dict[str, Tensor]) -> None:
    origin, directions = cameras.rays(vectors["poses"][20], CAMERA, vectors["ray_pixel"], width=512)
    assert relative(origin, vectors["ray_o"]) <= TOLERANCE
    assert relative(directions, vectors["ray_d"]) <= TOLERANCE
    near, far = near_far(vectors["ray_o"], vectors["ray_d"], field.aabb_train)
    assert relative(near, vectors["near"]) <= TOLERANCE
    assert relative(far, vectors["far"]) <= TOLERANCE


def test_march_gives_the_official_samples(field: TriplaneField, vectors: dict[str, Tensor]) -> None:
    _, _, samples = march_like_golden(field, vectors)
    ours, theirs = by_ray(samples.rays), by_ray(vectors["march_rays"])
    assert ours.keys() == theirs.keys()
    assert len(samples.positions) == int(vectors["march_count"][0])
    pairs = []
    for ray, (offset, count) in ours.items():
        assert count == theirs[ray][1], ray
        pairs += [(offset + i, theirs[ray][0] + i) for i in range(count)]
    mine, golden = torch.tensor(pairs).unbind(-1)
    assert float((samples.positions[mine] - vectors["march_xyz"][golden]).abs().max()) <= 2e-6
    assert relative(samples.deltas[mine], vectors["march_deltas"][golden]) <= TOLERANCE


def test_box_around_the_occupied_cells_changes_nothing(field: TriplaneField, vectors: dict[str, Tensor]) -> None:
    near, far, plain = march_like_golden(field, vectors)
    within = occupied_box(field.density_bitfield, size=128, bound=1.0)
    clipped = march(
        vectors["ray_o"], vectors["ray_d"], near, far, field.density_bitfield,
        size=128, bound=1.0, step=step_length(128, 1.0, 16), max_steps=16, within=within,
    )  # fmt: skip
    for a, b in zip(plain, clipped, strict=True):
        assert torch.equal(a, b)


def composite_errors(vectors: dict[str, Tensor], op: Callable[..., Any]) -> dict[str, float]:
    count = int(vectors["march_count"][0])
    sigma = vectors["comp_sigma_in"].clone().requires_grad_()
    rgb = vectors["comp_rgb_in"].clone().requires_grad_()
    attention, uncertainty = torch.zeros(len(sigma), 2), torch.zeros(len(sigma))
    out = op(sigma, rgb, attention, uncertainty, vectors["march_deltas"], vectors["march_rays"], max_steps=16)
    ((vectors["comp_w_image"] * out.rgb).sum() + (vectors["comp_w_ws"] * out.weight).sum()).backward()
    assert sigma.grad is not None and rgb.grad is not None
    return {
        "ws": relative(out.weight, vectors["comp_ws"]),
        "depth": relative(out.depth, vectors["comp_depth"]),
        "image": relative(out.rgb, vectors["comp_image"]),
        "grad_sigma": relative(sigma.grad[:count], vectors["comp_grad_sigma"][:count]),
        "grad_rgb": relative(rgb.grad[:count], vectors["comp_grad_rgb"][:count]),
    }


def test_composite_and_gradients(vectors: dict[str, Tensor]) -> None:
    for name, error in composite_errors(vectors, composite).items():
        assert error <= TOLERANCE, name


def test_a_wrong_compositor_fails_the_same_comparison(vectors: dict[str, Tensor]) -> None:
    def half_a_percent_denser(sigma: Tensor, *rest: Any, **more: Any) -> Any:
        return composite(sigma * 1.005, *rest, **more)

    errors = composite_errors(vectors, half_a_percent_denser)
    assert max(errors["image"], errors["ws"]) > TOLERANCE
    assert errors["grad_sigma"] > TOLERANCE


def test_composite_sums_of_the_field(field: TriplaneField, vectors: dict[str, Tensor]) -> None:
    """Attention and uncertainty sums need the field at the golden samples (frame 20, code row 0)."""
    with torch.no_grad():
        count = int(vectors["march_count"][0])
        _, _, samples = march_like_golden(field, vectors)
        values = field(samples.positions, vectors["ray_d"][samples.ray], condition(field, vectors, 20, 0))
        assert len(values.sigma) == count
        out = composite(
            values.sigma, values.rgb, values.attention, values.uncertainty, samples.deltas, samples.rays, max_steps=16
        )
    assert relative(out.attention[:, 0], vectors["comp_aud"]) <= TOLERANCE
    assert relative(out.attention[:, 1], vectors["comp_eye"]) <= TOLERANCE
    assert relative(out.uncertainty, vectors["comp_unc"]) <= TOLERANCE
    assert relative(out.rgb, vectors["comp_image"]) <= 10 * TOLERANCE


@pytest.mark.parametrize("frame", [0, 50, 123])
def test_rendered_rows(field: TriplaneField, vectors: dict[str, Tensor], frame: int) -> None:
    first, rows = 224, 64
    pixels = torch.arange(first * 512, (first + rows) * 512)
    origin, directions = cameras.rays(vectors["poses"][frame], CAMERA, pixels, width=512)
    with torch.no_grad():
        ours = draw_rays(
            field, origin, directions, torch.ones(len(pixels), 3), condition(field, vectors, frame, 0),
            within=occupied_box(field.density_bitfield, size=128, bound=1.0), max_steps=16, chunk=1 << 15,
        )  # fmt: skip
    golden = vectors[f"frame{frame}_f32"].float()[first : first + rows].reshape(-1, 3)
    apart = (ours - golden).abs().amax(-1)
    assert float((apart <= 2 / 255).float().mean()) >= 0.999
    assert float(apart.mean()) <= 5e-4
