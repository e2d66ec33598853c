"""The page of all commands, made from them:  python -m synctalk_bench.cli.reference > docs/commands.md."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

HEAD = """# Commands

Every command with its options, as `--help` prints them. This page is made by `python -m synctalk_bench.cli.reference`
from the commands themselves, and a test holds it to them.

`synctalk-bench --version` prints the version; `--debug` before a command shows the traceback of an error.
Exit codes: 0 done, 1 something failed or is broken, 2 a wrong option or preset, 3 a plugin, 4 something missing
(a file, a package, a device), 5 the workspace, 130 stopped by Ctrl-C.
"""


def page() -> str:
    """Return the page as Markdown."""
    from typer.main import get_command

    from synctalk_bench.cli.app import app

    return HEAD + "".join(section for _, section in sorted(_sections(get_command(app), ("synctalk-bench",))))


def _sections(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield a section for every command below ``command`` that does something itself."""
    for name, child in getattr(command, "commands", {}).items():
        yield from _sections(child, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), _section(command, path)


def _section(command: Any, path: tuple[str, ...]) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    usage = " ".join([*path, *(["[OPTIONS]"] if options else []), *(_place(argument) for argument in arguments)])
    lines = [f"\n## {' '.join(path[1:])}\n", inspect.cleandoc(command.help or ""), f"\n```text\n{usage}\n```\n"]
    rows = [(f"`{_place(argument)}`", argument.help or "") for argument in arguments]
    rows += [(f"`{', '.join((*option.opts, *option.secondary_opts))}`", _about(option)) for option in options]
    if rows:
        lines += ["| | |", "|---|---|", *(f"| {name} | {about.replace('|', chr(92) + '|')} |" for name, about in rows)]
    return "\n".join(lines) + "\n"


def _place(argument: Any) -> str:
    """Return an argument as a usage line shows it."""
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _about(option: Any) -> str:
    """Return an option's help with its default, where that says more than the help does."""
    text, default = option.help or "", option.default
    tells = isinstance(default, (str, int, float)) and not isinstance(default, bool) and default != ""
    return f"{text} Default: `{default}`." if tells and "[default" not in text else text


if __name__ == "__main__":
    sys.stdout.write(page())
