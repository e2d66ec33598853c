"""The checks of ``doctor``: what they say of machines that are broken in known ways, and of this one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synctalk_bench.doctor import compute, examine, libraries, machine, places
from synctalk_bench.doctor.examine import CHECKS, Check
from synctalk_bench.doctor.finding import Finding, Machine, Notes, usable
from synctalk_bench.errors import MissingExtra

Look = Callable[[Machine, Notes], None]


def look(check: Look, tmp_path: Path, **environ: str) -> list[Finding]:
    notes = Notes("it")
    check(Machine(environ=environ, workspace=tmp_path / "workspace"), notes)
    assert all(f.found and (f.level == "ok" or (f.means and f.type)) for f in notes.found), (
        "says what it means, what to do"
    )
    return notes.found


def levels(found: list[Finding]) -> list[str]:
    return [finding.level for finding in found]


def fake_smi(folder: Path, script: str) -> str:
    """A PATH on which ``nvidia-smi`` is ``script``."""
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def smi(cuda: str, driver: str = "580.65.06") -> str:
    rows = f"{driver}, NVIDIA H200\\n{driver}, NVIDIA H200\\n"
    return f'case "$1" in --query*) printf "{rows}";; *) echo "| NVIDIA-SMI   CUDA Version: {cuda}   |";; esac\n'


# --- the frame -------------------------------------------------------------------------------------------------------


def test_a_check_that_fails_costs_only_itself_and_what_rests_on_it(tmp_path: Path) -> None:
    def broken(here: Machine, notes: Notes) -> None:
        raise OSError("libfoo.so is missing\nmore")

    def told(here: Machine, notes: Notes) -> None:
        raise MissingExtra("no foo", hint="pip install foo")

    def leaves(here: Machine, notes: Notes) -> None:
        raise SystemExit(3)

    def fine(here: Machine, notes: Notes) -> None:
        notes.ok("here")

    checks = (
        Check("a", broken, "problem", "nothing works", "mend it"),
        Check("b", fine, after="a"),
        Check("c", fine, after="b"),
        Check("d", told),
        Check("e", leaves),
        Check("f", fine),
    )
    found = list(examine.examine(Machine(environ={}, workspace=tmp_path), checks))
    assert [(f.check, f.level) for f in found] == [("a", "problem"), ("d", "warning"), ("e", "warning"), ("f", "ok")]
    assert found[0].found == "OSError: libfoo.so is missing" and found[0].type == "mend it"
    assert found[1].found == "no foo" and found[1].type == "pip install foo"
    assert not usable(found) and usable(found[1:])


def test_names_and_orders_agree() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(not c.after or names.index(c.after) < names.index(c.name) for c in CHECKS)


@pytest.mark.parametrize(("level", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_command(monkeypatch: pytest.MonkeyPatch, level: str, code: int) -> None:
    from synctalk_bench.cli.app import app

    def one(here: Machine, notes: Notes) -> None:
        notes.found.append(Finding(check="x", level=level, found="so", means="thus", type="do this"))  # type: ignore[arg-type]

    monkeypatch.setattr(examine.examine, "__defaults__", ((Check("x", one),),))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == code
    assert ("type: do this" in done.output) == (level != "ok")
    assert f"{int(code)} problem{'s' * (1 - code)}, {int(level == 'warning')} warning" in done.output
    assert ("now:  synctalk-bench run --preset quick" in done.output) == (code == 0)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    record = json.loads(done.output)
    assert done.exit_code == code and record["usable"] == (code == 0)
    assert record["findings"] == [{"check": "x", "level": level, "found": "so", "means": "thus", "type": "do this"}]


def test_this_machine_is_usable(tmp_path: Path) -> None:
    """The tests run here, so nothing that a run needs can be broken; every check has its say."""
    found = list(examine.examine(Machine(environ=os.environ, workspace=tmp_path / "new")))
    assert usable(found), [f for f in found if f.level == "problem"]
    assert {f.check for f in found} >= {c.name for c in CHECKS}
    assert not (tmp_path / "new").exists() and list(tmp_path.iterdir()) == [], "it leaves nothing behind"


# --- machine ---------------------------------------------------------------------------------------------------------


def test_threads_beside_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: set(range(16)))
    monkeypatch.setattr(machine, "_quota", lambda: None)
    assert levels(look(machine.processors, tmp_path)) == ["ok"]
    (finding,) = look(machine.processors, tmp_path, OMP_NUM_THREADS="2")
    assert finding.level == "warning" and finding.found == "16 cores, 2 threads (OMP_NUM_THREADS)"
    monkeypatch.setattr(machine, "_quota", lambda: 2.0)
    (finding,) = look(machine.processors, tmp_path)
    assert finding.level == "warning" and "OMP_NUM_THREADS=2" in finding.type, "a container's limit"
    assert levels(look(machine.processors, tmp_path, OMP_NUM_THREADS="2")) == ["ok"]


def test_limits_of_a_container(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       64000000 kB\nMemAvailable:   60000000 kB\n")
    assert machine._memory(meminfo, tmp_path) == (65_536_000_000, 61_440_000_000)
    (tmp_path / "memory.max").write_text("8000000000\n")
    (tmp_path / "memory.current").write_text("3000000000\n")
    assert machine._memory(meminfo, tmp_path) == (8e9, 5e9)
    (tmp_path / "memory.max").write_text("max\n")
    assert machine._memory(meminfo, tmp_path) == (65_536_000_000, 61_440_000_000)
    assert machine._quota(tmp_path) is None
    for text, cores in (("150000 100000", 1.5), ("max 100000", None)):
        (tmp_path / "cpu.max").write_text(text)
        assert machine._quota(tmp_path) == cores


def test_little_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "_memory", lambda: (8e9, 1.5e9))
    (finding,) = look(machine.memory, tmp_path)
    assert finding.level == "warning" and finding.found == "1.5 GB free of 8.0 GB"


def test_driver(tmp_path: Path) -> None:
    (none,) = look(machine.driver, tmp_path, PATH=str(tmp_path))
    assert none.level == "ok" and "CPU machine" in none.found
    (there,) = look(machine.driver, tmp_path, PATH=fake_smi(tmp_path / "a", smi("13.0")))
    assert there.found == "580.65.06, runs CUDA up to 13.0: 2 GPUs"
    mismatch = "Failed to initialize NVML: Driver/library version mismatch"
    (broken,) = look(machine.driver, tmp_path, PATH=fake_smi(tmp_path / "b", f"echo '{mismatch}'; exit 18\n"))
    assert broken.level == "warning" and mismatch in broken.found


@pytest.mark.parametrize(
    ("built", "cuda", "extra", "level", "words"),
    [
        ("13.2", "12.4", {}, "problem", "older than CUDA 13"),
        ("13.2", "13.0", {}, "problem", "torch cannot start CUDA 13.2"),
        (None, "13.0", {}, "warning", "built without CUDA"),
        ("13.2", "13.0", {"CUDA_VISIBLE_DEVICES": ""}, "warning", "hidden by CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_gpu_that_torch_does_not_see(
    tmp_path: Path, built: str | None, cuda: str, extra: dict[str, str], level: str, words: str
) -> None:
    def check(here: Machine, notes: Notes) -> None:
        compute._no_gpu(here, notes, built)

    (finding,) = look(check, tmp_path, PATH=fake_smi(tmp_path / "bin", smi(cuda)), **extra)
    assert finding.level == level and words in finding.found and "NVIDIA H200" in finding.found


# --- compute ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capability", "built_for", "runs"),
    [
        ((9, 0), ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"], True),  # H100
        ((8, 9), ["sm_80", "sm_86", "sm_90"], True),  # RTX 40: machine code of 8.6
        ((12, 0), ["sm_50", "sm_80", "sm_86", "sm_90"], False),  # RTX 50 under an old torch: thread 7
        ((12, 0), ["sm_80", "sm_90", "compute_90"], True),  # its PTX is compiled anew
        ((7, 0), ["sm_75", "sm_80", "compute_120"], False),  # V100: nothing that old
        ((10, 3), ["sm_90a", "sm_100"], True),
        ((9, 0), [], False),
    ],
)
def test_which_gpus_a_torch_covers(capability: tuple[int, int], built_for: list[str], runs: bool) -> None:
    assert compute.covered(capability, built_for) == runs


def test_triton_beside_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = ['triton~=3.9.0; platform_system == "Linux"', "sympy>=1.13"]
    monkeypatch.setattr(compute, "requires", lambda name: asked)
    for here, level in (("3.9.0", "ok"), ("3.9.1", "ok"), ("3.6.0", "warning"), ("3.90.0", "warning")):
        monkeypatch.setattr(compute, "version", lambda name, here=here: here)
        assert levels(look(compute.triton, tmp_path)) == [level], here


def test_torchvision_without_its_operators(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compute, "find_spec", lambda name: None)
    assert levels(look(compute.torchvision, tmp_path)) == ["problem"]


def test_kernel_beside_its_twin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real kernel, interpreted where there is no GPU; and one that counts a few cells too many is noticed."""
    import torch
    from synctalk_kernels import occupancy
    from synctalk_kernels.backend import interpreting

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" or interpreting():
        assert compute.differing(device) == 0
    right = occupancy.pack
    monkeypatch.setattr(
        occupancy, "pack", lambda grid, threshold, *, backend: right(grid + (backend == "triton") * 0.001, threshold)
    )
    assert 0 < compute.differing("cpu") < 100
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(compute, "differing", lambda device: 7)
    (finding,) = look(compute.kernel, tmp_path)
    assert finding.level == "problem" and "7 of 512 bytes differ" in finding.found


