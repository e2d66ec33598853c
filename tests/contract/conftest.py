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


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Sandbox]:
    """A function that installs a source folder into a venv of its own."""

    def into_a_new_venv(source: Path) -> Sandbox:
        folder = tmp_path_factory.mktemp("venv")
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = folder / "venv" / "lib" / version / "site-packages"
        # addsitedir and not a plain path: it also runs the .pth files there, and an editable install is one.
        seen = dict.fromkeys([sysconfig.get_path("purelib"), *site.getsitepackages()])
        (packages / "beside.pth").write_text("".join(f"import site; site.addsitedir({place!r})\n" for place in seen))
        # Unpacking a wheel is how a pure Python package is installed; a venv made by uv has no pip to do it.
        code = f"from hatchling import build; print(build.build_wheel({str(folder)!r}))"
        done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with zipfile.ZipFile(folder / done.stdout.split()[-1]) as wheel:
            wheel.extractall(packages)
            return Sandbox(folder / "venv" / "bin" / "python", wheel.namelist())

    return into_a_new_venv
