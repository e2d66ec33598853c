"""A stranger's distribution, installed into a venv of its own: it is found, listed, checked and used by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(__file__).resolve().parent.parent / "sample_plugin"
THREE = {("audio", "loudness"), ("expression", "brows"), ("metric", "mae")}


@pytest.fixture(scope="module")
def sandbox(install: Callable[[Path], Any]) -> Any:
    return install(SAMPLE)


def test_discovery_names_the_distribution_and_loads_nothing_heavy(sandbox: Any) -> None:
    found = sandbox.json(
        "import json, sys\n"
        "from synctalk_bench.plugins.manager import PluginManager\n"
        "manager = PluginManager()\n"
        "entries = [[e.kind, e.spec.name, e.distribution] for e in manager.entries()]\n"
        "heavy = [m for m in ('torch', 'pandas', 'triton', 'cv2', 'numpy') if m in sys.modules]\n"
        "computing = [m for m in sys.modules if m.startswith('synctalk_sample.')]\n"
        "print(json.dumps([entries, [b.reason for b in manager.broken], heavy, computing]))",
    )
    assert "synctalk_bench_sample-0.1.0.dist-info/entry_points.txt" in sandbox.files
    entries, broken, heavy, modules = found
    assert broken == [] and heavy == []
    assert sorted(modules) == ["synctalk_sample.configs", "synctalk_sample.plugin"]
    ours = {(kind, name) for kind, name, distribution in entries if distribution == "synctalk-bench-sample 0.1.0"}
    assert ours == THREE
    assert {("audio", "mel"), ("pose", "raw")} <= {(kind, name) for kind, name, _ in entries}, (
        "beside the built-in ones"
    )


def test_it_is_not_in_the_interpreter_of_the_tests() -> None:
    from synctalk_bench.plugins.manager import PluginManager

    assert "loudness" not in [e.spec.name for e in PluginManager().entries()], "the venv is the only place that has it"


def test_conformance(sandbox: Any) -> None:
    checks = sandbox.json(
        "import json\n"
        "from synctalk_bench.plugins.manager import PluginManager\n"
        "from synctalk_bench.testing.conformance import check\n"
        "entries = [e for e in PluginManager().entries() if e.distribution.startswith('synctalk-bench-sample')]\n"
        "checks = [(e.spec.name, c) for e in entries for c in check(e.spec, e.kind)]\n"
        "print(json.dumps([[name, c.name, c.status, c.detail] for name, c in checks]))",
    )
    assert len(checks) >= 18
    assert not [row for row in checks if row[2] != "ok"]
    assert ["loudness", "declared without torch", "ok", "synctalk_sample.plugin"] in checks


def test_command_line(sandbox: Any) -> None:
    listed = sandbox.cli("plugins", "list")
    assert listed.returncode == 0, listed.stderr
    assert "loudness" in listed.stdout and "synctalk-bench-sample 0.1.0" in listed.stdout
    checked = sandbox.cli("plugins", "check", "brows")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "same seed, same result" in checked.stdout


def test_features_mean_what_they_say(sandbox: Any) -> None:
    """A low and a high tone light up a low and a high band, in the frames where they sound."""
    low, high, quiet = sandbox.json(
        "import json, math, torch\n"
        "from synctalk_bench.plugins.manager import build, plugins\n"
        "from synctalk_bench.protocols import Context\n"
        "from synctalk_bench.specs import Kind\n"
        "spec = plugins().find(Kind.AUDIO, 'loudness').spec\n"
        "encoder = build(spec, spec.config(), Context())\n"
        "t = torch.arange(16000) / 16000\n"
        "wave = torch.where(t < 0.5, torch.sin(2 * math.pi * 150 * t), torch.sin(2 * math.pi * 5000 * t))\n"
        "f = encoder.encode(wave, 16000, fps=25.0, frames=40).mean(1)\n"
        "print(json.dumps([f[5].argmax().item(), f[18].argmax().item(), f[30:].max().item()]))",
    )
    assert (low, high, quiet) == (1, 7, 0.0)
