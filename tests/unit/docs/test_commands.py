"""Every command that the README and the pages tell to type exists, with its options; docs/commands.md is up to date."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from synctalk_bench.cli.app import app
from synctalk_bench.cli.reference import page
from synctalk_bench.config.files import preset_files
from synctalk_bench.config.load import load_preset
from synctalk_bench.errors import SynctalkBenchError
from synctalk_bench.plugins.manager import plugins

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(synctalk-bench [^`\n]*)`")
SHELL = ("", "bash", "console", "sh")
PROSE = ("that", "or", "and", "is", "needs", "with")  # words that follow the name in a sentence
COMPONENTS_ELSEWHERE = ("voicing",)  # of docs/adding-a-component.md, whose test runs its commands


def commands(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each command line of a page, and whether it stands in a block, where it has to be whole."""
    content = path.read_text(encoding="utf-8")
    for block in FENCE.finditer(content):
        if block["kind"] in SHELL:
            for line in block["text"].replace("\\\n", " ").splitlines():
                start = line.find("synctalk-bench ")
                if (
                    start >= 0
                    and "pip install" not in line[start:]
                    and line[max(0, start - 1) : start] in ("", " ", "/")
                ):
                    yield line[start:], True
    for found in INLINE.finditer(FENCE.sub("", content)):
        yield found[1], False


def words_of(line: str) -> list[str]:
    """Return the words of the first command of a shell line, without its name, comment, pipe and redirection."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = list(lexer)[1:]
    end = next((i for i, word in enumerate(words) if set(word) <= set("|&;<>")), len(words))
    return words[:end]


def parse(words: list[str], *, whole: bool) -> Any:
    """Parse a command line without running it; return the command's context."""
    command: Any = get_command(app)
    path = []
    while hasattr(command, "commands"):
        while words and words[0] in ("--debug", "--version", "--help", "-h"):
            words = words[1:]
        if not words:
            return None  # a group by itself prints its help
        assert words[0] in command.commands, f"there is no command '{' '.join([*path, words[0]])}'"
        command = command.commands[words[0]]
        path.append(words[0])
        words = words[1:]
    if not whole and not [word for word in words if word not in ("…", "...")]:
        return None  # the command's name alone, in a sentence
    return command.make_context(" ".join(path), [word for word in words if word not in ("--help", "-h")])


LINES = sorted({(path.relative_to(ROOT).as_posix(), *line) for path in PAGES for line in commands(path)})


@pytest.mark.parametrize(("page_name", "line", "whole"), LINES, ids=lambda v: str(v)[:60])
def test_command_parses(page_name: str, line: str, whole: bool) -> None:
    words = words_of(line)
    if "…" in words or "..." in words:
        whole = False
        words = [word for word in words if word not in ("…", "...")]
    try:
        context = parse(words, whole=whole)
    except AssertionError:
        raise
    except Exception as error:
        wrong = type(error).__name__ != "MissingParameter" or whole
        assert not wrong, f"{page_name}: {line}\n{type(error).__name__}: {error}"
        return
    if context is not None and context.info_name in ("run", "plan", "config show"):
        check_values(context.params, f"{page_name}: {line}")


def check_values(params: dict[str, Any], where: str) -> None:
    """Resolve a built-in preset with the line's overrides: components, options and metrics exist."""
    overrides = params.get("overrides") or []
    if params["preset"] not in preset_files(plugins()) or any(c in o for o in overrides for c in COMPONENTS_ELSEWHERE):
        return
    metrics = [name for name in (params.get("metrics") or "").split(",") if name]
    overrides = [o for o in overrides if "KEY=" not in o]
    try:
        load_preset(params["preset"], plugins(), overrides=overrides, metrics=metrics)
    except SynctalkBenchError as error:
        raise AssertionError(f"{where}\n{error}") from error


def test_errors_and_help_name_commands_that_exist() -> None:
    """What messages, docstrings and the asset registry tell to type: the command's name is one."""
    root: Any = get_command(app)
    named = re.compile(r"synctalk-bench ([a-z]+)(?: ([a-z]+))?\b")
    kind = re.compile(
        r'"synctalk-bench study (key|scores|answers)'
    )  # what a file of a study says of itself, no command
    seen = 0
    for path in (p for folder in ("synctalk_bench", "plugins") for p in (ROOT / folder).rglob("*.*")):
        content = path.read_text(encoding="utf-8") if path.suffix in (".py", ".toml") else ""
        for first, second in named.findall(kind.sub("", content)):
            if first in PROSE:
                continue
            where = f"{path.relative_to(ROOT)}: there is no command 'synctalk-bench {first}'"
            assert first in root.commands, where
            below = getattr(root.commands[first], "commands", None)
            assert below is None or not second or second in below, f"{where} {second}"
            seen += 1
    assert seen > 50


def test_wrong_lines_are_noticed() -> None:
    for line in (
        "synctalk-bench rum",
        "synctalk-bench run --presett quick",
        "synctalk-bench eval --set",
        "synctalk-bench subjects imprt x",
    ):
        with pytest.raises(BaseException):  # noqa: B017 - click's own types differ between versions of Typer
            parse(words_of(line), whole=True)
    with pytest.raises(AssertionError, match="stepz"):
        check_values({"preset": "quick", "overrides": ["renderer.stepz=3"], "metrics": ""}, "here")
    assert len(LINES) > 60


def test_the_page_of_commands_is_up_to_date() -> None:
    mend = "python -m synctalk_bench.cli.reference > docs/commands.md"
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == page(), f"type:  {mend}"
