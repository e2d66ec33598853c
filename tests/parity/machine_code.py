"""Kernels through the compiler to machine code for an H100 or H200, on a machine without a GPU.

The interpreter accepts code that the compiler rejects. Compiling needs kernels that were *not* made for the
interpreter, so it runs in a process of its own: a test's module, run as a script, prints a line of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def kernels_of(modules: Iterable[str]) -> dict[str, Any]:
    """The kernels (not device functions) that ``modules`` define, by name."""
    return {
        name: value
        for module in modules
        for name, value in vars(importlib.import_module(module)).items()
        if name.endswith("_kernel") and getattr(getattr(value, "fn", None), "__module__", None) == module
    }


def compiled(
    kernel: Any, types: Mapping[str, str], constants: Mapping[str, Any], options: Mapping[str, int]
) -> dict[str, Any]:
    """What the compiler makes of a kernel: ``ptx``, ``cubin`` and what lies between.

    types: of every argument that is not a constant.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature = {a: "constexpr" if a in constants else types[a] for a in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=dict(constants))
    made: dict[str, Any] = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=dict(options)).asm
    return made


def answer_of(script: str, cache: Path) -> dict[str, Any]:
    """The JSON that a test's module prints as a script, uninterpreted, with the compiler's cache in ``cache``."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script], capture_output=True, text=True, check=False,
        env=environment | {"TRITON_CACHE_DIR": str(cache)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
