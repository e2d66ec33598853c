"""A study in a real browser, from a file and from the server: a participant's whole way, and what comes out of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from chromium import Page
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.serve.server import Server
from synctalk_bench.study.answers import parse_answers
from synctalk_bench.study.clips import TRUTH, Gathered, Shown
from synctalk_bench.study.collect import collect
from synctalk_bench.study.design import row_of
from synctalk_bench.study.files import Key, read_key
from synctalk_bench.study.make import Request, make_study
from synctalk_bench.study.questions import read_questionnaire
from synctalk_bench.subjects.sound import write_wav

FRAMES = 13
METHODS = ("one", "two", TRUTH)
VIDEO = "document.querySelector('video')"
AT = "document.querySelector('#progress span').textContent"


def clip(folder: Path, shade: int) -> Clip:
    """Half a second of one colour with sound."""
    (folder / "frames").mkdir(parents=True)
    for k in range(FRAMES):
        Image.fromarray(np.full((64, 96, 3), shade + k, np.uint8)).save(folder / "frames" / f"{k}.png")
    write_wav(folder / "audio.wav", np.sin(np.arange(FRAMES * 640) / 9).astype(np.float32) / 4, 16_000)
    return Clip(
        frames=folder / "frames", span=Span(0, FRAMES), fps=25.0, protocol="head", audio=folder / "audio.wav"
    )  # fmt: skip


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    root = tmp_path_factory.mktemp("study")
    clips = {
        (method, "may"): Shown(
            method=method, reference=method == TRUTH, run="r", variant=method, subject="may", seed=0,
            fingerprint="f", clip=clip(root / f"source {place}", 40 * place),
        )
        for place, method in enumerate(METHODS)
    }  # fmt: skip
    request = Request(
        out=root / "study ü", title="Heads </script> & <b>voices</b>", questionnaire=read_questionnaire(), seconds=10,
        excerpts=1, shown=None, participants=6, checks=1, seed=1, open=True,
    )  # fmt: skip
    make_study(Gathered(METHODS, ("may",), clips, ()), request)
    return request.out, read_key(request.key)


def begin(tab: Page) -> None:
    tab.click("#agree")
    tab.click("#begin")
    tab.until("document.querySelector('fieldset')?.checkVisibility() === true")  # not before it has its place


def watch(tab: Page) -> None:
    tab.until(f"{VIDEO}.readyState >= 2")
    tab.js(f"{VIDEO}.play().then(() => true)")
    tab.until(f"{VIDEO}.ended")


def answer(tab: Page, value: int) -> None:
    """Give every question ``value``, and every check the number that it asks for."""
    tab.js(
        "document.querySelectorAll('fieldset').forEach(f => {const asked = f.textContent.match(/choose (\\d)/);"
        f"f.querySelector(`input[value='${{asked ? asked[1] : {value}}}']`).click()}})"
    )


def go(tab: Page, key: Key, code: str) -> None:
    """Rate every clip with one more than its place."""
    row = key.row(code)
    assert row is not None
    for place, name in enumerate(row.clips):
        tab.until(f"{AT} === 'clip {place + 1} of {len(row.clips)}'")
        assert tab.js(f"{VIDEO}.getAttribute('src')") == f"clips/{name}.mp4"
        watch(tab)
        answer(tab, place + 1)
        tab.click("#next")
    tab.until(f"{AT} === 'done'")


def caught(tab: Page) -> str:
    """Press the button that saves, and return the text of the file it would have saved."""
    tab.js("URL.createObjectURL = blob => {window.saved = blob; return 'blob:none'}, 0")
    tab.js("HTMLAnchorElement.prototype.click = function () {window.savedAs = this.download}, 0")
    tab.click("#save")
    text: str = tab.js("window.saved.text()")
    return text


def test_a_whole_way_from_a_file(tab: Page, study: tuple[Path, Key], tmp_path: Path) -> None:
    root, key = study
    code = key.codes[2]
    tab.open(root / "index.html", fragment=f"#{code.lower()}")
    assert tab.js("document.querySelector('h1').textContent") == "Heads </script> & <b>voices</b>"
    assert tab.js("document.querySelector('#code').value") == code.lower()
    begin(tab)
    go(tab, key, code)
    text = caught(tab)
    assert tab.js("window.savedAs") == f"answers-{key.study}-{code}.json"
    (tmp_path / "a.json").write_text(text)
    found = collect([tmp_path / "a.json"], key)
    assert found.refused == found.left_out == ()
    answers = found.kept[0]
    assert [set(rating.answers.values()) for rating in answers.ratings] == [{1}, {2}, {3}]
    assert all(rating.plays == 1 and rating.seconds >= 0.4 for rating in answers.ratings)
    # A page, its clips, and nothing else: no other host, no icon, no call.
    asked = [root / "index.html", *(root / "clips" / f"{name}.mp4" for name in key.rows[2].clips)]
    assert list(dict.fromkeys(tab.requests)) == [path.resolve().as_uri() for path in asked]
    assert not tab.js("!!document.querySelector('#send')")  # a file has no host that takes answers


def test_a_clip_is_left_when_it_was_seen_and_judged(tab: Page, study: tuple[Path, Key]) -> None:
    root, key = study
    tab.open(root / "index.html", fragment=f"#{key.codes[0]}")
    begin(tab)
    hint = "document.querySelector('.row .hint').textContent"
    count = tab.js("document.querySelectorAll('fieldset').length")
    tab.click("#next")
    assert tab.js(AT) == "clip 1 of 3"
    assert tab.js(hint) == f"Please watch the clip to its end and answer {count} more lines."
    tab.until(f"{VIDEO}.readyState >= 2")
    tab.js(f"{VIDEO}.currentTime = {VIDEO}.duration - 0.02, 0")  # wound to its end, not seen
    tab.js(f"{VIDEO}.play().then(() => true)")
    tab.until(f"{VIDEO}.ended")
    assert "watch the clip" in tab.js(hint)
    watch(tab)
    tab.until(f"!{hint}.includes('watch')")
    tab.js("document.querySelector('fieldset input').click()")
    assert tab.js(hint) == f"Please answer {count - 1} more lines."
    tab.click("#next")
    assert tab.js("document.querySelectorAll('fieldset.open').length") == count - 1
    answer(tab, 4)
    assert tab.js(hint) == ""
    shown = "document.querySelector('fieldset').checkVisibility()"
    assert not tab.js(f"(document.querySelector('#next').click(), {shown})"), "it would move under the pointer"
    tab.until(f"{AT} === 'clip 2 of 3' && {shown}")


def test_a_reload_loses_nothing(tab: Page, study: tuple[Path, Key]) -> None:
    root, key = study
    code = key.codes[1]
    page = root / "index.html"
    tab.open(page, fragment=f"#{code}")
    begin(tab)
    watch(tab)
    answer(tab, 5)
    tab.click("#next")
    tab.until(f"{AT} === 'clip 2 of 3'")
    tab.js("document.querySelectorAll('fieldset')[1].querySelector('input[value=\"2\"]').click()")
    tab.open(root / "clips")  # away, and back
    tab.open(page, fragment=f"#{code}")
    begin(tab)
    assert tab.js(AT) == "clip 2 of 3"
    assert tab.js("[...document.querySelectorAll(':checked')].map(e => e.value)") == ["2"]
    # Another participant at the same computer begins anew.
    tab.open(root / "clips")
    tab.open(page, fragment="#somebody-else")
    begin(tab)
    assert tab.js(AT) == "clip 1 of 3" and tab.js("document.querySelectorAll(':checked').length") == 0


@pytest.mark.parametrize("code", ["panel_7f3a", "x", "Somebody-Else"])
def test_the_page_and_the_scorer_give_an_open_code_the_same_order(
    tab: Page, study: tuple[Path, Key], code: str
) -> None:
    root, key = study
    tab.open(root / "index.html", fragment=f"#{code}")
    begin(tab)
    number = row_of(code, key.codes, len(key.rows), open_to_all=True)
    assert number is not None
    assert tab.js(f"{VIDEO}.getAttribute('src')") == f"clips/{key.rows[number].clips[0]}.mp4"


def test_a_code_that_is_none_is_told_so(tab: Page, study: tuple[Path, Key]) -> None:
    root, _ = study
    tab.open(root / "index.html", fragment="#no%20code")
    tab.click("#agree")
    tab.click("#begin")
    tab.until("document.querySelector('form .hint').textContent.includes('does not know that code')")
    assert not tab.js(f"!!{VIDEO}")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_it_never_scrolls_sideways(tab: Page, study: tuple[Path, Key], width: int, scheme: str) -> None:
    root, _ = study
    tab.prefer(scheme)
    tab.open(root / "index.html", width=width, fragment=f"#wide{width}")
    wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert tab.js(wide)
    begin(tab)
    assert tab.js(wide)


def test_a_clip_that_does_not_play_can_be_left_out(tab: Page, study: tuple[Path, Key], tmp_path: Path) -> None:
    import shutil

    root, key = study
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    code = key.codes[3]
    broken = key.rows[3].clips[0]
    (copy / "clips" / f"{broken}.mp4").write_bytes(b"no film")
    tab.open(copy / "index.html", fragment=f"#{code}")
    tab.js("localStorage.clear()")
    begin(tab)
    tab.until("!document.querySelector('#problem').hidden")
    tab.click("#without")
    for value in (2, 3):
        tab.until(f"{AT} === 'clip {value} of 3'")
        watch(tab)
        answer(tab, value)
        tab.click("#next")
    tab.until(f"{AT} === 'done'")
    answers = parse_answers(caught(tab).encode(), where="page")
    assert [(r.clip == broken, r.shown, len(r.answers)) for r in answers.ratings] == [
        (True, False, 0), (False, True, 5), (False, True, 5),
    ]  # fmt: skip
    tab.errors.clear()  # the browser says that the film could not be read


def test_answers_are_handed_in_to_the_server(tab: Page, study: tuple[Path, Key], tmp_path: Path) -> None:
    root, key = study
    code = key.codes[4]
    with Server(root, answers=tmp_path / "answers", study=key.study) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        tab.call("Page.navigate", url=f"{server.url}#{code}")
        tab.until("!!document.querySelector('#begin')")
        begin(tab)
        go(tab, key, code)
        tab.click("#send")
        tab.until("document.querySelector('#handed').textContent.includes('handed in')")
        assert tab.js("document.querySelector('#handed').textContent") == (
            "Your answers have been handed in. You can close the page."
        )
        server.shutdown()
    files = list((tmp_path / "answers").iterdir())
    assert json.loads(files[0].read_text())["participant"] == code
    found = collect(files, key)
    assert [answers.participant for answers in found.kept] == [code]
