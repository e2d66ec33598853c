"""Which numbers drive the upper face, and what is said when they are not there."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synctalk_expression.configs import BlendshapeConfig, BlinkConfig
from synctalk_expression.sources import Blendshape, Blink, smooth_time

from synctalk_bench.errors import BadManifest, MissingFile
from synctalk_bench.protocols import Context
from synctalk_bench.testing.memory_scene import MemoryScene

AREAS = {"upper": [0, 1, 2, 3, 4, 8, 9], "single": [0, 2, 3, 8], "eye": [8, 9]}


class Numbered(MemoryScene):
    """Blendshape c of frame k is c + k / 100; AU45 climbs from -1 to 4."""

    def blendshapes(self) -> Any:
        return np.arange(52)[None] + np.arange(self.subject.frames)[:, None] / 100

    def action_unit(self, name: str) -> Any:
        assert name == "AU45_r"
        return np.linspace(-1, 4, self.subject.frames)


@pytest.mark.parametrize("area", AREAS)
def test_columns_of_an_area(area: str) -> None:
    values = Blendshape(BlendshapeConfig(area=area), Context()).track(Numbered())  # type: ignore[arg-type]
    assert values.shape == (24, len(AREAS[area])) and values.dtype == torch.float32
    assert values[0].tolist() == AREAS[area]
    assert values[23].tolist() == pytest.approx([c + 0.23 for c in AREAS[area]])


def test_au45_is_clipped_and_halved() -> None:
    source = Blink(BlinkConfig(source="openface"), Context())
    values = source.track(Numbered())
    assert source.backend == "openface"
    raw = np.linspace(-1, 4, 24)
    assert values.shape == (24, 1)
    assert values[:, 0].tolist() == pytest.approx([min(max(x, 0), 2) / 2 for x in raw])
    assert source.origin == "captured"


def test_blink_from_blendshapes_is_their_mean() -> None:
    values = Blink(BlinkConfig(source="blendshape"), Context()).track(Numbered())
    assert values.shape == (24, 1)
    assert values[:, 0].tolist() == pytest.approx([8.5 + k / 100 for k in range(24)])


def test_without_au_csv_a_named_source_is_an_error_and_auto_takes_the_eyelids() -> None:
    scene = MemoryScene(action_units=False)
    with pytest.raises(MissingFile, match=r"au\.csv is not there") as caught:
        Blink(BlinkConfig(source="openface"), Context()).track(scene)
    assert "--set expression.source=eyelid" in caught.value.hint
    lines: list[str] = []
    for asked, there, used in (
        ("auto", False, "eyelid"),
        ("auto", True, "openface"),
        ("eyelid", True, "eyelid"),
        ("blendshape", False, "blendshape"),
    ):
        source = Blink(BlinkConfig(source=asked), Context(say=lines.append))  # type: ignore[arg-type]
        values = source.track(MemoryScene(action_units=there))
        assert values.shape == (24, 1) and values.min() >= 0 and values.max() <= 1
        assert source.backend == used and f": {used} (" in lines[-1]


def test_smoothing_is_over_time_only() -> None:
    values = np.random.default_rng(0).random((6, 3))
    expected = [np.mean(values[max(k - 1, 0) : k + 2], 0) for k in range(6)]
    assert np.allclose(smooth_time(values), expected, atol=1e-15)
    assert np.allclose(smooth_time(values)[:, 0], smooth_time(values[:, :1])[:, 0], atol=0)
    assert np.array_equal(smooth_time(values[:1]), values[:1])


def test_smoothing_is_an_option() -> None:
    scene = MemoryScene()
    for make in (
        lambda smooth: Blendshape(BlendshapeConfig(smooth=smooth), Context()),
        lambda smooth: Blink(BlinkConfig(smooth=smooth), Context()),
    ):
        off, on = make(False).track(scene), make(True).track(scene)
        assert torch.allclose(on, torch.from_numpy(smooth_time(off.double().numpy())).float(), atol=1e-7)
        assert not torch.equal(off, on)


@pytest.mark.parametrize("make", [Blendshape, Blink])
def test_bad_values_are_named(make: Any) -> None:
    class Torn(MemoryScene):
        def blendshapes(self) -> Any:
            values = super().blendshapes()
            values[[3, 9], 8] = np.nan
            return values

        def action_unit(self, name: str) -> Any:
            values = super().action_unit(name)
            values[[3, 9]] = np.nan
            return values

    config = BlendshapeConfig() if make is Blendshape else BlinkConfig(source="openface")
    with pytest.raises(BadManifest, match="2 frames: 3, 9"):
        make(config, Context()).track(Torn())


def test_wrong_length() -> None:
    class Short(MemoryScene):
        def blendshapes(self) -> Any:
            return super().blendshapes()[:-1]

    with pytest.raises(BadManifest, match="23 rows for 24 frames"):
        Blendshape(BlendshapeConfig(), Context()).track(Short())


def test_openface_csv_with_leading_blanks(tmp_path: Path) -> None:
    """The whole way from the file: OpenFace writes its column as ' AU45_r'."""
    from synctalk_bench.subjects.folder import FolderScene

    rows = "".join(f"{k}, 0.98, {k / 10:.2f}\n" for k in range(1, 25))
    (tmp_path / "au.csv").write_text("frame, confidence, AU45_r\n" + rows)
    subject = MemoryScene().subject
    scene = FolderScene(dataclasses.replace(subject, root=tmp_path))
    values = Blink(BlinkConfig(), Context()).track(scene)
    assert values[:, 0].tolist() == pytest.approx([min(k / 10, 2) / 2 for k in range(1, 25)])