@pytest.mark.gpu
def test_kernel_on_a_gpu(tmp_path: Path) -> None:
    (finding,) = look(compute.kernel, tmp_path)
    assert finding.level == "ok" and "equal to its twin" in finding.found
    assert set(levels(look(compute.gpu, tmp_path))) <= {"ok", "warning"}


# --- libraries -------------------------------------------------------------------------------------------------------


def test_faces_without_package_or_system_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(libraries, "FACE_LIBRARIES", ("libNotHere.so.7",))
    monkeypatch.setattr(libraries, "find_spec", lambda name: object())
    (finding,) = look(libraries.faces, tmp_path)
    assert "libNotHere.so.7" in finding.found and finding.type == "apt-get install libegl1 libgles2"
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    (finding,) = look(libraries.faces, tmp_path)
    assert finding.level == "warning" and "synctalk-bench[face]" in finding.type


def test_video_is_really_written_and_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert levels(look(libraries.video, tmp_path)) == ["ok"]
    import av

    def no_encoder(*_: object, **__: object) -> None:
        raise av.codec.codec.UnknownCodecError("libx264")

    monkeypatch.setattr("synctalk_bench.subjects.mp4.write_mp4", no_encoder)
    found = list(examine.examine(Machine(environ={}, workspace=tmp_path), [c for c in CHECKS if c.name == "video"]))
    assert levels(found) == ["problem"] and "libx264" in found[0].found


