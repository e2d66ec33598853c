"""Each format against a stored text. After a wanted change: UPDATE_GOLDEN=1 pytest THIS, then read the diff."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from fixed_rows import PAPERS, SPECS, ablation_rows, fixed_rows, frames, row

from synctalk_bench.errors import ConfigError
from synctalk_bench.results import FORMATS, Table, build_table, render
from synctalk_bench.results.delta import build_delta_table
from synctalk_bench.results.render_latex import escape

GOLDEN = Path(__file__).parent / "golden"
SUFFIX = {"rich": "txt", "md": "md", "latex": "tex", "html": "html", "csv": "csv", "json": "json"}


def printed(table: Table, format: str) -> str:
    result = render(table, format)
    if isinstance(result, str):
        return result
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=150, color_system=None, legacy_windows=False).print(result)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["plain", "paper", "subjects", "delta"])
def test_text_is_the_stored_one(format: str, kind: str) -> None:
    title = "Run quick-1_a"
    if kind == "delta":
        table = build_delta_table(ablation_rows(), SPECS, papers=PAPERS, title=title, per_frame=frames)
    else:
        table = build_table(fixed_rows(), SPECS, paper=kind == "paper", by_subject=kind == "subjects", title=title)
    text = printed(table, format)
    path = GOLDEN / f"{kind}.{SUFFIX[format]}"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no table format is named 'xml'") as caught:
        render(build_table([], SPECS), "xml")
    assert "rich, md, latex, html, csv, json" in caught.value.hint


@pytest.mark.parametrize("format", FORMATS)
def test_no_rows_give_an_empty_table(format: str) -> None:
    assert "variant" in printed(build_table([], SPECS), format) or format == "json"


def test_csv_holds_unrounded_numbers_and_words() -> None:
    records = list(csv.DictReader(io.StringIO(printed(build_table(fixed_rows(), SPECS), "csv"))))
    assert [record["variant"] for record in records] == ["baseline", "no_torso & 50%", "hubert", "mean training frame"]
    assert float(records[2]["psnr[head]"]) == pytest.approx(31.629)
    assert records[1]["ssim[head]"] == "partial (3/4)"
    assert records[1]["lpips-alex[head]"] == "failed"
    assert records[2]["lpips-alex[head]"] == "skipped"
    assert records[3]["ssim[head]"] == "absent"


def test_json_is_strict_and_whole() -> None:
    content = json.loads(printed(build_table(fixed_rows(), SPECS, paper=True), "json"), parse_constant=pytest.fail)
    assert content["schema"] == 1
    count = len(content["columns"])
    assert all(len(line["cells"]) == count for group in content["groups"] for line in group["lines"])
    assert all(cell["text"] for group in content["groups"] for line in group["lines"] for cell in line["cells"])


@pytest.mark.parametrize("format", ["rich", "md", "latex", "html"])
def test_names_are_printed_and_not_read_as_markup(format: str) -> None:
    name = r"[bold]a|b_c*d<e>\f{g}%$#&~^[/x]"
    text = printed(build_table([row(name, "psnr", 1.0)], SPECS), format)
    if format == "rich":
        assert name in text
    elif format == "md":
        assert r"\[bold\]a\|b\_c\*d&lt;e&gt;\\f{g}%$#&amp;~^\[/x\]" in text
    elif format == "html":
        assert "[bold]a|b_c*d&lt;e&gt;\\f{g}%$#&amp;~^[/x]" in text
    else:
        assert escape(name) in text
        assert r"\_c*d\textless{}e\textgreater{}\textbackslash{}f\{g\}\%\$\#\&" in text
