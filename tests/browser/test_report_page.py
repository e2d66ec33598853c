"""The page of a run in a real browser, from a file: it opens, sorts, seeks, plays, and fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import Page
from page_run import FIRST, FRAMES, HOSTILE, STEP

COUNT = FRAMES - FIRST
READY = "document.documentElement.dataset.frame !== undefined"
SHOWN = "[...document.querySelectorAll('#pictures canvas')].map(c => c.dataset.frame)"


def level(tab: Page, tile: int = 0, kind: str = "picture") -> list[int]:
    """Return the middle pixel of a tile: [red, green, blue]."""
    return tab.js(
        f"(()=>{{const c=document.querySelector('canvas.{kind}[data-tile=\"{tile}\"]');"
        "return [...c.getContext('2d').getImageData(c.width>>1,c.height>>1,1,1).data].slice(0,3)})()"
    )


def check_frame(tab: Page, frame: int, *, falling: bool = False) -> None:
    """Every picture, curve, slider and text is at ``frame``, and the truth's picture is really that frame's."""
    tab.until(f"document.documentElement.dataset.frame === '{frame}'")
    assert set(tab.js(SHOWN)) == {str(frame)}
    wanted = STEP * (COUNT - 1 - frame if falling else frame)
    assert abs(level(tab)[1] - wanted) < STEP / 2
    assert tab.js("document.querySelector('#slider').value") == str(frame)
    assert set(tab.js("[...document.querySelectorAll('.curve')].map(c => c.getAttribute('aria-valuenow'))")) == {
        str(frame)
    }
    assert f"frame {frame} of {COUNT}" in tab.js("document.querySelector('#readout').textContent")
    assert f"{FIRST + frame} in the subject" in tab.js("document.querySelector('#readout').textContent")


@pytest.fixture
def opened(tab: Page, pages: dict[str, Path]) -> Page:
    tab.open(pages["film"])
    tab.until(READY)
    return tab


def test_it_opens_from_a_file_and_asks_for_nothing_else(opened: Page, pages: dict[str, Path]) -> None:
    assert opened.requests == [pages["film"].resolve().as_uri()]
    check_frame(opened, 0)
    assert opened.js("window.hacked") is None
    assert HOSTILE in opened.js("document.querySelector('#results').textContent")
    assert HOSTILE in opened.js("document.querySelector('#pictures').textContent")
    assert "<b>not bold</b>" in opened.js("document.querySelector('.lead').textContent")
    assert opened.js("document.querySelectorAll('section h2').length") == 12
    # A cell that failed is said wherever its numbers, pictures or curves would be.
    assert "✗" in opened.js("document.querySelector('#results').textContent")
    assert "no frames of a component that fails" in opened.js("document.querySelector('#no-film').textContent")


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["film", "no film"])
def test_it_never_scrolls_sideways(tab: Page, pages: dict[str, Path], width: int, name: str) -> None:
    tab.open(pages[name], width=width)
    tab.js("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert tab.js("document.documentElement.scrollWidth") <= width


def test_a_click_on_a_column_sorts_methods_and_controls_apart(opened: Page) -> None:
    rows = "[...document.querySelector('#results table').querySelectorAll('tbody:nth-of-type({}) tr:not(.group) "
    names = rows + "th')].map(t => t.textContent)"
    values = rows + "td')].map(t => t.dataset.value).filter(v => v !== undefined).map(Number)"
    methods, controls = (opened.js(names.format(n)) for n in (1, 2))
    opened.click("#results th[data-metric] button")
    assert opened.js("document.querySelector('th[data-metric]').ariaSort") == "ascending"  # lower is better
    for body in (1, 2):
        found = opened.js(values.format(body))
        assert found == sorted(found) and len(found) > 1
    assert opened.js(names.format(1))[-1].startswith("a component that fails")
    opened.click("#results th[data-metric] button")
    assert opened.js(values.format(2)) == sorted(opened.js(values.format(2)), reverse=True)
    assert opened.js(names.format(1))[-1].startswith("a component that fails")  # without a number: last either way
    opened.click("#results th[data-metric] button")
    assert [opened.js(names.format(n)) for n in (1, 2)] == [methods, controls]


def test_a_click_and_a_drag_on_a_curve_move_everything(opened: Page) -> None:
    # 46 and 8 of the chart's 600 units are its margins.
    opened.click(".curve", across=(46 + 13 / (COUNT - 1) * 546) / 600)
    check_frame(opened, 13)
    x, y = opened.place(".curve", across=(46 + 2 / (COUNT - 1) * 546) / 600)
    end, _ = opened.place(".curve", across=(46 + 17 / (COUNT - 1) * 546) / 600)
    opened.mouse("mousePressed", x, y, 1)
    check_frame(opened, 2)
    for part in (0.3, 0.6, 1.0):
        opened.mouse("mouseMoved", x + part * (end - x), y, 1)
    opened.mouse("mouseReleased", end, y, 0)
    check_frame(opened, 17)
    values = opened.js("[...document.querySelectorAll('.curve-card .readouts')].map(r => r.textContent)")
    assert len(values) == 3 and all(values)  # one metric and two of the pose


def test_keys_move_the_frame(opened: Page) -> None:
    for key, shift, frame in (
        ("ArrowRight", False, 1),
        ("ArrowRight", True, 11),
        ("ArrowLeft", False, 10),
        ("End", False, COUNT - 1),
        ("ArrowRight", False, COUNT - 1),
        ("Home", False, 0),
    ):
        opened.key(key, shift=shift)
        check_frame(opened, frame)
    opened.js("document.querySelector('.curve').focus()")
    opened.key("ArrowRight")
    check_frame(opened, 1)
    opened.js("document.querySelector('#gain').focus()")  # keys belong to a list that has the focus
    opened.key("End")
    assert opened.js("document.querySelector('#slider').value") == "1"


def test_the_difference_is_that_of_the_frame(opened: Page) -> None:
    """The drawn head is one plain colour, so the difference grows with the distance of the levels."""
    drawn = level(opened, 1)[1]
    seen = {}
    for frame in (0, 8, COUNT - 1):
        opened.js(
            f"(()=>{{const s=document.querySelector('#slider');s.value={frame};s.dispatchEvent(new Event('input'))}})()"
        )
        check_frame(opened, frame)
        seen[abs(STEP * frame - drawn)] = sum(level(opened, 1, "heat"))
    assert [seen[off] for off in sorted(seen)] == sorted(seen.values()) and len(set(seen.values())) > 1
    opened.key("d")
    assert opened.js("getComputedStyle(document.querySelector('canvas.heat')).display") == "none"


def test_playing_moves_all_and_stops(opened: Page) -> None:
    opened.click("#play")
    opened.until("Number(document.documentElement.dataset.frame) >= 5")
    opened.key(" ")
    opened.until("document.querySelector('#play').getAttribute('aria-label') === 'play'")
    frame = int(opened.js("document.documentElement.dataset.frame"))
    assert frame < COUNT
    check_frame(opened, frame)
    opened.key("ArrowLeft")
    check_frame(opened, frame - 1)


def test_pickers_change_place_and_rows(opened: Page) -> None:
    opened.key("End")
    check_frame(opened, COUNT - 1)
    opened.js("(()=>{const s=document.querySelector('#subject');s.value='two';s.dispatchEvent(new Event('change'))})()")
    check_frame(opened, COUNT - 1, falling=True)
    opened.js("(()=>{const s=document.querySelector('#seed');s.value='1';s.dispatchEvent(new Event('change'))})()")
    check_frame(opened, COUNT - 1, falling=True)
    before = opened.js("document.querySelectorAll('#pictures figure').length")
    opened.click("#chips label:nth-child(2)")
    assert opened.js("document.querySelectorAll('#pictures figure').length") == before - 1
    assert opened.js("document.querySelectorAll('[data-variant=hostile]').length") == 0
    check_frame(opened, COUNT - 1, falling=True)
    opened.click("#chips label:nth-child(4)")  # a control's curve comes in
    assert opened.js("document.querySelectorAll('path.line.control').length") == 1


def test_worst_frames_have_pictures_and_lead_to_their_frame(opened: Page) -> None:
    frames = opened.js("[...document.querySelectorAll('button.worst')].map(b => b.dataset.frame)")
    assert frames and opened.js("[...document.querySelectorAll('button.worst img')].every(i => i.naturalWidth > 0)")
    assert opened.js("document.querySelectorAll('button.worst img').length") == 2 * len(frames)
    opened.click("button.worst")
    check_frame(opened, int(frames[0]))


def test_theme_follows_the_system_and_the_button(tab: Page, pages: dict[str, Path]) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    tab.prefer("dark")
    tab.open(pages["film"])
    dark = tab.js(colour)
    tab.prefer("light")
    light = tab.js(colour)
    assert light == "rgb(255, 255, 255)" and dark != light
    tab.click("#theme")
    assert tab.js(colour) == dark
    tab.key("t")
    assert tab.js(colour) == light
    tab.prefer("dark")  # what was chosen stays
    assert tab.js(colour) == light


def test_help_opens_and_closes_by_key(opened: Page) -> None:
    opened.key("?")
    assert opened.js("document.querySelector('#help').open")
    opened.key("ArrowRight")  # belongs to the dialog
    opened.key("Escape")
    opened.until("!document.querySelector('#help').open")
    check_frame(opened, 0)


def test_everything_has_a_name_for_those_who_cannot_see_it(opened: Page) -> None:
    nameless = opened.js(
        "[...document.querySelectorAll('button, select, input, canvas, svg, video, dialog')].filter(e => !("
        "e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim() || e.ariaHidden ||"
        "(e.labels && [...e.labels].some(l => l.textContent.trim())))).map(e => e.outerHTML.slice(0, 80))"
    )
    assert nameless == []
    repeated = opened.js(
        "(()=>{const ids=[...document.querySelectorAll('[id]')].map(e=>e.id);"
        "return ids.filter((id,n)=>ids.indexOf(id)!==n)})()"
    )
    assert repeated == []


def test_a_page_without_films_says_so_and_still_moves(tab: Page, pages: dict[str, Path]) -> None:
    tab.open(pages["no film"])
    assert tab.js("document.querySelectorAll('video, script[id^=film], #pictures canvas').length") == 0
    assert "made without films" in tab.js("document.querySelector('#frames').textContent")
    tab.key("ArrowRight", shift=True)
    assert tab.js("document.querySelector('#slider').value") == "10"
    assert tab.js("document.querySelector('.curve').getAttribute('aria-valuenow')") == "10"
    assert tab.js("document.querySelectorAll('button.worst img').length") > 0
    assert pages["no film"].stat().st_size < pages["film"].stat().st_size


def test_on_paper_there_are_no_buttons_and_all_is_open(opened: Page) -> None:
    opened.prefer("dark")
    opened.call("Emulation.setEmulatedMedia", media="print", features=[])
    assert opened.js("getComputedStyle(document.querySelector('.top')).display") == "none"
    assert opened.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    opened.js("window.dispatchEvent(new Event('beforeprint'))")
    assert opened.js("[...document.querySelectorAll('details')].every(d => d.open)")