def test_extras_exist() -> None:
    """What 'optional' tells to type is an extra that pyproject.toml has."""
    import tomllib

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    named = {e.get.split("[")[1].split("]")[0] for e in libraries.OPTIONAL if "synctalk-bench[" in e.get}
    assert named and named <= project["optional-dependencies"].keys()


# --- places ----------------------------------------------------------------------------------------------------------


def test_workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    room, locks = look(places.workspace, tmp_path)
    assert room.level in ("ok", "warning") and "not there yet" in room.found and locks.level == "ok"
    (tmp_path / "workspace").write_text("")
    assert levels(look(places.workspace, tmp_path)) == ["problem"]
    (finding,) = look(places.workspace, Path("/proc"))
    assert finding.level == "problem" and "/proc cannot be written" in finding.found
    (tmp_path / "workspace").unlink()
    for free, level in ((1e11, "ok"), (1e9, "warning"), (1e8, "problem")):
        usage = shutil._ntuple_diskusage(1e12, 1e12 - free, free)  # type: ignore[attr-defined]
        monkeypatch.setattr(places.shutil, "disk_usage", lambda path, usage=usage: usage)
        assert levels(look(places.workspace, tmp_path))[0] == level


def test_locks_that_do_not_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(places, "CHILD", "import sys; sys.exit(10)")  # as where the second process gets the lock too
    assert look(places.workspace, tmp_path)[1].level == "warning"
    monkeypatch.setattr(places, "CHILD", "raise ImportError('gone')")
    assert "gone" in look(places.workspace, tmp_path)[0].found, (
        "a lock that could not be tried is not a lock that holds"
    )


