"""What is delivered, pixel by pixel, and what it is measured against."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from synctalk_portraits.generators import Head, PortraitSync
from synctalk_portraits.plugin import synctalk_bench_portraits

from synctalk_bench.errors import MissingFile
from synctalk_bench.protocols import Context
from synctalk_bench.specs import NoConfig
from synctalk_bench.testing.memory_scene import MemoryScene

HALF_A_LEVEL = 0.5 / 255


@pytest.fixture
def scene() -> MemoryScene:
    return MemoryScene(seed=2)


@pytest.fixture
def rendered(scene: MemoryScene) -> torch.Tensor:
    size = (scene.subject.height, scene.subject.width, 3)
    return torch.rand(size, generator=torch.Generator().manual_seed(0))


def test_blend_is_that_of_the_formula(scene: MemoryScene, rendered: torch.Tensor) -> None:
    delivered = PortraitSync(NoConfig(), Context()).compose(rendered, scene, 4)
    mask = (255 - scene.image("face_map", 4)[..., 1:2].astype(np.float64)) / 255
    original = scene.image("ori", 4) / 255
    expected = mask * rendered.double().numpy() + (1 - mask) * original
    assert delivered.dtype == torch.float32
    assert np.abs(delivered.numpy() - expected).max() < 1.3e-7  # 1.19e-7 seen: one ulp of float32 at 1


def test_face_is_rendered_rest_is_original(scene: MemoryScene, rendered: torch.Tensor) -> None:
    delivered = PortraitSync(NoConfig(), Context()).compose(rendered, scene, 4)
    green = scene.image("face_map", 4)[..., 1]
    inside, outside, edge = green == 0, green == 255, (green > 0) & (green < 255)
    assert inside.sum() > 100 and outside.sum() > 100 and edge.sum() > 20, "all three areas are tried"
    assert torch.equal(delivered[inside], rendered[inside])
    original = torch.from_numpy(scene.image("ori", 4).copy())
    assert torch.equal((delivered[outside] * 255).to(torch.uint8), original[outside]), "also after truncation to bytes"
    eye = scene.landmarks(4)[36:48].mean(0)
    assert inside[int(eye[1]), int(eye[0])], "the map has the face inside, not the rest"


def test_a_perfect_rendering_is_delivered_as_the_truth(scene: MemoryScene) -> None:
    for generator in (PortraitSync(NoConfig(), Context()), Head(NoConfig(), Context())):
        truth = torch.from_numpy(generator.truth(scene, 9).copy()).float() / 255
        assert (generator.compose(truth, scene, 9) - truth).abs().max() < HALF_A_LEVEL


def test_truths_are_the_original_and_the_clean_frame(scene: MemoryScene) -> None:
    portrait, head = PortraitSync(NoConfig(), Context()), Head(NoConfig(), Context())
    assert np.array_equal(portrait.truth(scene, 3), scene.image("ori", 3))
    assert np.array_equal(head.truth(scene, 3), scene.image("gt", 3))
    assert not np.array_equal(portrait.truth(scene, 3), head.truth(scene, 3))


def test_none_delivers_the_rendering_itself(scene: MemoryScene, rendered: torch.Tensor) -> None:
    assert Head(NoConfig(), Context()).compose(rendered, scene, 0) is rendered


def test_protocols_are_declared() -> None:
    assert {spec.name: spec.protocol for spec in synctalk_bench_portraits()} == {
        "portrait-sync": "portrait",
        "none": "head",
    }


def test_missing_face_map(rendered: torch.Tensor) -> None:
    class NoMap(MemoryScene):
        def image(self, layer, frame):  # type: ignore[no-untyped-def]
            if layer == "face_map":
                raise MissingFile("parsing/0_face.png is not there")
            return super().image(layer, frame)

    with pytest.raises(MissingFile, match="0_face"):
        PortraitSync(NoConfig(), Context()).compose(rendered, NoMap(), 0)
