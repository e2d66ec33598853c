"""Scores of answers that are known: means, differences, tests, consistency, and how they are printed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sheets import sheet, write
from typer.testing import CliRunner

from synctalk_bench.cli.study import app
from synctalk_bench.errors import ConfigError, Damaged, StageError
from synctalk_bench.results.render import render
from synctalk_bench.store.atomic import write_json
from synctalk_bench.study.collect import Collected, answer_files, collect
from synctalk_bench.study.files import Key, read_key
from synctalk_bench.study.score import Summary, summarise
from synctalk_bench.study.tables import consistency_table, details_table, opinions_table

PEOPLE = 8


def opinion(key: Key, clip: str, question: str, person: int) -> int:
    """Method 0 is liked, the truth more, method 1 less; every person has a mood of one's own."""
    rng = np.random.default_rng([person, int(clip, 16), [q.id for q in key.questions].index(question)])
    liked = {"method 0": 4, "method 1": 2, "ground truth": 5}[key.clips[clip].method]
    return int(np.clip(liked + person % 2 + rng.integers(-1, 1), 1, 5))


@pytest.fixture
def key(make_key: Any) -> Key:
    made: Key = make_key(methods=2, items=3, reference=True, people=PEOPLE, checks=1)
    return made


@pytest.fixture
def folder(key: Key, tmp_path: Path) -> Path:
    place = tmp_path / "answers"
    place.mkdir()
    for person, code in enumerate(key.codes):
        write(place, f"{code}.json", sheet(key, code, lambda c, q, p=person: opinion(key, c, q, p)))
    return place


@pytest.fixture
def summary(key: Key, folder: Path) -> Summary:
    return summarise(collect(answer_files([folder]), key), key)


def ratings(key: Key, method: str, question: str) -> np.ndarray:
    """All answers [participants, clips] of one method, from the answers' source and not from the files."""
    clips = [clip for clip, facts in key.clips.items() if facts.method == method]
    return np.array([[opinion(key, clip, question, person) for clip in clips] for person in range(PEOPLE)], float)


def test_means_and_intervals_are_over_participants(key: Key, summary: Summary) -> None:
    assert (summary.participants, summary.ratings) == (PEOPLE, PEOPLE * 9 * 5)
    for found in summary.opinions:
        values = ratings(key, found.method, found.question).mean(1)
        low, high = stats.t.interval(0.95, PEOPLE - 1, values.mean(), stats.sem(values))
        assert found.mean == pytest.approx(values.mean())
        assert found.half == pytest.approx((high - low) / 2)
        assert (found.participants, found.ratings) == (PEOPLE, PEOPLE * 3)


def test_differences_are_paired_and_adjusted_together(key: Key, summary: Summary) -> None:
    tested = [found for found in summary.opinions if found.p is not None]
    assert [(found.method, found.question) for found in tested] == [("method 1", q.id) for q in key.questions]
    raw = []
    for found in tested:
        paired = ratings(key, "method 1", found.question).mean(1) - ratings(key, "method 0", found.question).mean(1)
        assert found.difference == pytest.approx(paired.mean())
        raw.append(stats.permutation_test(
            (paired,), lambda d: np.sum(np.sign(d) * stats.rankdata(np.abs(np.round(d, 9)))),
            permutation_type="samples", n_resamples=10**6, vectorized=False,
        ).pvalue)  # fmt: skip
        assert found.p == pytest.approx(raw[-1], abs=1e-12)  # 2^8 signs: exact on both sides
    worst = max(raw)
    assert max(found.p_holm or 0 for found in tested) >= worst
    assert min(found.p_holm or 0 for found in tested) == pytest.approx(min(1, 5 * min(raw)))


def test_consistency_is_that_of_the_two_way_analysis_of_variance(key: Key, summary: Summary) -> None:
    whole = np.stack(
        [np.concatenate([ratings(key, m, q.id) for m in key.methods], 1) for q in key.questions], 2
    )  # [participants, clips, questions]

    def hoyt(cases: np.ndarray) -> float:  # Hoyt (1941): alpha from mean squares
        n, k = cases.shape
        residual = cases - cases.mean(1, keepdims=True) - cases.mean(0) + cases.mean()
        between = k * cases.mean(1).var(ddof=1)
        return float(1 - (residual**2).sum() / ((n - 1) * (k - 1)) / between)

    for found in summary.consistency:
        names = [q.id for q in key.questions]
        part = whole if not found.question else whole[:, :, [names.index(found.question)]]
        by_participant = part.reshape(PEOPLE, -1)
        assert found.over_clips == pytest.approx(hoyt(by_participant))
        assert found.over_participants == pytest.approx(hoyt(by_participant.T))
    assert [found.question for found in summary.consistency] == ["", *(q.id for q in key.questions)]


