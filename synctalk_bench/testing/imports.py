"""What importing a module loads, found out in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points

from synctalk_bench.plugins.hookspecs import GROUP
from synctalk_bench.specs import ComponentSpec, NoConfig

HEAVY = ("torch", "pandas", "triton", "cv2", "scipy", "torchvision", "mediapipe", "transformers", "tensorflow", "jax")
"""Too slow for ``--help`` (design.md section 2)."""


def declaring_module(spec: ComponentSpec) -> str | None:
    """Return the module that declares ``spec``: an entry point's in its package, else its config's, or None."""
    package = spec.target.partition(":")[0].partition(".")[0]
    modules = sorted(p.module for p in entry_points(group=GROUP) if p.module.partition(".")[0] == package)
    # A package with several entry points declares this one in the module that lies nearest to its target.
    target = spec.target.partition(":")[0].split(".")
    if modules:
        return max(modules, key=lambda name: sum(a == b for a, b in zip(name.split("."), target, strict=False)))
    return None if spec.config is NoConfig else spec.config.__module__


def heavy_imports(module: str) -> list[str]:
    """Return which of ``HEAVY`` are loaded by importing ``module``; raises ImportError when it cannot be imported."""
    code = f"import sys, {module}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImportError(f"{module} cannot be imported by itself: {(done.stderr.strip().splitlines() or [''])[-1]}")
    return done.stdout.split()
