"""A finished run of fake components with two variants, made once, and a study of it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_runs import catalogue, preset_text, run_file

from synctalk_bench.store.workspace import RunFolder, Workspace
from synctalk_bench.study.design import Row, codes, identifiers, rows, sequences
from synctalk_bench.study.files import ClipFacts, Key
from synctalk_bench.study.questions import read_questionnaire

sys.path.insert(0, str(Path(__file__).parent))

VARIANTS = """[variant.secret]
label = "our secret method"
[variant.other]
label = "another method"
renderer.steps = 2
"""


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("study") / "workspace")


@pytest.fixture(scope="session")
def run(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The folder of the run."""
    path = tmp_path_factory.mktemp("preset") / "fake.toml"
    path.write_text(preset_text(VARIANTS))
    report = run_file(path, workspace, catalogue())
    assert report.outcome.failed == {}
    return report.folder


MakeKey = Callable[..., Key]


@pytest.fixture
def make_key() -> MakeKey:
    """A function that makes the key of a study without clips."""

    def make(
        methods: int = 2, items: int = 2, *, shown: int | None = None, people: int = 4, checks: int = 1,
        reference: bool = False, open: bool = False, seed: int = 0,
    ) -> Key:  # fmt: skip
        rng = random.Random(seed)
        names = [f"method {m}" for m in range(methods)] + ["ground truth"] * reference
        blind = iter(identifiers(len(names) * items, rng))
        grid = [[next(blind) for _ in names] for _ in range(items)]
        questions = read_questionnaire().questions
        made: tuple[Row, ...] = rows(sequences(grid, shown or len(names) * items, rng), checks, len(questions), rng)
        clips = {
            grid[item][place]: ClipFacts(
                method=name, reference=name == "ground truth", run="r", variant=name, subject=f"subject {item}",
                seed=0, protocol="head", excerpt=0, first=0, frames=50, fps=25.0, fingerprint="f", sha256="0" * 64,
            )
            for item in range(items)
            for place, name in enumerate(names)
        }  # fmt: skip
        return Key(
            study="0123456789ab", title="A study", seed=seed, made_by="test", encoder="none", methods=tuple(names),
            questions=questions, rows=made, codes=codes(people, rng), open=open, clips=clips, notes=(),
        )  # fmt: skip

    return make
