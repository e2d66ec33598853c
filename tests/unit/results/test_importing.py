"""Rows of others: what is taken, what is refused and where, and that they never mix with another measure."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from fixed_rows import SPECS, fixed_rows, row

from synctalk_bench.errors import ConfigError, MissingFile, NotComparable
from synctalk_bench.results import build_table
from synctalk_bench.results.importing import read_import, weights_text
from synctalk_bench.results.rows import row_from_json, row_to_json

ALEX = "97595f73b582b8140c5c0a1c9a28ad7d8308533c0319633590d89489090ea387"
HEAD = "variant,subject,metric,version,protocol,mean,weights\n"


def imported(tmp_path: Path, text: str, name: str = "theirs.csv"):  # type: ignore[no-untyped-def]
    (tmp_path / name).write_text(text)
    return read_import(tmp_path / name, "theirs", SPECS)


def test_their_row_stands_beside_ours_and_is_ranked_with_it(tmp_path: Path) -> None:
    rows = imported(
        tmp_path, HEAD + f"Wav2Lip,may,psnr,1,head,33.4,\nWav2Lip,may,lpips-alex,1,head,.0697,lpips-alexnet={ALEX}\n"
    )
    ours = [
        row("mine", "psnr", 34.0, definition="RGB"),
        row("mine", "lpips-alex", 0.05, weights={"lpips-alexnet": ALEX}),
    ]
    lines = build_table([*ours, *rows], SPECS).groups[0].lines
    assert [(line.label, [cell.text for cell in line.cells]) for line in lines] == [
        ("quick-1/mine", ["34.00", "0.0500"]),
        ("theirs/Wav2Lip", ["33.40", "0.0697"]),
    ]
    assert [cell.rank for cell in lines[1].cells] == [2, 2]
    assert [row_from_json(row_to_json(each)) for each in rows] == rows


@pytest.mark.parametrize(
    ("protocol", "version", "digest", "said"),
    [
        ("head", 2, ALEX, "versions 1 "),
        ("head", 1, ALEX[::-1], "different weights"),
    ],
)
def test_another_measure_is_refused(tmp_path: Path, protocol: str, version: int, digest: str, said: str) -> None:
    rows = imported(tmp_path, HEAD + f"Wav2Lip,may,lpips-alex,{version},{protocol},.06,lpips-alexnet={digest}\n")
    with pytest.raises(NotComparable, match=said):
        build_table([row("mine", "lpips-alex", 0.05, weights={"lpips-alexnet": ALEX}), *rows], SPECS)


def test_another_protocol_is_another_column(tmp_path: Path) -> None:
    rows = imported(tmp_path, HEAD + "Wav2Lip,may,psnr,1,portrait,40,\n")
    table = build_table([row("mine", "psnr", 34.0), *rows], SPECS)
    assert [column.head for column in table.columns] == ["PSNR ↑ [head]", "PSNR ↑ [portrait]"]
    assert [[cell.text for cell in line.cells] for line in table.groups[0].lines] == [["34.00", "—"], ["—", "40.00"]]


def test_json_and_csv_say_the_same(tmp_path: Path) -> None:
    record = {"variant": "a", "subject": "may", "metric": "lpips-alex", "version": 1, "protocol": "head"}
    record |= {"mean": 0.0697, "weights": {"lpips-alexnet": ALEX}}
    from_json = imported(tmp_path, json.dumps([record]), "theirs.json")[0].score
    from_csv = imported(tmp_path, HEAD + f"a,may,lpips-alex,1,head,.0697,lpips-alexnet={ALEX}\n")[0].score
    assert (from_json.mean, from_json.details["weights"]) == (from_csv.mean, from_csv.details["weights"])


def test_what_table_scores_prints_can_be_brought_to_another_machine(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    from synctalk_bench.results.frame import to_frame

    weights = {spec: dict.fromkeys(SPECS[spec].assets, ALEX) for spec in SPECS}
    rows = [row(r.variant, r.score.metric, r.score.mean, subject=r.subject, seed=r.seed, status=r.score.status,
                reason=r.score.reason.replace(" ", "\n "), control=r.control, weights=weights[r.score.metric])
            for r in fixed_rows()]  # fmt: skip
    buffer = io.StringIO()
    to_frame(rows).to_csv(buffer, index=False)
    text = buffer.getvalue()
    assert len(text.splitlines()) == len(rows) + 1, "one score a line, reasons with line ends included"
    back = imported(tmp_path, text)
    assert [(r.variant, r.subject, r.seed, r.control, r.score.metric, r.score.mean, r.score.status) for r in back] == [
        (r.variant, r.subject, r.seed, r.control, r.score.metric, r.score.mean, r.score.status) for r in rows
    ]
    assert all(
        r.score.details["weights"] == weights[r.score.metric]
        for r in back
        if r.score.status == "ok" and weights[r.score.metric]
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "a,may,psnr,1,head,,\n", "has no mean"),
        (HEAD + "a,may,psnr,1,head,nan,\n", "not a number that can be shown"),
        (HEAD + "a,may,psnr,1.5,head,30,\n", "not a whole number"),
        (HEAD + "a,may,psnr,1,,30,\n", "has no protocol"),
        (HEAD + "a,may,lpips-alex,1,head,.03,\n", "computed with lpips-alexnet, and the row names none"),
        (HEAD + "a,may,lpips-alex,1,head,.03,lpips-alexnet=abc\n", "by their SHA-256"),
        (HEAD + f"a,may,psnr,1,head,30,lpips-alexnet={ALEX}\n", "computed with no weights"),
        (HEAD + "a,may,psnr,1,head,30,\na,may,psnr,1,head,31,\n", "the same as theirs.csv, line 2"),
        (HEAD + "\x1b[2Ja,may,psnr,1,head,30,\n", "holds control characters"),
        ("variant,psnr\na,30\n", "the column 'psnr' is unknown"),
        (HEAD, "holds no row"),
    ],
)
def test_a_row_that_cannot_be_compared_is_refused_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        imported(tmp_path, text)
    assert "holds no row" in said or "theirs.csv, line" in caught.value.where


@pytest.mark.parametrize(("name", "text"), [("a.json", "{}"), ("a.json", "[1"), ("a.txt", "")])
def test_other_files_are_refused(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=r"list of objects|not JSON|neither"):
        imported(tmp_path, text, name)
    with pytest.raises(MissingFile):
        read_import(tmp_path / "nobody.csv", "x", SPECS)


def test_a_metric_of_their_own_is_shown_and_never_ranked(tmp_path: Path) -> None:
    rows = imported(tmp_path, HEAD + "a,may,lmd-fan@paper,1,head,2.8,\nb,may,lmd-fan@paper,1,head,2.5,\n")
    table = build_table(rows, SPECS)
    assert table.columns[0].head == "lmd-fan@paper"
    assert [line.cells[0].rank for line in table.groups[0].lines] == [0, 0]


def test_weights_as_text_are_sorted() -> None:
    assert weights_text({"b": "2", "a": "1"}) == "a=1;b=2"