def test_folders_of_assets_that_are_not_there(tmp_path: Path) -> None:
    good, bad, file = tmp_path / "good", tmp_path / "bad", tmp_path / "file"
    good.mkdir()
    file.write_text("")
    cache = {"SYNCTALK_BENCH_CACHE": str(tmp_path / "cache")}
    found = look(places.asset_folders, tmp_path, SYNCTALK_BENCH_ASSETS=f"{good}:{bad}:{file}", **cache)
    assert levels(found) == ["ok", "warning", "warning", "ok"]
    assert "is not there" in found[1].found and "is not a folder" in found[2].found
    assert found[1].type.startswith(f"export SYNCTALK_BENCH_ASSETS={good},")


def test_assets_that_are_another_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = {"SYNCTALK_BENCH_ASSETS": str(tmp_path), "SYNCTALK_BENCH_CACHE": str(tmp_path / "cache")}
    found = look(places.assets, tmp_path, **place)
    assert [f.found for f in found if f.level == "ok"], "the packaged weights are always here"
    (tmp_path / "face_landmarker.task").write_text("<!DOCTYPE html><p>sign in</p>")
    wrong = [f for f in look(places.assets, tmp_path, **place) if f.level != "ok"]
    assert (
        levels(wrong) == ["problem"] and "is a web page" in wrong[0].found and "fetch face-landmarker" in wrong[0].type
    )
    # The right size and the wrong content: seen by the hash, and not claimed to be verified where it was not read.
    (tmp_path / "face_landmarker.task").write_bytes(bytes(3_758_596))
    assert "problem" in levels(look(places.assets, tmp_path, **place))
    monkeypatch.setattr(places, "HASH_UP_TO", 0)
    (by_size,) = [f for f in look(places.assets, tmp_path, **place) if f.found.startswith("face-landmarker")]
    assert by_size.level == "ok" and "size alone" in by_size.found


def test_presets_and_what_they_lack(tmp_path: Path) -> None:
    found = look(places.presets, tmp_path, SYNCTALK_BENCH_CACHE=str(tmp_path), HF_HOME=str(tmp_path))
    lpips = [f for f in found if "lpips-alexnet missing" in f.found]
    assert all(f.level == "warning" and f.type == "synctalk-bench assets fetch lpips-alexnet" for f in lpips)
    by_score, by_head = sorted(lpips, key=lambda f: "triplane" in f.found)
    assert "quick" in by_score.means and "the rest is computed" in by_score.means
    assert "full" in by_head.means and "quick" not in by_head.means, "quick has no lip stage"
    heads = next(f for f in found if "audio-visual-encoder" in f.found)
    assert "ave" in heads.found and "full" in heads.means and "rows are not made" in heads.means
    scores = next(f for f in found if "syncnet-v2" in f.found)
    assert "lse-c, lse-d" in scores.found and "the rest is computed" in scores.means
    assert not [f for f in found if f.level == "ok"], "no built-in preset works whole without any file"


def test_broken_plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    points = [
        EntryPoint("fakes", "fake_components", "synctalk_bench"),
        EntryPoint("lost", "no_such_module", "synctalk_bench"),
        EntryPoint("strayed", "fake_components", "synctalk-bench"),
    ]
    monkeypatch.setattr("synctalk_bench.plugins.manager.entry_points", lambda: EntryPoints(points))
    found = look(places.plugins, tmp_path)
    assert levels(found) == ["warning", "warning", "ok"]
    assert "'lost'" in found[0].found and "no_such_module" in found[0].found and "pip install" in found[0].type
    assert "'strayed'" in found[1].found and "[project.entry-points.synctalk_bench]" in found[1].type
    monkeypatch.setattr("synctalk_bench.plugins.manager.entry_points", lambda: EntryPoints(()))
    assert levels(look(places.plugins, tmp_path)) == ["problem"]
