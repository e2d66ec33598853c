"""The store: keys, atomic files, leases, damage."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from synctalk_bench.errors import Damaged, Leased, NewerSchema, StoreError
from synctalk_bench.protocols import State
from synctalk_bench.store.atomic import replacing, write_json, write_text
from synctalk_bench.store.fingerprint import Key, config_fields, source_digest
from synctalk_bench.store.lease import lease
from synctalk_bench.store.store import Store
from synctalk_bench.store.tensors import read_state, write_state
from synctalk_bench.store.workspace import Workspace

KEY = Key(stage="train", component="x", version=1, config={"a": 1.0}, inputs={"subject": "s"}, seed=0)


def finished(store: Store, key: Key = KEY) -> Path:
    artifact = store.artifact(key)
    with store.writing(artifact, target="json:loads", environment={}) as directory:
        (directory / "values.bin").write_bytes(b"12345")
        (directory / "state").mkdir()
        (directory / "state" / "old").write_text("gone when finished")
    return artifact.path


def test_known_fingerprint() -> None:
    # A literal: whoever changes what enters a key re-runs every user's work, and has to change this line.
    assert KEY.fingerprint == "0d198f56f800abcaa8f4607c85a58c31a70b3d1ae744ac2e74a5ca32dbcbaabe"


def test_key_depends_on_every_field() -> None:
    changes = [
        {"stage": "render"},
        {"component": "y"},
        {"kind": "audio"},
        {"version": 2},
        {"config": {"a": 2.0}},
        {"inputs": {"subject": "t"}},
        {"assets": {"w": "0"}},
        {"seed": 1},
    ]
    base = {
        "stage": "train",
        "component": "x",
        "version": 1,
        "config": {"a": 1.0},
        "inputs": {"subject": "s"},
        "seed": 0,
    }
    prints = {Key(**(base | change)).fingerprint for change in changes} | {KEY.fingerprint}
    assert len(prints) == len(changes) + 1


def test_neutral_options_stay_out_of_keys() -> None:
    from fake_components import FakeConfig

    assert config_fields(FakeConfig(workers=1)) == config_fields(FakeConfig(workers=9))


def test_finished_artifact_verifies_and_drops_its_state(tmp_path: Path) -> None:
    path = finished(Store(tmp_path))
    assert not (path / "state").exists()
    assert Store(tmp_path).verify(Store(tmp_path).artifact(KEY)) == path


@pytest.mark.parametrize("damage", ["change", "remove", "done", "newer"])
def test_damage_is_found(tmp_path: Path, damage: str) -> None:
    path = finished(Store(tmp_path))
    if damage == "change":
        (path / "values.bin").write_bytes(b"12346")
    elif damage == "remove":
        (path / "values.bin").unlink()
    elif damage == "done":
        (path / "DONE").write_text("{")
    else:
        write_json(path / "DONE", json.loads((path / "DONE").read_text()) | {"schema": 99})
    with pytest.raises(NewerSchema if damage == "newer" else Damaged):
        Store(tmp_path).verify(Store(tmp_path).artifact(KEY))


def test_failure_leaves_no_done(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.artifact(KEY)
    with pytest.raises(ZeroDivisionError), store.writing(artifact, target="json:loads", environment={}):
        raise ZeroDivisionError
    assert not artifact.done
    with store.writing(artifact, target="json:loads", environment={}):
        pass
    assert artifact.done


def test_what_another_process_finished_is_not_written_again(tmp_path: Path) -> None:
    store, path = Store(tmp_path), finished(Store(tmp_path))
    with store.writing(store.artifact(KEY), target="json:loads", environment={}) as directory:
        assert directory is None
    assert (path / "values.bin").read_bytes() == b"12345"


def test_clear_respects_a_lease_and_keeps_its_file(tmp_path: Path) -> None:
    store, path = Store(tmp_path), finished(Store(tmp_path))
    with lease(path), pytest.raises(Leased):
        store.clear(store.artifact(KEY))
    store.clear(store.artifact(KEY))
    assert [p.name for p in path.iterdir()] == ["lease.json"]


def test_stages_that_cannot_resume_start_from_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.artifact(KEY)
    for resumes, expected in ((True, True), (False, False)):
        store.clear(artifact)
        with (
            pytest.raises(ZeroDivisionError),
            store.writing(artifact, target="json:loads", environment={}) as directory,
        ):
            assert directory is not None
            (directory / "half.bin").write_text("left behind")
            raise ZeroDivisionError
        with store.writing(artifact, target="json:loads", environment={}, resumes=resumes) as directory:
            assert directory is not None
            assert (directory / "half.bin").exists() is expected


def test_the_first_source_digest_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.artifact(KEY)
    with pytest.raises(ZeroDivisionError), store.writing(artifact, target="fake_components:X", environment={}):
        raise ZeroDivisionError
    first = artifact.record()["source"]
    with store.writing(artifact, target="json:loads", environment={}):
        pass
    assert artifact.record()["source"] == first != source_digest("json:loads")


def test_source_digest_sees_a_single_file_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "one_file_plugin.py").write_text("A = 1\n")
    first = source_digest("one_file_plugin:X")
    source_digest.cache_clear()
    (tmp_path / "one_file_plugin.py").write_text("A = 2\n")
    assert source_digest("one_file_plugin:X") != first


@pytest.mark.parametrize("content", ["{", "5", "[]", '{"key": 5}'])
def test_torn_side_files_are_as_good_as_absent(content: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = finished(store)
    assert store.find(KEY.fingerprint) == store.artifact(KEY)
    (path / "artifact.json").write_text(content)
    assert store.find(KEY.fingerprint) is None
    assert store.artifact(KEY).record().get("key", 5) == 5
    assert store.artifact(KEY).timing() == {}


def test_errors_inside_a_block_are_not_blamed_on_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        (tmp_path / "not there").read_text()


def test_a_really_full_disk(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    try:
        with pytest.raises(StoreError, match="disk is full"):
            write_state(tmp_path / "s.safetensors", State({"big": torch.zeros(100_000)}))
        with pytest.raises(StoreError, match="disk is full"), replacing(tmp_path / "b") as temporary:
            temporary.write_bytes(bytes(100_000))
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_replacing_keeps_the_old_file_on_failure(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_waits_for_the_disk_before_and_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on the disk before it has its name, and the name before anyone builds on it."""
    seen: list[str] = []
    replace = Path.replace

    def synced(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append("folder" if path == tmp_path else f"{path.suffix} {path.read_text()}")

    def renamed(path: Path, target: Path) -> Path:
        seen.append(f"rename to {target.name}")
        return replace(path, target)

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_text(tmp_path / "a.txt", "new")
    assert seen == [".txt new", "rename to a.txt", "folder"]
    with replacing(tmp_path / "b.txt", sync=False) as temporary:
        temporary.write_text("a trace")
    assert seen[3:] == ["rename to b.txt"]


def test_full_disk_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="disk is full"), replacing(tmp_path / "a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_lease_is_exclusive_and_dies_with_its_owner(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from synctalk_bench.store.lease import lease\n"
        "with lease(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None and owner.stdout.readline() == "held\n"
    with pytest.raises(Leased, match=str(owner.pid)), lease(tmp_path):
        pass
    owner.kill()
    owner.wait()
    with lease(tmp_path):
        pass


def test_state_round_trip(tmp_path: Path) -> None:
    base = torch.arange(6.0).reshape(2, 3)
    state = State({"a": base.T, "b": base[0], "half": base.half()}, {"step": 3, "nested": {"x": [1, 2.5]}})
    write_state(tmp_path / "s.safetensors", state)
    again = read_state(tmp_path / "s.safetensors")
    assert again.values == state.values
    assert all(torch.equal(again.tensors[name], value) for name, value in state.tensors.items())
    (tmp_path / "s.safetensors").write_bytes(b"nonsense")
    with pytest.raises(Damaged):
        read_state(tmp_path / "s.safetensors")


def test_workspace_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "w").write_text("")
    with pytest.raises(StoreError, match="not a folder"):
        Workspace.open(tmp_path / "w")


def test_workspace_that_cannot_be_made_says_so() -> None:
    with pytest.raises(StoreError, match="--workspace"):
        Workspace.open(Path("/proc/nowhere"))
