"""A run's page as text: whole, escaped, and with a word for everything that is not there."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_runs import run_file
from fixed_rows import SPECS, fixed_rows, row
from typer.testing import CliRunner

from synctalk_bench.cli import sources
from synctalk_bench.cli.app import app
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.results.report.data import RunData, read_run
from synctalk_bench.results.report.page import write_report
from synctalk_bench.results.rows import row_to_json
from synctalk_bench.runner.run import RunReport
from synctalk_bench.store.workspace import RunFolder, Workspace

VOID = {"meta", "img", "br", "input", "path", "line", "circle", "rect"}


class Reader(HTMLParser):
    """Checks that tags are closed, and keeps sections, addresses, and what a reader sees."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: dict[str, str] = {}
        self.addresses: list[str] = []
        self._section = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [values[name] or "" for name in ("src", "href") if name in values]
        if tag == "section":
            self._section = values["id"] or ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open.pop() == tag
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if not {"script", "style", "textarea"} & set(self.open):
            self.sections[self._section] = self.sections.get(self._section, "") + data


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    assert all(address.startswith("#") for address in reader.addresses)
    return reader


@pytest.fixture
def run(tmp_path: Path, fakes: PluginManager, fake_preset: Path) -> RunReport:
    fake_preset.write_text(
        fake_preset.read_text() + "[variant.a]\nlabel = '<i>&a</i>'\n[variant.b]\nexpression.value = 2.0\n"
    )
    return run_file(fake_preset, Workspace.open(tmp_path / "workspace"), fakes)


def data_of(run: RunReport, fakes: PluginManager) -> RunData:
    return read_run(run.folder, sources.read_run(run.folder), fakes.metric_specs())


def test_a_run_says_where_everything_comes_from(run: RunReport, fakes: PluginManager, tmp_path: Path) -> None:
    data = data_of(run, fakes)
    made = write_report(data, tmp_path / "page.html", max_mb=5, video=True)
    seen = read(made.path).sections
    text = made.path.read_text(encoding="utf-8")
    assert "<i>&a</i>" in seen["results"] and "<i>" not in text.replace("<i></i>", "")
    assert "Not finished" not in seen[""]
    assert made.size == made.path.stat().st_size and 0 < made.film_size < made.size
    assert "expression.value" in seen["variants"] and "2.0" in seen["variants"]
    assert "jitter of the turn" in seen["motion"] and "<i>&a</i>, b" in seen["motion"]
    assert "loss" in seen["training"] and 'class="line c1"' in text
    assert "CPU cores" in seen["cost"]
    assert data.environment["python"] in seen["environment"]
    assert "No component and no metric of this run reads a file of weights" in seen["weights"]
    values = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])  # type: ignore[index]
    (place,) = values["places"]
    assert [tile["label"] for tile in place["tiles"]] == ["truth", "<i>&a</i>", "b"]
    assert place["count"] == 3 and place["film"] == 0 and place["missing"] == []
    assert {"a", "b", "mean training frame"} <= set(place["curves"]["mae head"])
    assert all(frames for frames in place["worst"]["mae head"].values())
    assert len(values["thumbs"]) == 3  # three frames, ten apart: one of each clip


def test_what_is_gone_is_said(run: RunReport, fakes: PluginManager, tmp_path: Path) -> None:
    store = run.folder.path.parent.parent / "store"
    for folder in (store / "portrait").glob("*/*"):
        shutil.rmtree(folder / "frames")
    rows = run.folder.results.read_text(encoding="utf-8").splitlines(keepends=True)
    run.folder.results.write_text("".join(r for r in rows if '"variant": "a"' not in r), encoding="utf-8")
    run.folder.journal.unlink()
    run.folder.environment.unlink()
    made = write_report(data_of(run, fakes), tmp_path / "page.html", max_mb=5, video=True)
    assert made.film_size == 0
    text = made.path.read_text(encoding="utf-8")
    assert "no frames of b: the store does not have them" in text
    seen = read(made.path).sections
    assert "journal tells of no training" in seen["training"] and "has no environment.json" in seen["environment"]
    assert "hardware unknown" in seen[""] and "Not finished: no score yet in <i>&a</i> · blocks · seed 0." in seen[""]


