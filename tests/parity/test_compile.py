"""Every kernel that draws goes through the compiler: ``python tests/parity/test_compile.py`` prints a line of JSON."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import pytest
from machine_code import answer_of, compiled, kernels_of

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


def compile_all() -> dict[str, Any]:
    """Bytes of machine code of every case, and the kernels that no case names."""
    folders = {package: importlib.import_module(package).__path__ for package in PACKAGES}
    modules = [m.name for package, folder in folders.items() for m in pkgutil.iter_modules(folder, f"{package}.")]
    known = kernels_of(modules)
    sizes = [
        len(compiled(known[name], TYPES[name] | types, constants, options)["cubin"])
        for name, constants, options, types in CASES
    ]
    return {"sizes": sizes, "unnamed": sorted(known.keys() - {case[0] for case in CASES})}


@pytest.mark.timeout(280)
def test_every_kernel_becomes_machine_code(tmp_path: Path) -> None:
    answer = answer_of(__file__, tmp_path)
    assert answer["unnamed"] == []
    assert len(answer["sizes"]) == len(CASES) and min(answer["sizes"]) > 1000


if __name__ == "__main__":
    sys.stdout.write(json.dumps(compile_all()) + "\n")
