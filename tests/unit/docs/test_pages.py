"""Pages hold together: their code compiles, their presets resolve, their links work on GitHub as on the site."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from synctalk_bench.config.load import load_preset
from synctalk_bench.plugins.manager import plugins

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"^```(?P<kind>\w+)(?P<rest>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|mailto:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
MENTION = re.compile(r"docs/[a-z0-9/_-]+\.md")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def code(kind: str) -> list[tuple[str, str]]:
    """Every block of a language: where it stands and its text."""
    return [
        (f"{page.relative_to(ROOT)}:{content[: found.start()].count(chr(10)) + 1}", found["text"])
        for page in PAGES
        for content in [page.read_text(encoding="utf-8")]
        for found in BLOCK.finditer(content)
        if found["kind"] == kind
    ]


@pytest.mark.parametrize(("where", "text"), code("python"), ids=lambda v: str(v)[:40])
def test_python_compiles(where: str, text: str) -> None:
    compile(text, where, "exec", flags=ast.PyCF_ONLY_AST)


@pytest.mark.parametrize(("where", "text"), code("toml"), ids=lambda v: str(v)[:40])
def test_toml_reads_and_presets_resolve(where: str, text: str, tmp_path: Path) -> None:
    content = tomllib.loads(text)
    if "schema" not in content or "voicing" in content.get("variant", {}):  # that component is built by its own test
        return
    preset = tmp_path / "page.toml"
    preset.write_text(text, encoding="utf-8")
    assert load_preset(str(preset), plugins()).variants


def slug(heading: str) -> str:
    """GitHub's name of a heading: lower case, punctuation dropped, spaces to dashes."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def headings(page: Path) -> list[str]:
    return [slug(found) for found in HEADING.findall(BLOCK.sub("", page.read_text(encoding="utf-8")))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_mentions_lead_somewhere(page: Path) -> None:
    content = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.finditer(content):
        target = (page.parent / link["path"]).resolve() if link["path"] else page
        assert target.exists(), f"{link[0]} in {page.relative_to(ROOT)}"
        if DOCS in page.parents:
            told = "the site has docs/ only: name the file in backticks instead of linking it"
            assert target.is_relative_to(DOCS), f"{link[0]} in {page.relative_to(ROOT)}: {told}"
        if link["anchor"]:
            assert link["anchor"] in headings(target), f"{link[0]} in {page.relative_to(ROOT)}"
    for mention in MENTION.findall(content):
        assert (ROOT / mention).is_file(), f"{mention} in {page.relative_to(ROOT)}"


def test_code_mentions_pages_that_exist() -> None:
    """Errors and docstrings send readers to pages."""
    for folder in ("synctalk_bench", "plugins", "kernels", "benchmarks"):
        for path in (p for suffix in ("py", "toml") for p in (ROOT / folder).rglob(f"*.{suffix}")):
            for mention in MENTION.findall(path.read_text(encoding="utf-8")):
                assert (ROOT / mention).is_file(), f"{mention} in {path.relative_to(ROOT)}"


def test_the_questions_are_all_answered() -> None:
    """docs/faq.md has the 25 threads, each with its number and somewhere to go on or something to type."""
    text = (DOCS / "faq.md").read_text(encoding="utf-8")
    answers = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    numbers = [int(found[1]) for answer in answers if (found := re.match(r"(\d+)\. ", answer))]
    assert numbers == list(range(1, 26))
    for answer in answers:
        assert re.search(r"#\d+", answer), f"no thread is named: {answer[:60]}"
        assert "synctalk-bench" in answer or LINK.search(answer), f"nothing to type or read: {answer[:60]}"
