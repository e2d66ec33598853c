"""Registered subjects: which names they may have, and what makes their digest stale."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from fake_components import write_blocks
from PIL import Image

from synctalk_bench.errors import BadManifest, NoAudio, SubjectError
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.subjects.registry import SubjectRegistry


@pytest.fixture
def blocks(tmp_path: Path) -> Layout:
    root = tmp_path / "blocks"
    write_blocks(root)
    return Layout(root)


def test_a_built_in_subjects_name_is_refused(blocks: Layout, tmp_path: Path) -> None:
    registry = SubjectRegistry(tmp_path / "w", reserved=["synthetic"])
    with pytest.raises(SubjectError, match=r"built-in subject(.|\n)*--name NAME"):
        registry.register("synthetic", blocks.root)
    assert registry.names() == []


def test_a_change_with_the_same_size_and_time_is_noticed(blocks: Layout, tmp_path: Path) -> None:
    registry = SubjectRegistry(tmp_path / "w")
    before = registry.register("b", blocks.root).digest
    said: list[str] = []
    assert registry.find("b", said.append).digest == before
    assert said == []
    times = blocks.landmarks(3).stat()
    content = blocks.landmarks(3).read_text()
    blocks.landmarks(3).write_text(content[::-1].strip("\n").rjust(len(content), "0"))
    os.utime(blocks.landmarks(3), ns=(times.st_atime_ns, times.st_mtime_ns))
    assert blocks.landmarks(3).stat().st_size == times.st_size
    assert registry.find("b", said.append).digest != before
    assert len(said) == 1


def test_two_files_that_change_places_are_noticed(blocks: Layout, tmp_path: Path) -> None:
    registry = SubjectRegistry(tmp_path / "w")
    before = registry.register("b", blocks.root).digest
    blocks.gt(1).rename(tmp_path / "aside")
    blocks.gt(2).rename(blocks.gt(1))
    (tmp_path / "aside").rename(blocks.gt(2))
    assert registry.find("b").digest != before


def test_a_moved_workspace_keeps_its_own_subjects(tmp_path: Path) -> None:
    registry = SubjectRegistry(tmp_path / "w")
    write_blocks(registry.folder("mine"))
    before = registry.register("mine", registry.folder("mine"))
    shutil.move(tmp_path / "w", tmp_path / "moved")
    found = SubjectRegistry(tmp_path / "moved").find("mine")
    assert found.root == (tmp_path / "moved" / "subjects" / "mine").resolve()
    assert found.digest == before.digest


def test_what_cannot_be_remembered_is_found_all_the_same(
    blocks: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = SubjectRegistry(tmp_path / "w")
    before = registry.register("b", blocks.root)
    blocks.landmarks(0).write_text(blocks.landmarks(1).read_text())

    def full(path: Path, value: object) -> None:
        from synctalk_bench.errors import StoreError

        raise StoreError(f"{path} cannot be written")

    monkeypatch.setattr("synctalk_bench.subjects.registry.write_json", full)
    said: list[str] = []
    assert registry.find("b", said.append).digest != before.digest
    assert "cannot be written" in said[-1]


def test_pictures_and_sound_are_opened_before_they_are_needed(blocks: Layout, tmp_path: Path) -> None:
    registry = SubjectRegistry(tmp_path / "w")
    sound, picture = blocks.audio.read_bytes(), blocks.gt(0).read_bytes()
    blocks.audio.write_bytes(b"no sound")
    with pytest.raises((BadManifest, NoAudio), match=r"aud\.wav"):
        registry.register("b", blocks.root)
    blocks.audio.write_bytes(sound)
    Image.new("RGB", (32, 32)).save(blocks.gt(0))
    with pytest.raises(BadManifest, match="32 x 32"):
        registry.register("b", blocks.root)
    blocks.gt(0).write_bytes(picture)
    assert registry.register("b", blocks.root).name == "b"
