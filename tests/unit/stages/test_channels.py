"""Only what drives a picture is made, reported and needed: a renderer may require any of the channels, or none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import fake_components
import numpy as np
import pytest
import torch
from fake_runs import catalogue, cells_of, preset_text, run_file

from synctalk_bench.config.load import load_preset
from synctalk_bench.config.schema import Variant
from synctalk_bench.errors import ConfigError
from synctalk_bench.protocols import Context
from synctalk_bench.results.rows import read_rows
from synctalk_bench.specs import Kind
from synctalk_bench.stages.channels import channel_sources
from synctalk_bench.stages.synthesize import Request, synthesize
from synctalk_bench.stages.trained import TrainedCell
from synctalk_bench.store.workspace import Workspace
from synctalk_bench.subjects.folder import FolderScene, open_subject
from synctalk_bench.subjects.sound import write_wav
from synctalk_bench.subjects.video import read_frames

VARIANTS = """
[variant.mouth]
renderer.use = "mouth"
[variant.two-part]
renderer.use = "from-motion"
expression.use = "heard"
[variant.deaf]
renderer.use = "from-motion"
"""
FAKES = catalogue("other_methods")


def loudness(self: object, wave: torch.Tensor, rate: int, *, fps: float, frames: int) -> torch.Tensor:
    """How loud each frame is: 0 or about 2."""
    padded = torch.zeros(frames * int(rate / fps))
    padded[: min(len(wave), len(padded))] = wave[: len(padded)]
    return 4 * padded.reshape(frames, 1, -1).abs().mean(-1, keepdim=True).expand(-1, 1, 2)


def variant(tmp_path: Path, tables: str) -> Variant:
    (tmp_path / "one.toml").write_text(preset_text(tables))
    return load_preset(str(tmp_path / "one.toml"), FAKES).variants[0]


@pytest.mark.parametrize(
    ("tables", "names"),
    [
        ("", ["tone", "grin", "still"]),
        ('[variant.a]\nrenderer.use = "mouth"', ["tone"]),
        ('[variant.a]\nrenderer.use = "mouth"\ntorso.use = "band"', ["tone", "still"]),
        ('[variant.a]\nrenderer.use = "from-motion"', ["grin"]),
        ('[variant.a]\nrenderer.use = "from-motion"\nexpression.use = "heard"', ["tone", "heard"]),
    ],
)
def test_sources_are_those_that_drive_in_the_order_of_making(tmp_path: Path, tables: str, names: list[str]) -> None:
    assert [choice.name for choice in channel_sources(variant(tmp_path, tables).choices)] == names


@pytest.mark.parametrize(
    ("requires", "message"),
    [
        (("landmarks3d",), "expression 'grin' requires the channel 'landmarks3d', which nothing makes"),
        (("expression",), "wait for each other's channels: grin"),
    ],
)
def test_channels_that_cannot_be_made_are_refused(tmp_path: Path, requires: tuple[str, ...], message: str) -> None:
    choices = dict(variant(tmp_path, "").choices)
    own = choices[Kind.EXPRESSION]
    spec = dataclasses.replace(own.entry.spec, requires=requires)
    choices[Kind.EXPRESSION] = dataclasses.replace(own, entry=dataclasses.replace(own.entry, spec=spec))
    with pytest.raises(ConfigError, match=message):
        channel_sources(choices, where="a")


def test_a_run_and_a_film_need_what_drives_them_and_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_pose(self: object, scene: object) -> torch.Tensor:
        raise AssertionError("nobody asked for a pose")

    monkeypatch.setattr(fake_components.Poses, "track", no_pose)
    monkeypatch.setattr(fake_components.Audio, "encode", loudness)
    (tmp_path / "other.toml").write_text(preset_text(VARIANTS))
    place = Workspace.open(tmp_path / "ws")
    assert not run_file(tmp_path / "other.toml", place, FAKES).outcome.failed
    rows = {row.variant: row for row in read_rows(place.find_run(None).results).rows if not row.control}
    assert rows["mouth"].origins == {"audio": "captured"}
    assert rows["two-part"].origins == {"audio": "captured", "expression": "generated"}
    wave = np.full(640 * 20, 0.5, np.float32)
    wave[640 * 10 :] = 0
    write_wav(tmp_path / "voice.wav", wave, 16_000)
    cells = cells_of(place, FAKES)
    with pytest.raises(ConfigError, match="deaf/blocks/0 does not hear: it is driven by expression 'grin', none of it"):
        filmed(cells.pop("deaf/blocks/0"), tmp_path)
    for cell in cells.values():
        seen = filmed(cell, tmp_path)
        assert seen[2:8].min() > 40 and seen[12:].max() < 25, cell.name


def filmed(cell: TrainedCell, folder: Path) -> np.ndarray:
    """How bright the lowest rows of each frame are that ``voice.wav`` in ``folder`` makes."""
    assert cell.subject_artifact is not None
    scene = FolderScene(open_subject(cell.subject_artifact.path, name="blocks", digest="d"))
    portrait = cell.variant.choices[Kind.PORTRAIT]
    request = Request(audio=folder / "voice.wav", out=folder / "film.mp4", portrait=portrait)
    synthesize(cell, request, scene, Context())
    return np.stack([frame[-2:].mean() for frame in read_frames(folder / "film.mp4", range(20))])
