"""The guide's code is run: every block with a file name is written, built, installed into a venv and checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "adding-a-component.md"
BLOCK = re.compile(r'^```\w+ title="(?P<name>[^"]+)"\n(?P<code>.*?)^```$', re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> dict[str, str]:
    return {found["name"]: found["code"] for found in BLOCK.finditer(GUIDE.read_text())}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guide")
    for name, code in blocks().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    return folder


@pytest.fixture(scope="module")
def sandbox(source: Path, install: Callable[[Path], Any]) -> Any:
    return install(source)


def test_the_guide_has_the_files_that_it_promises() -> None:
    assert set(blocks()) == {
        "pyproject.toml",
        "synctalk_voicing/__init__.py",
        "synctalk_voicing/plugin.py",
        "synctalk_voicing/configs.py",
        "synctalk_voicing/encoder.py",
        "tests/test_voicing.py",
        "voicing.toml",
    }


def test_printed_check_is_what_the_command_prints(sandbox: Any) -> None:
    (printed,) = (c["text"] for c in CONSOLE.finditer(GUIDE.read_text()) if "plugins check voicing\n" in c["text"])
    done = sandbox.cli("plugins", "check", "voicing")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == printed.partition("plugins check voicing\n")[2]
    assert "failed" not in done.stdout and "skipped" not in done.stdout


def test_the_guides_own_tests_pass(sandbox: Any, source: Path) -> None:
    done = sandbox.command("-m", "pytest", "-q", "-p", "no:cacheprovider", str(source / "tests"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_preset_resolves(sandbox: Any, source: Path) -> None:
    done = sandbox.cli("config", "show", "--preset", str(source / "voicing.toml"), "--set", "audio.slices=16", "--json")
    assert done.returncode == 2 and "slices" in done.stderr, "mel has no slices, and an override reaches every variant"
    done = sandbox.cli("config", "show", "--preset", str(source / "voicing.toml"))
    assert done.returncode == 0, done.stderr
    assert "variant mel" in done.stdout and "variant voicing" in done.stdout and "slices" in done.stdout


def test_options_are_checked_before_torch_is_loaded(sandbox: Any) -> None:
    found = sandbox.json(
        "import json, sys\n"
        "from synctalk_bench.config.coerce import build_config\n"
        "from synctalk_bench.errors import ConfigError\n"
        "from synctalk_bench.plugins.manager import plugins\n"
        "from synctalk_bench.specs import Kind\n"
        "config = plugins().find(Kind.AUDIO, 'voicing').spec.config\n"
        "try:\n"
        "    build_config(config, {'slices': 100}, prefix='audio', origins={})\n"
        "except ConfigError as error:\n"
        "    print(json.dumps([error.message, 'torch' in sys.modules]))"
    )
    assert found == ["100 is too large; at most 64 is allowed", False]


def test_every_kind_and_hook_of_the_table_exists() -> None:
    from synctalk_bench import protocols
    from synctalk_bench.plugins.manager import HOOK_OF_KIND

    rows = re.findall(r"^\| (\w+) \| `(synctalk_bench_\w+)` \| `(\w+)` \|", GUIDE.read_text(), re.MULTILINE)
    assert {kind: hook for kind, hook, _ in rows} == {str(kind): hook for kind, hook in HOOK_OF_KIND.items()}
    assert all(hasattr(protocols, protocol) for _, _, protocol in rows)
