"""Installs a distribution as a user would, without the network: a wheel, unpacked into a fresh venv."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Sandbox:
    """A venv that has one distribution more than the interpreter of the tests."""

    python: Path
    files: list[str]  # what the installed wheel holds

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the venv's interpreter outside the source tree."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.python.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, code: str) -> Any:
        """Return what ``code`` printed last, as JSON."""
        done = self.command("-c", code)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``synctalk-bench``."""
        return self.command("-c", "from synctalk_bench.cli.app import main; main()", *arguments)


def venv_beside(folder: Path, *, with_pip: bool = False) -> Path:
    """Make a venv in ``folder`` that sees all that the interpreter of the tests sees; return its interpreter."""
    venv.create(folder / "venv", with_pip=with_pip, symlinks=True)
    # addsitedir and not a plain path: it also runs the .pth files there, and an editable install is one.
    seen = dict.fromkeys([sysconfig.get_path("purelib"), *site.getsitepackages()])
    lines = "".join(f"import site; site.addsitedir({place!r})\n" for place in seen)
    (packages_of(folder / "venv") / "beside.pth").write_text(lines)
    return folder / "venv" / "bin" / "python"


def packages_of(environment: Path) -> Path:
    """Where a venv keeps its packages."""
    return environment / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Sandbox]:
    """A function that installs a source folder into a venv of its own."""

    def into_a_new_venv(source: Path) -> Sandbox:
        folder = tmp_path_factory.mktemp("venv")
        python = venv_beside(folder)
        # Unpacking a wheel is how a pure Python package is installed; a venv made by uv has no pip to do it.
        code = f"from hatchling import build; print(build.build_wheel({str(folder)!r}))"
        done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with zipfile.ZipFile(folder / done.stdout.split()[-1]) as wheel:
            wheel.extractall(packages_of(folder / "venv"))
            return Sandbox(python, wheel.namelist())

    return into_a_new_venv


@dataclass(frozen=True)
class Shell:
    """A user's shell in a fresh folder, with pip and the command, and without a network."""

    folder: Path
    sandbox: Sandbox

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run ``script`` until its first failing line."""
        dropped = ("PYTHONPATH", "SYNCTALK_BENCH_WORKSPACE")
        environment = {name: value for name, value in os.environ.items() if name not in dropped}
        path = f"{self.sandbox.python.parent}:{os.environ['PATH']}"
        environment |= {"PATH": path, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=environment, capture_output=True,
            text=True, timeout=560, check=False,
        )  # fmt: skip


# What pip would download is here: hatchling builds, and synctalk-bench, torch and pytest are seen beside the venv.
PIP = """
import sys
from pip._internal.cli.main import main
command, *rest = sys.argv[1:]
sys.exit(main([command, *(["--no-index", "--no-deps", "--no-build-isolation"] if command == "install" else []), *rest]))
"""
COMMAND = """
from synctalk_bench.cli.app import main
main()
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell of its own for every module of tests."""
    folder = tmp_path_factory.mktemp("shell")
    python = venv_beside(folder, with_pip=True)
    for name, code in (("pip", PIP), ("synctalk-bench", COMMAND)):
        program = python.with_name(name)
        program.write_text(f"#!{python}\n{code}")
        program.chmod(0o755)
    (folder / "home").mkdir()
    return Shell(folder / "home", Sandbox(python, []))
