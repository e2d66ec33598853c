"""``table``, ``compare`` and ``plan`` on runs of fake components: a grid on two subjects with two seeds."""

from __future__ import annotations

import csv
import io
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import fake_runs
import numpy as np
import pytest
from fake_components import write_blocks
from typer.testing import CliRunner

from synctalk_bench.cli.app import app
from synctalk_bench.cli.table import write_tables
from synctalk_bench.errors import SynctalkBenchError
from synctalk_bench.plugins import manager as manager_module
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.results.rows import read_rows
from synctalk_bench.store.workspace import Workspace
from synctalk_bench.subjects.registry import SubjectRegistry

GRID = """[grid.g]
"renderer.steps" = [1, 4]
"expression.use" = ["grin"]
"""
PRESET = fake_runs.preset_text(GRID, {"subjects": ["blocks", "may"], "seeds": [0, 1]})
VARIANTS = [f"renderer.steps={steps},expression=grin" for steps in (1, 4)]


Call = Callable[..., str]


@pytest.fixture(scope="module")
def catalogue() -> PluginManager:
    return fake_runs.catalogue()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, catalogue: PluginManager) -> Workspace:
    place = Workspace.open(tmp_path_factory.mktemp("grid") / "here")
    write_blocks(place.root.parent / "May", frames=36)
    SubjectRegistry(place.root).register("may", place.root.parent / "May")
    _run(place, catalogue)
    _run(place, catalogue, "renderer.steps=7", "subjects=blocks", "seeds=0")
    return place


def _run(place: Workspace, catalogue: PluginManager, *overrides: str) -> None:
    path = place.root.parent / "grid.toml"
    path.write_text(PRESET)
    write_tables(fake_runs.run_file(path, place, catalogue, *overrides).folder)


@pytest.fixture(autouse=True)
def fake_catalogue(monkeypatch: pytest.MonkeyPatch, catalogue: PluginManager) -> Iterator[None]:
    monkeypatch.setattr(manager_module, "plugins", lambda: catalogue)
    yield


@pytest.fixture
def call(workspace: Workspace) -> Call:
    """A command on the workspace; the ``SynctalkBenchError`` that ``main`` would print is raised."""

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, [*arguments, "--workspace", str(workspace.root)])
        if isinstance(result.exception, SynctalkBenchError):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return run


def runs(workspace: Workspace) -> tuple[str, str]:
    """The grid's run and the one with seven steps everywhere, by their presets."""
    found = {}
    for path in (workspace.root / "runs").iterdir():
        table = next(iter(json.loads((path / "plan.json").read_text())["preset"]["variants"].values()))
        found[table["renderer"]["steps"]] = path.name
    return found[1], found[7]


def test_a_mean_is_over_subjects_and_seeds_as_the_stored_frames_say(workspace: Workspace, call: Call) -> None:
    grid, _ = runs(workspace)
    rows = read_rows(workspace.run(grid).results).rows
    values = {
        (r.variant, r.subject, r.seed): float(np.load(workspace.root / str(r.score.per_frame)).mean(dtype=np.float64))
        for r in rows
        if not r.control
    }
    assert set(values) == set(itertools.product(VARIANTS, ("blocks", "may"), (0, 1)))
    records = list(csv.DictReader(io.StringIO(call("table", grid, "--format", "csv"))))
    printed = {r["variant"]: float(r["mae[head]"]) for r in records if not r["group"]}
    assert list(printed) == VARIANTS
    for variant in VARIANTS:
        every = [value for (v, _, _), value in values.items() if v == variant]
        assert len(every) == 4 and printed[variant] == pytest.approx(np.mean(every), rel=1e-6)
    by_subject = list(csv.DictReader(io.StringIO(call("table", grid, "--format", "csv", "--by-subject"))))
    shown = {(r["group"], r["variant"]): float(r["mae[head]"]) for r in by_subject if r["group"] in ("blocks", "may")}
    assert shown[("may", VARIANTS[1])] == pytest.approx(
        (values[VARIANTS[1], "may", 0] + values[VARIANTS[1], "may", 1]) / 2
    )
    assert len(shown) == 4


def test_a_run_leaves_every_format_of_the_table_and_of_the_differences(workspace: Workspace) -> None:
    folder = workspace.run(runs(workspace)[0])
    names = {f"{name}.{suffix}" for name in ("results", "delta") for suffix in ("md", "tex", "html", "csv", "json")}
    assert {path.name for path in folder.tables.iterdir()} == names
    content = json.loads((folder.tables / "delta.json").read_text())
    assert [line["label"] for line in content["groups"][1]["lines"]] == VARIANTS[1:]
    assert "<table" in (folder.tables / "delta.html").read_text()


