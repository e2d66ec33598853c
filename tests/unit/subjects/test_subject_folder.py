"""Folders that are not what they should be: every damage has a name, and equal content has equal bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_components import write_blocks

from synctalk_bench.errors import BadManifest, MissingFile, WrongFps
from synctalk_bench.subjects.files import write_track_params
from synctalk_bench.subjects.folder import FolderScene, open_subject
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.subjects.registry import SubjectRegistry


@pytest.fixture
def blocks(tmp_path: Path) -> Layout:
    root = tmp_path / "blocks"
    write_blocks(root)
    return Layout(root)


def scene(layout: Layout) -> FolderScene:
    return FolderScene(open_subject(layout.root, name="blocks", digest=""))


@pytest.mark.parametrize(
    "text", ['{"fps": 25', "[1]", '{"fps": "fast"}', '{"fps": 0}', '{"fps": true}', '{"fps": NaN}']
)
def test_an_unreadable_record_is_a_bad_manifest(blocks: Layout, tmp_path: Path, text: str) -> None:
    registry = SubjectRegistry(tmp_path)
    registry.register("b", blocks.root)
    blocks.record.write_text(text)
    with pytest.raises(BadManifest, match=r"subject\.json"):
        open_subject(blocks.root, name="blocks", digest="")
    with pytest.raises(BadManifest, match=r"subject\.json"):
        registry.find("b")


def test_another_frame_rate_is_refused(blocks: Layout) -> None:
    blocks.record.write_text('{"fps": 30}')
    with pytest.raises(WrongFps, match="prepare VIDEO"):
        open_subject(blocks.root, name="blocks", digest="")
    blocks.record.write_text('{"fps": 25}')
    assert open_subject(blocks.root, name="blocks", digest="").fps == 25.0


@pytest.mark.parametrize(
    ("damage", "read", "error"),
    [
        (lambda b: b.background.write_bytes(b"no picture"), lambda s: s.background(), BadManifest),
        (lambda b: b.background.write_bytes(b.background.read_bytes()[:300]), lambda s: s.background(), BadManifest),
        (lambda b: b.background.unlink(), lambda s: s.background(), MissingFile),
        (lambda b: b.landmarks(3).unlink(), lambda s: s.landmarks(3), MissingFile),
        (lambda b: b.blendshapes.write_bytes(b""), lambda s: s.blendshapes(), BadManifest),
        (lambda b: b.track_params.write_bytes(b""), lambda s: s.poses("tracker"), BadManifest),
        (lambda b: torch.save([1, 2], b.track_params), lambda s: s.poses("tracker"), BadManifest),
        (lambda b: torch.save({"euler": 1}, b.track_params), lambda s: s.poses("tracker"), BadManifest),
    ],
    ids=["text", "torn", "no-plate", "no-landmarks", "empty-bs", "empty-track", "list-track", "keyless-track"],
)
def test_damaged_files_are_named(
    blocks: Layout,
    damage: Callable[[Layout], object],
    read: Callable[[FolderScene], object],
    error: type[Exception],
) -> None:
    opened = scene(blocks)
    damage(blocks)
    with pytest.raises(error):
        read(opened)


def test_track_params_do_not_depend_on_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Named(Layout):
        @property
        def track_params(self) -> Path:
            return self.root / f"{self.root.name}.pt"

    monkeypatch.setattr("synctalk_bench.subjects.files.Layout", Named)
    written = []
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        write_track_params(tmp_path / name, np.zeros((3, 3)), np.ones((3, 3)), 40.0)
        written.append((tmp_path / name / f"{name}.pt").read_bytes())
    assert written[0] == written[1]
