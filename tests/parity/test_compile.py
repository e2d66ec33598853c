"""Every kernel goes through the compiler to machine code for an H100 or H200 on a machine without a GPU.

The interpreter accepts code that the compiler rejects. Compiling needs kernels that were *not* made for the
interpreter, so it runs in a process of its own: ``python tests/parity/test_compile.py`` prints a line of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PACKAGES = ("synctalk_kernels.field", "synctalk_kernels.render")

TYPES = {
    "values_kernel": {
        **dict.fromkeys(
            ("points", "directions", "table_xy", "table_yz", "table_xz", "audio", "eye", "code", "sigma", "rgb"),
            "*fp32",
        ),
        "attention": "*fp32", "uncertainty": "*fp32", "level_table": "*i32", "weights": "*fp16", "count": "i32",
    },
    "rays_kernel": {
        **dict.fromkeys(("pose", "box", "within", "background", "ray_near", "ray_direction", "extra"), "*fp32"),
        **dict.fromkeys(("counter", "ray_pixel", "ray_first", "ray_bits"), "*i32"),
        **dict.fromkeys(("capacity", "width", "height", "blocks_across"), "i32"),
        **dict.fromkeys(("shrink", "cx", "cy", "step", "near_least"), "fp32"),
        "bits_by_row": "*u8", "ray_view": "*fp16", "image": "*fp32",
    },
    "draw_kernel": {
        **dict.fromkeys(("pose", "ray_near", "ray_direction", "background", "extra", "image"), "*fp32"),
        **dict.fromkeys(("counter", "ray_pixel", "ray_first", "ray_bits", "level_table"), "*i32"),
        **dict.fromkeys(("ray_view", "static", "frame"), "*fp16"),
        **dict.fromkeys(("capacity", "plane", "most"), "i32"),
        "cells": "*i64", "step": "fp32",
    },
}  # fmt: skip
"""Type of every argument that is not a constant, by kernel."""

RAYS = {"SIZE": 128, "WORDS": 4, "EDGE": 8, "TOGETHER": 8, "EXTRA": False}
DRAW = {"WORDS": 4, "M": 64, "REFILL": 8, "EXTRA": False}
CASES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, str]]] = [
    ("values_kernel", {"M": 128}, {"num_warps": 4}, {}),
    ("rays_kernel", RAYS, {"num_warps": 2}, {}),
    ("rays_kernel", RAYS | {"WORDS": 1, "EXTRA": True}, {"num_warps": 2}, {"image": "*u8"}),
    ("draw_kernel", DRAW, {"num_warps": 4, "maxnreg": 168}, {}),
    ("draw_kernel", DRAW | {"WORDS": 1}, {"num_warps": 4, "maxnreg": 168}, {"image": "*u8"}),
    ("draw_kernel", DRAW | {"EXTRA": True}, {"num_warps": 4, "maxnreg": 168}, {}),
]
"""Kernel, constants, options and types that differ from ``TYPES``."""


def kernels() -> Iterator[tuple[str, Any]]:
    """Name and function of every kernel (not device function) of the packages."""
    for package in PACKAGES:
        root = importlib.import_module(package)
        for module in pkgutil.iter_modules(root.__path__, f"{package}."):
            found = importlib.import_module(module.name)
            for name, value in vars(found).items():
                own = getattr(getattr(value, "fn", None), "__module__", None) == module.name
                if name.endswith("_kernel") and own:
                    yield name, value


def compile_all() -> dict[str, Any]:
    """Bytes of machine code of every case, and the kernels that no case names."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    known = dict(kernels())
    sizes = []
    for name, constants, options, types in CASES:
        kernel = known[name]
        signature = {
            argument: "constexpr" if argument in constants else (TYPES[name] | types)[argument]
            for argument in kernel.arg_names
        }
        made = triton.compile(
            ASTSource(fn=kernel, signature=signature, constexprs=constants),
            target=GPUTarget("cuda", 90, 32),
            options=options,
        )
        sizes.append(len(made.asm["cubin"]))
    return {"sizes": sizes, "unnamed": sorted(known.keys() - {case[0] for case in CASES})}


@pytest.mark.timeout(280)
def test_every_kernel_becomes_machine_code(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__], capture_output=True, text=True, check=False,
        env=environment | {"TRITON_CACHE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["unnamed"] == []
    assert len(answer["sizes"]) == len(CASES) and min(answer["sizes"]) > 1000


if __name__ == "__main__":
    sys.stdout.write(json.dumps(compile_all()) + "\n")
