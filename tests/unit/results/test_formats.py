"""Each format against a stored text. After a wanted change: UPDATE_GOLDEN=1 pytest THIS, then read the diff."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fixed_rows import PAPERS, SPECS, ablation_rows, fixed_rows, frames, row

from synctalk_bench.errors import ConfigError
from synctalk_bench.results import FORMATS, Table, TableOptions, build_table, render
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
        table = build_delta_table(ablation_rows(), SPECS, TableOptions(title=title, per_frame=frames), papers=PAPERS)
    else:
        table = build_table(
            fixed_rows(), SPECS, TableOptions(by_subject=kind == "subjects", title=title), paper=kind == "paper"
        )
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


def hostile_table() -> Table:
    name = r"[bold]a|b_c*d<e>\f{g}%$#&~^[/x] 'q' " + '"z" ümlaut α'
    rows = [*fixed_rows(), row(name, "psnr", -0.004), row("[x]", "psnr", None, status="failed", reason=f"a\nb {name}")]
    return build_table(rows, SPECS, TableOptions(title=name), paper=True)


@pytest.mark.parametrize("kind", ["hostile", "delta"])
def test_latex_has_a_cell_a_column_and_closes_what_it_opens(kind: str) -> None:
    """CI has no LaTeX; pdflatex of TeX Live 2022 with booktabs alone took both without an error."""
    table = hostile_table() if kind == "hostile" else build_delta_table(ablation_rows(), SPECS, papers=PAPERS)
    text = printed(table, "latex")
    bare = re.sub(r"\\[\\&%$#_{}]", lambda found: r"\\" if found[0] == r"\\" else "", text)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    assert bare.count(r"\begin{table}") == bare.count(r"\end{table}") == 1
    assert bare.count(r"\begin{tabular}") == bare.count(r"\end{tabular}") == 1
    body = bare.partition(r"\toprule")[2].partition(r"\bottomrule")[0].strip().splitlines()
    lines = [line for line in body if line.endswith(r"\\") and r"\multicolumn" not in line]
    assert len(lines) == 1 + sum(len(group.lines) for group in table.groups)
    assert {line.count("&") for line in lines} == {len(table.columns)}
    assert not re.search(r"[^\x00-\x7f–ü]", bare.partition(r"\smallskip")[0]), "letters that pdflatex does not know"


class Tags(HTMLParser):
    """Open tags, and the text outside them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_closed_escaped_and_says_what_each_cell_is() -> None:
    table = hostile_table()
    text = printed(table, "html")
    assert text.isascii()
    tags = Tags()
    tags.feed(text)
    assert tags.open == [] and {tag for tag, _ in tags.seen} <= {
        *("figure", "table", "caption", "thead", "tbody", "tr", "th", "td", "b", "u", "span", "sup"),
        *("figcaption", "ul", "li"),
    }
    assert r"[bold]a|b_c*d<e>\f{g}%$#&~^[/x] 'q' " + '"z" ümlaut α' in tags.text
    cells = [attrs for tag, attrs in tags.seen if tag == "td"]
    every = [cell for group in table.groups for line in group.lines for cell in line.cells]
    assert len(cells) == len(every)
    for attrs, cell in zip(cells, every, strict=True):
        classes = str(attrs["class"]).split()
        assert cell.state in classes and ("best" in classes) == (cell.rank == 1)
        assert (attrs.get("data-value") is None) == (cell.value is None)
    assert {attrs.get("class") for tag, attrs in tags.seen if tag == "tbody"} == {None, "controls", "published"}
    delta = Tags()
    delta.feed(
        printed(build_delta_table(ablation_rows(), SPECS, TableOptions(per_frame=frames), papers=PAPERS), "html")
    )
    assert sum(attrs.get("class") == "published" for tag, attrs in delta.seen if tag == "tr") == 3
    marked = [attrs for tag, attrs in delta.seen if tag == "td" and "marked" in str(attrs["class"])]
    assert len(marked) == 1 and "95 % interval" in str(marked[0]["title"])
