"""Answer files that anybody may have written: every wrong field is named, and no file takes another down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sheets import sheet, write

from synctalk_bench.errors import ConfigError, MissingFile, NewerSchema, SynctalkBenchError
from synctalk_bench.study.answers import MOST_BYTES, parse_answers
from synctalk_bench.study.collect import answer_files, collect

Change = Callable[[dict[str, Any]], Any]


def test_a_sheet_is_read_as_it_is(make_key: Any) -> None:
    key = make_key()
    found = parse_answers(json.dumps(sheet(key, key.codes[0])).encode(), where="here")
    assert (found.participant, found.study, found.seconds) == (key.codes[0], key.study, 50.0)
    assert [rating.clip for rating in found.ratings] == list(key.rows[0].clips)
    assert found.ratings[0].answers == dict.fromkeys((q.id for q in key.questions), 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.update(kind="something"), "not a file of answers"),
        (lambda s: s.pop("study"), "study is None"),
        (lambda s: s.update(study="../../etc"), "study is '../../etc'"),
        (lambda s: s.update(participant="a/b"), "participant is 'a/b'"),
        (lambda s: s.update(participant=7), "participant is 7"),
        (lambda s: s.update(seconds=-1), "seconds is -1"),
        (lambda s: s.update(seconds=True), "seconds is True"),
        (lambda s: s.update(extra=1), "extra is no field"),
        (lambda s: s.update(ratings={}), "ratings is not a list"),
        (lambda s: s.update(checks=[]), "checks is not an object"),
        (lambda s: s["checks"].update({"check-1": 9}), "checks.check-1 is 9, not a whole number from 1 to 5"),
        (lambda s: s["ratings"].__setitem__(1, 4), "ratings[1] is not an object"),
        (lambda s: s["ratings"][1].update(clip="<script>"), "ratings[1].clip is '<script>'"),
        (lambda s: s["ratings"][1]["answers"].update({"lip-sync": 6}), "ratings[1].answers.lip-sync is 6"),
        (lambda s: s["ratings"][1]["answers"].update({"lip-sync": 0}), "ratings[1].answers.lip-sync is 0"),
        (lambda s: s["ratings"][1]["answers"].update({"lip-sync": 3.0}), "ratings[1].answers.lip-sync is 3.0"),
        (lambda s: s["ratings"][1]["answers"].update({"lip-sync": True}), "ratings[1].answers.lip-sync is True"),
        (lambda s: s["ratings"][1]["answers"].update({"lip-sync": "4"}), "ratings[1].answers.lip-sync is '4'"),
        (lambda s: s["ratings"][1]["answers"].update({"A B": 4}), "ratings[1].answers.A B is not a question's name"),
        (lambda s: s["ratings"][1].update(plays=1.5), "ratings[1].plays is 1.5"),
        (lambda s: s["ratings"][1].update(shown=1), "ratings[1].shown is 1"),
        (lambda s: s["ratings"][1].update(method="x"), "ratings[1].method is no field"),
        (lambda s: s["ratings"].append(s["ratings"][0]), "a clip is rated twice"),
        (lambda s: s.update({"\x1b[2Jx": 1}), "'\\x1b[2Jx' is no field"),  # would clear the terminal
        (lambda s: s["checks"].update({"\ud800": 1}), "'checks.\\ud800' is not a question's name"),  # no UTF-8
    ],
)
def test_a_wrong_field_is_named(make_key: Any, change: Change, words: str) -> None:
    key = make_key()
    content = sheet(key, key.codes[0])
    change(content)
    with pytest.raises(ConfigError) as error:
        parse_answers(json.dumps(content).encode(), where="their.json")
    assert words in str(error.value) and "their.json" in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{", b"\xff\xfe", b"null", b'{"kind": NaN}', b'{"seconds": 1e999}', b"[" * 100_000,
        b'{"study": "a", "study": "b"}', b" " * (MOST_BYTES + 1), b"9" * 5000,
    ],
    ids=lambda content: repr(content[:12]),
)  # fmt: skip
def test_what_is_no_sheet_at_all(content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"their\.json"):
        parse_answers(content, where="their.json")


def test_an_endless_number_and_a_newer_schema(make_key: Any) -> None:
    key = make_key()
    text = json.dumps(sheet(key, key.codes[0]))
    with pytest.raises(ConfigError, match="seconds is inf"):
        parse_answers(text.replace('"seconds": 50.0', '"seconds": 1e999').encode(), where="x")
    with pytest.raises(NewerSchema, match="its schema is 2"):
        parse_answers(text.replace('"schema": 1', '"schema": 2').encode(), where="x")


def test_bad_files_are_refused_by_name_and_the_others_count(make_key: Any, tmp_path: Path) -> None:
    key = make_key(people=4)
    a, b, c, d = key.codes
    write(tmp_path, "1.json", sheet(key, a))
    (tmp_path / "2.json").write_text("{oops")
    write(tmp_path, "3.json", sheet(key, b) | {"study": "ba9876543210"})
    write(tmp_path, "4.json", sheet(key, c) | {"participant": "NOBODY"})
    strange = sheet(key, d)
    strange["ratings"][2]["clip"] = "ffffffffff"
    write(tmp_path, "5.json", strange)
    found = collect(answer_files([tmp_path]), key)
    assert [answers.participant for answers in found.kept] == [a]
    assert len(found.refused) == 4
    for line, words in zip(found.refused, ("2.json", "3.json", "NOBODY", "ratings[2].clip"), strict=True):
        assert words in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["ratings"][0]["answers"].update({"beauty": 3}), "beauty is no question of this study"),
        (lambda s: s["checks"].update({"check-9": 3}), "checks.check-9 is no check"),
        (lambda s: s["ratings"][0].update(shown=False), "judges a clip that was not played"),
        (lambda s: s["ratings"][0].update(plays=0), "judges a clip that was not played"),
    ],
)
def test_what_the_page_cannot_have_written_is_refused(
    make_key: Any, tmp_path: Path, change: Change, words: str
) -> None:
    key = make_key()
    content = sheet(key, key.codes[0])
    change(content)
    found = collect([write(tmp_path, "a.json", content)], key)
    assert found.kept == () and words in found.refused[0]


def test_a_clip_that_another_participant_was_shown_is_refused(make_key: Any, tmp_path: Path) -> None:
    key = make_key(methods=2, items=3, shown=2, checks=0)
    content = sheet(key, key.codes[0])
    content["ratings"][0]["clip"] = next(clip for clip in key.rows[1].clips if clip not in key.rows[0].clips)
    found = collect([write(tmp_path, "a.json", content)], key)
    assert f"{key.codes[0]} was not shown" in found.refused[0]


def test_failed_checks_and_missing_answers_leave_out_and_can_be_kept(make_key: Any, tmp_path: Path) -> None:
    key = make_key(people=3, checks=1)
    good, careless, gone = key.codes
    write(tmp_path, "good.json", sheet(key, good))
    failed = sheet(key, careless)
    failed["checks"]["check-1"] = failed["checks"]["check-1"] % 5 + 1
    write(tmp_path, "careless.json", failed)
    partial = sheet(key, gone)
    partial["ratings"][3] = partial["ratings"][3] | {"shown": False, "answers": {}}
    check = key.row(gone).checks[0]
    if check.at == 3:  # a check on a clip that could not be shown is none that was failed
        partial["checks"] = {}
    write(tmp_path, "gone.json", partial)
    files = answer_files([tmp_path])
    found = collect(files, key)
    assert [answers.participant for answers in found.kept] == [good]
    assert sorted(found.left_out) == sorted(
        [f"{careless}: 1 of 1 attention checks failed", f"{gone}: 5 of 20 answers missing"]
    )
    lenient = collect(files, key, keep_incomplete=True, keep_failed_checks=True)
    assert {answers.participant for answers in lenient.kept} == {good, careless, gone}
    assert lenient.left_out == () and len(lenient.notes) == 2
    assert {a.participant for a in collect(files, key, keep_incomplete=True).kept} == {good, gone}


def test_one_code_twice(make_key: Any, tmp_path: Path) -> None:
    key = make_key(people=2)
    same, different = key.codes
    for name in ("a.json", "b.json"):
        write(tmp_path, name, sheet(key, same))
    write(tmp_path, "c.json", sheet(key, different))
    write(tmp_path, "d.json", sheet(key, different, lambda clip, question: 5))
    found = collect(answer_files([tmp_path]), key)
    assert [answers.participant for answers in found.kept] == [same]
    assert "counted once (a.json, b.json)" in found.notes[0]
    assert "which of them is meant cannot be known (c.json, d.json)" in found.left_out[0]


def test_open_studies_take_any_code(make_key: Any, tmp_path: Path) -> None:
    key = make_key(open=True)
    found = collect([write(tmp_path, "a.json", sheet(key, "5f0e_panel"))], key)
    assert [answers.participant for answers in found.kept] == ["5f0e_panel"]


def test_places_without_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="there is no"):
        answer_files([tmp_path / "none"])
    with pytest.raises(MissingFile, match=r"no \.json file"):
        answer_files([tmp_path])
    path = tmp_path / "a.json"
    path.write_text("{}")
    assert answer_files([path, tmp_path, path]) == [path]
    assert issubclass(MissingFile, SynctalkBenchError)
