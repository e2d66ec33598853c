"""What a folder made elsewhere lacks, all of it and by kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_components import write_blocks
from typer.testing import CliRunner

from synctalk_bench.errors import MissingFile
from synctalk_bench.subjects.folder import open_subject
from synctalk_bench.subjects.inventory import optional_gaps, required_gaps
from synctalk_bench.subjects.layout import Layout


@pytest.fixture
def blocks(tmp_path: Path) -> Layout:
    root = tmp_path / "May"
    write_blocks(root)
    return Layout(root)


def test_a_folder_that_is_not_there_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"nope is not a folder"):
        open_subject(tmp_path / "nope", name="May", digest="")


def test_every_missing_kind_is_named_with_its_frames(blocks: Layout) -> None:
    count = open_subject(blocks.root, name="May", digest="").frames
    assert required_gaps(blocks, count) == []
    blocks.background.unlink()
    for k in (0, 1, 2, 9):
        blocks.torso(k).unlink()
    for k in range(count):
        blocks.landmarks(k).unlink()
    assert required_gaps(blocks, count) == [
        "bc.jpg",
        f"ori_imgs/{{k}}.lms (all {count})",
        f"torso_imgs/{{k}}.png (4 of {count}: 0-2, 9)",
    ]
    with pytest.raises(MissingFile, match=r"lacks bc\.jpg, ori_imgs/\{k\}\.lms \(all .*torso_imgs.*0-2, 9\)"):
        open_subject(blocks.root, name="May", digest="")


def test_import_leaves_the_folder_alone_and_lists_what_some_components_need(
    blocks: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synctalk_bench.cli.app import app

    for path in (blocks.blendshapes, blocks.track_params, blocks.face_map(3)):
        path.unlink(missing_ok=True)
    before = {p: p.stat().st_mtime_ns for p in blocks.root.rglob("*")}
    said = CliRunner().invoke(app, ["subjects", "import", str(blocks.root), "-w", str(tmp_path / "w")])
    assert said.exit_code == 0, said.output
    assert {p: p.stat().st_mtime_ns for p in blocks.root.rglob("*")} == before
    for words in ("not there: bs.npy, needed by expression 'blendshape'", "not there: track_params.pt", "au.csv"):
        assert words in said.output
    gaps = list(optional_gaps(blocks, open_subject(blocks.root, name="May", digest="").frames))
    assert all(f"not there: {gap}" in said.output for gap in gaps) and any("_face.png" in gap for gap in gaps)