def test_a_run_that_stopped_has_no_means_on_its_page_either(tmp_path: Path) -> None:
    """As of ``table``: a mean over the subjects so far is not the mean."""
    folder = RunFolder(tmp_path / "runs" / "half")
    folder.path.mkdir(parents=True)
    subjects = [{"name": "may"}, {"name": "obama"}]
    preset = {"variants": {"a": {}}, "subjects": subjects, "seeds": [0], "metrics": [{"use": "psnr"}]}
    folder.preset.write_text(json.dumps({"preset": preset}))
    folder.results.write_text(row_to_json(row("a", "psnr", 31.25)) + "\n")
    data = read_run(folder, sources.read_run(folder), SPECS)
    seen = read(write_report(data, tmp_path / "half.html", max_mb=1, video=False).path).sections
    assert "— (1/2)" in seen["results"] and "31.25" not in seen["means"]
    assert "Not finished: no score yet in a · obama · seed 0." in seen[""]


def test_rows_alone_make_a_page_too(tmp_path: Path) -> None:
    """As of imported results or of another machine's run folder: tables and charts, and words for the rest."""
    folder = RunFolder(tmp_path / "runs" / "far")
    folder.path.mkdir(parents=True)
    rows = [*fixed_rows(), row("hubert", "psnr", 30.0, protocol="portrait", subject="may")]
    folder.results.write_text("".join(row_to_json(r) + "\n" for r in rows))
    data = read_run(folder, sources.read_run(folder), SPECS)
    made = write_report(data, tmp_path / "far.html", max_mb=1, video=True)
    seen = read(made.path).sections
    assert "Protocol head" in seen["results"] and "Protocol portrait" in seen["results"]
    assert "CUDA out of memory" in seen["results"] and "Each subject" in seen["results"]
    assert "names no components" in seen["variants"] and "has no times of this run" in seen["cost"]
    assert "does not say which command" in seen["command"] and "no resolved preset" in seen["command"]
    assert "no pose track" in seen["motion"] and "Published numbers" in seen["results"]
    assert "2 scores" not in seen[""] and "4 scores failed" in seen[""] and "4 scores skipped" in seen[""]


@pytest.mark.parametrize("ssim", [0.9, 0.7], ids=["between", "outside"])
def test_the_dagger_is_explained_where_a_spoke_has_one(ssim: float, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "web")
    folder.path.mkdir(parents=True)
    scores = {"psnr": (20.0, 30.0, 40.0), "ssim": (0.8, ssim, 0.99), "lpips-alex": (0.4, 0.2, 0.1)}
    rows = [row(v, m, x) for m, (_, x, _) in scores.items() for v in ("a",)]
    rows += [row(v, m, x, control=True) for m, (low, _, high) in scores.items() for v, x in (("w", low), ("b", high))]
    folder.results.write_text("".join(row_to_json(r) + "\n" for r in rows))
    data = read_run(folder, sources.read_run(folder), SPECS)
    means = read(write_report(data, tmp_path / "web.html", max_mb=1, video=False).path).sections["means"]
    assert "from its worst control" in means
    assert means.count("†") == (0 if ssim > 0.8 else 2), "once at the spoke, once where it is explained"


def test_the_command_writes_it_into_the_runs_folder(run: RunReport, tmp_path: Path) -> None:
    root = run.folder.path.parent.parent
    done = CliRunner().invoke(app, ["report", "fake", "--workspace", str(root), "--no-video", "--open", "no"])
    assert done.exit_code == 0, done.output
    assert str(run.folder.path / "report.html") in done.output.replace("\n", "")
    assert "<noscript>" in (run.folder.path / "report.html").read_text(encoding="utf-8")
    other = tmp_path / "there" / "page.html"
    done = CliRunner().invoke(app, ["report", str(run.folder.path), "--out", str(other), "--open", "no"])
    assert done.exit_code == 0 and other.is_file()
    kept = tmp_path / "preset.toml"
    kept.write_text("schema = 1")
    done = CliRunner().invoke(app, ["report", str(run.folder.path), "--out", str(kept), "--open", "no"])
    assert "no name for a page" in str(done.exception) and kept.read_text() == "schema = 1"
