"""Arrows between packages point one way (design.md section 3), and no layer knows a component by name."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"errors", "artifacts", "specs", "protocols", "camera", "mfcc", "paths", "wording"}
COMPONENTS_MAY_USE = SMALL | {"assets", "vision", "testing", "plugins.hookspecs", "subjects.folder"}

# package -> packages of the harness that it may import
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "paths": {"errors"},
    "wording": set(),
    "artifacts": set(),
    "camera": set(),
    "specs": set(),
    "protocols": {"artifacts", "errors"},
    "assets": SMALL | {"store"},
    "store": SMALL,
    "vision": SMALL | {"assets"},
    "subjects": SMALL | {"store", "assets", "plugins", "vision", "prepare"},
    "prepare": SMALL | {"pages", "store", "subjects", "vision", "assets"},
    "plugins": SMALL | {"runner"},
    "metrics": SMALL | {"plugins", "vision", "assets", "store", "subjects"},
    "results": SMALL | {"pages"},
    "results/report": SMALL | {"pages", "results", "stages", "store", "subjects"},
    "pages": set(),
    "config": SMALL | {"plugins", "store"},
    "stages": SMALL | {"config", "plugins", "store", "subjects", "results", "prepare", "metrics", "vision"},
    "runner": SMALL | {"assets", "config", "plugins", "stages", "store", "subjects", "results"},
    "doctor": SMALL | {"assets", "config", "plugins", "store", "subjects", "vision"},
    "pretrain": SMALL | {"plugins", "prepare", "runner", "stages", "store", "subjects", "vision"},
    "study": SMALL | {"results", "stages", "store", "subjects"},
    "serve": SMALL | {"store", "study"},
    "testing": SMALL | {"config", "plugins", "store", "subjects"},
}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield every imported module and whether it is only for type checkers."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in guarded


@pytest.mark.parametrize("package", sorted(LAYERS))
def test_arrows_inside_the_harness(package: str) -> None:
    base = ROOT / "synctalk_bench"
    files = [base / f"{package}.py"] if (base / f"{package}.py").is_file() else sorted((base / package).rglob("*.py"))
    inner = [base / other for other in LAYERS if other.startswith(f"{package}/")]
    files = [path for path in files if not any(path.is_relative_to(folder) for folder in inner)]
    assert files
    for path in files:
        for module, typing_only in imports(path):
            if module.startswith("synctalk_bench.") and not typing_only:
                target = module.split(".")[1]
                assert target == package.split("/")[0] or target in LAYERS[package], (
                    f"{path.relative_to(ROOT)} imports {module}"
                )


@pytest.mark.parametrize("folder", sorted((ROOT / "plugins").glob("*/synctalk_*")), ids=lambda p: p.name)
def test_components_use_only_the_public_parts(folder: Path) -> None:
    for path in folder.rglob("*.py"):
        for module, typing_only in imports(path):
            if module.startswith("synctalk_bench.") and not typing_only:
                name = module.removeprefix("synctalk_bench.")
                allowed = any(name == a or name.startswith(a + ".") for a in COMPONENTS_MAY_USE)
                assert allowed, f"{path.relative_to(ROOT)} imports {module}"


def test_kernels_import_torch_and_triton_only() -> None:
    for path in (ROOT / "kernels" / "synctalk_kernels").rglob("*.py"):
        for module, _ in imports(path):
            top = module.split(".")[0]
            allowed = top in {"torch", "triton", "synctalk_kernels"} or top in sys.stdlib_module_names
            assert allowed, f"{path.name} imports {module}"


def test_no_branch_on_a_components_name() -> None:
    """Outside presets and plugins, no string equals a component's name."""
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.specs import Kind

    methods = {e.spec.name for e in plugins().entries() if e.kind not in (Kind.METRIC, Kind.SUBJECT)} - {"none"}
    for layer in ("stages", "runner", "config", "store", "plugins", "results"):
        for path in (ROOT / "synctalk_bench" / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Compare):
                    for part in [node.left, *node.comparators]:
                        value = part.value if isinstance(part, ast.Constant) else None
                        assert value not in methods, f"{path.relative_to(ROOT)}:{node.lineno} compares with '{value}'"