def test_the_table_ranks_methods_and_leaves_the_truth_apart(summary: Summary) -> None:
    table = opinions_table(summary)
    methods, reference = table.groups
    assert [line.label for line in methods.lines] == ["method 0", "method 1"]
    assert [line.label for line in reference.lines] == ["ground truth"]
    assert all(cell.rank == 1 and not cell.delta for cell in methods.lines[0].cells)
    assert all(cell.rank == 2 and cell.delta.endswith("*") for cell in methods.lines[1].cells)
    assert all(cell.rank == 0 and not cell.delta for cell in reference.lines[0].cells)
    for mine, base in zip(methods.lines[1].cells, methods.lines[0].cells, strict=True):
        printed = [float(cell.text.split(" ± ")[0]) for cell in (mine, base)]
        assert float(mine.delta.rstrip("*")) == pytest.approx(printed[0] - printed[1], abs=1e-9)
    said = " ".join(table.footnotes)
    assert "8 participants" in said and "Student's t" in said and "Holm for 5 tests" in said and "alpha" in said


def test_published_opinions_stand_apart(summary: Summary) -> None:
    table = opinions_table(summary, paper=True)
    group = next(each for each in table.groups if "table 3" in each.title)
    assert [cell.text for cell in group.lines[-1].cells] == ["4.304", "4.036", "3.980", "4.054", "4.018"]
    assert all(cell.rank == 0 for line in group.lines for cell in line.cells)
    assert any("35 participants" in note for note in table.footnotes)


def test_every_format_has_the_numbers(summary: Summary) -> None:
    mean = f"{summary.opinions[0].mean:.3f}"
    for format in ("md", "latex", "csv", "json"):
        for table in (opinions_table(summary), details_table(summary), consistency_table(summary)):
            assert render(table, format)
        assert mean in render(opinions_table(summary), format) or repr(summary.opinions[0].mean) in render(
            opinions_table(summary), format
        )
    rows = list(csv.DictReader(io.StringIO(render(details_table(summary), "csv"))))
    assert len(rows) == 15
    assert float(rows[1]["difference[study]"]) == pytest.approx(summary.opinions[1].difference or 0)


def test_another_baseline_and_none_of_that_name(key: Key, folder: Path) -> None:
    found = summarise(collect(answer_files([folder]), key), key, baseline="method 1")
    assert {each.method for each in found.opinions if each.p is not None} == {"method 0"}
    with pytest.raises(ConfigError, match="there are: method 0, method 1"):
        summarise(collect(answer_files([folder]), key), key, baseline="ground truth")


def test_nobody_counts(key: Key) -> None:
    with pytest.raises(StageError, match="no answers that count"):
        summarise(Collected((), ("a.json: bad",), (), ()), key)


def test_one_participant_has_means_and_no_intervals(key: Key, folder: Path) -> None:
    found = summarise(collect([folder / f"{key.codes[0]}.json"], key), key)
    assert all(each.half is None for each in found.opinions)
    assert all(each.over_clips is None for each in found.consistency)
    assert "±" not in opinions_table(found).groups[0].lines[0].cells[0].text


def test_different_clips_give_no_alpha_and_say_so(make_key: Any, tmp_path: Path) -> None:
    key = make_key(methods=2, items=3, shown=2, people=6, checks=0)
    for code in key.codes:
        write(tmp_path, f"{code}.json", sheet(key, code, lambda clip, question: 1 + int(clip, 16) % 5))
    found = summarise(collect(answer_files([tmp_path]), key), key)
    assert found.consistency == ()
    assert any("no Cronbach's alpha" in note for note in opinions_table(found).footnotes)
    assert {each.participants for each in found.opinions} == {6}


def test_the_command(key: Key, folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "s.key.json"
    write_json(place, key.to_json())
    call = lambda *more: CliRunner().invoke(app, ["score", str(folder), "--key", str(place), *more])  # noqa: E731
    shown = call()
    assert shown.exit_code == 0, shown.output
    assert "method 0" in shown.output and "Lip-sync Accuracy" in shown.output and "all questions" in shown.output
    parsed = json.loads(call("--format", "json").stdout)
    assert parsed["participants"] == PEOPLE and len(parsed["opinions"]) == 15
    assert len(list(csv.DictReader(io.StringIO(call("--format", "csv").stdout)))) == 15
    assert r"\toprule" in call("--format", "latex", "--paper").stdout
    (folder / "broken.json").write_text("{")
    broken = call()
    assert broken.exit_code == 1
    assert "method 0" in broken.output and "refused: " in broken.output and "broken.json" in broken.output


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": "other"}'])
def test_a_key_that_is_none(folder: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "k.json").write_text(content)
    done = CliRunner().invoke(app, ["score", str(folder), "--key", str(tmp_path / "k.json")])
    assert "--key" in str(done.exception)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": []}, "no rows"),
        ({"questions": []}, "no questions"),
        ({"methods": ["another"]}, "methods are not those of its clips"),
        ({"rows": [{"clips": ["gone"], "checks": []}]}, "nothing is said of the clip gone"),
    ],
)
def test_a_key_whose_parts_do_not_fit_is_damaged(
    key: Key, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    (tmp_path / "k.json").write_text(json.dumps(key.to_json() | change))
    with pytest.raises(Damaged, match=words):
        read_key(tmp_path / "k.json")


def test_the_questionnaire_is_printed_as_it_is_read() -> None:
    from synctalk_bench.study.questions import DEFAULT

    assert CliRunner().invoke(app, ["questions"]).stdout == DEFAULT.read_text(encoding="utf-8")