def test_what_cells_share_is_told_and_not_made_twice(workspace: Workspace, call: Call, tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(PRESET)
    shown = call("plan", "--preset", str(path))
    rows = {
        c[0].strip(): [x.strip() for x in c[1:]] for line in shown.splitlines() if len(c := line.split("│")[1:-1]) == 6
    }
    assert rows["features tone"][:3] == ["done", "2", "8 cells"]
    assert rows["features grin"][:3] == ["done", "2", "8 cells"]
    assert rows["train mean-colour"][:3] == ["done", "8", "8 cells"]
    assert "2 variants x 2 subjects x 2 seeds = 8 cells, and 6 controls" in shown
    todo = call("plan", "--preset", str(path), "--set", "renderer.steps=9")
    assert any("train mean-colour" in line and "to do" in line and "~0:0" in line for line in todo.splitlines())
    assert "(~: from other settings, not scaled to these)" in todo
    every = call("plan", "--preset", str(path), "--tasks")
    assert "features tone · may" in every and f"train mean-colour · may · seed 1 · {VARIANTS[1]}" in every


def test_two_runs_are_compared_over_all_cells_and_say_what_was_set(workspace: Workspace, call: Call) -> None:
    grid, seven = runs(workspace)
    content = json.loads(call("compare", grid, seven, "--format", "json"))
    assert [group["title"] for group in content["groups"]] == VARIANTS
    notes = " ".join(content["footnotes"])
    assert "renderer.steps 1 / 7" in notes and "renderer.steps 4 / 7" in notes and "computed with" not in notes
    assert "means over blocks (seed 0), which all runs have" in notes


def test_a_workspace_copied_from_elsewhere_compares_as_equal(workspace: Workspace, call: Call, tmp_path: Path) -> None:
    grid, _ = runs(workspace)
    there = tmp_path / "there" / "runs" / grid
    shutil.copytree(workspace.root / "runs" / grid, there)
    environment = json.loads((there / "environment.json").read_text())
    (there / "environment.json").write_text(json.dumps(environment | {"gpu": "H200", "commit": "0123456789ab"}))
    shown = call("compare", grid, str(there))
    assert f"{grid} (here)" in shown and f"{grid} (there)" in shown
    assert "gpu – / H200" in shown and "/ 0123456789ab" in shown
    beside = call("table", grid, "--with", str(there))
    assert all(beside.count(f"{grid} ({where})/{VARIANTS[0]}") == 1 for where in ("here", "there"))
    content = json.loads(call("compare", grid, str(there), "--format", "json", "--fail-if-worse", "mae"))
    assert all(group["lines"][1]["cells"][0]["delta"] == "+0.0000" for group in content["groups"])


def test_a_folder_of_the_current_one_is_found_by_its_name(
    workspace: Workspace, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(workspace.root / "runs" / runs(workspace)[0], tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert call("table", "elsewhere").startswith("elsewhere")


def test_worse_than_allowed_is_exit_code_1(workspace: Workspace, call: Call, tmp_path: Path) -> None:
    grid, _ = runs(workspace)
    there = tmp_path / grid
    shutil.copytree(workspace.root / "runs" / grid, there)
    lines = [json.loads(line) for line in (there / "results.jsonl").read_text().splitlines()]
    for line in lines:
        if not line["control"] and line["variant"] == VARIANTS[0]:
            line["score"]["mean"] += 0.02
    (there / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    call("compare", grid, str(there), "--fail-if-worse", "mae:0.03")
    said = call("compare", grid, str(there), "--fail-if-worse", "mae:0.01", code=1)
    assert f"{VARIANTS[0]}: MAE ↓ of" in said and "is worse by 0.0200 (allowed: 0.01)" in said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["compare", "grid"], 2, "one run is nothing to compare"),
        (["compare", "{grid}", "{grid}"], 2, "given twice"),
        (["compare", "{grid}", "./nowhere"], 2, "there is no ./nowhere"),
        (["compare", "{grid}", "/"], 2, "is not a run's folder: it has no results.jsonl"),
        (["compare", "{grid}:nope", "{seven}"], 2, "has no variant 'nope'"),
        (["compare", "{grid}", "{seven}", "--metrics", "mea"], 2, "did you mean 'mae'"),
        (["compare", "{grid}", "{seven}", "--fail-if-worse", "mae:-1"], 2, "not a number from 0 on"),
        (["table", "{grid}", "--with", "nope"], 2, "neither imported results nor a run"),
        (["table", "{grid}", "--with", "./nowhere"], 2, "there is no ./nowhere"),
        (["table", "{grid}", "--with", "{grid}"], 2, "given twice"),
        (["table", "{grid}", "--delta", "--paper"], 2, "a table shows one of them"),
        (["table", "{grid}", "--scores", "--delta"], 2, "--scores prints every score"),
        (["table", "nope"], 2, "no run is named 'nope'"),
    ],
)
def test_wrong_inputs_say_what_to_type(
    workspace: Workspace, call: Call, arguments: list[str], code: int, said: str
) -> None:
    names = dict(zip(("grid", "seven"), runs(workspace), strict=True))
    with pytest.raises(SynctalkBenchError) as caught:
        call(*(argument.format(**names) for argument in arguments))
    assert said in str(caught.value) and caught.value.exit_code == code


def test_hints_name_a_workspace_that_is_not_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, flag in ((tmp_path / "other one", f" --workspace '{tmp_path}/other one'"), (None, "")):
        monkeypatch.setenv("SYNCTALK_BENCH_WORKSPACE", str(tmp_path / "usual"))
        with pytest.raises(SynctalkBenchError) as caught:
            Workspace.open(place, create=False).find_run(None)
        assert caught.value.hint == f"make one: synctalk-bench run --preset quick{flag}"


def test_a_run_whose_baseline_has_no_score_yet_says_so(workspace: Workspace, call: Call, tmp_path: Path) -> None:
    grid, _ = runs(workspace)
    there = tmp_path / grid
    shutil.copytree(workspace.root / "runs" / grid, there)
    lines = [line for line in (there / "results.jsonl").read_text().splitlines() if f'"{VARIANTS[0]}"' not in line]
    (there / "results.jsonl").write_text("\n".join(lines) + "\n")
    assert f"'{VARIANTS[0]}' has no score yet" in call("table", str(there), "--delta")
    (there / "results.jsonl").write_text("".join(f"{line}\n" for line in lines if '"control": true' in line))
    said = call("table", str(there))
    assert "one frame late" in said and "has no score yet" not in said, "there is no difference to speak of"


def test_imported_results_cannot_take_the_name_of_a_run(workspace: Workspace, call: Call, tmp_path: Path) -> None:
    grid, _ = runs(workspace)
    (tmp_path / "theirs.csv").write_text("variant,subject,metric,version,protocol,mean\nGAN,blocks,mae,1,head,0.2\n")
    with pytest.raises(SynctalkBenchError, match=f"a run is called '{grid}'"):
        call("results", "import", str(tmp_path / "theirs.csv"), "--name", grid)


def test_a_row_without_its_weights_says_what_to_type_and_the_others_run(
    call: Call, workspace: Workspace, catalogue: PluginManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTALK_BENCH_ASSETS", str(tmp_path))
    monkeypatch.setenv("SYNCTALK_BENCH_CACHE", str(tmp_path))
    path = tmp_path / "lacking.toml"
    rows = '[variant.ours]\n[variant.hubert]\naudio = { use = "hum", needs = "hubert-large" }\n'
    path.write_text(fake_runs.preset_text(rows))
    run = fake_runs.run_file(path, workspace, catalogue, seeds=[0]).folder
    content = json.loads(call("table", run.path.name, "--format", "json"))
    ours, theirs = (line["cells"][0] for line in content["groups"][0]["lines"])
    assert ours["state"] == "ok" and theirs["state"] in ("failed", "skipped")
    (note,) = (content["footnotes"][n] for n in theirs["notes"])
    assert "hubert-large" in note and "synctalk-bench assets" in note


@pytest.mark.parametrize("name", ["plan.json", "environment.json"])
def test_a_damaged_side_file_is_an_error_with_its_name(
    workspace: Workspace, call: Call, tmp_path: Path, name: str
) -> None:
    grid, seven = runs(workspace)
    there = tmp_path / grid
    shutil.copytree(workspace.root / "runs" / grid, there)
    (there / name).write_text("{ torn")
    for command in (("compare", str(there), seven), ("table", str(there)), ("report", str(there), "--open", "no")):
        with pytest.raises(SynctalkBenchError, match=name):
            call(*command)
