"""One table, six formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args, overload

from synctalk_bench.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from synctalk_bench.results.table import Table

TextFormat = Literal["md", "latex", "html", "csv", "json"]
FORMATS: tuple[str, ...] = ("rich", *get_args(TextFormat))


@overload
def render(table: Table, format: Literal["rich"]) -> RenderableType: ...


@overload
def render(table: Table, format: TextFormat) -> str: ...


@overload
def render(table: Table, format: str) -> str | RenderableType: ...


def render(table: Table, format: str) -> str | RenderableType:
    """Return ``table`` as text ending in a line end, or for ``rich`` as something that a rich console prints.

    Raises:
        ConfigError: there is no such format.
    """
    if format == "rich":
        from synctalk_bench.results.render_rich import to_rich

        return to_rich(table)
    if format == "md":
        from synctalk_bench.results.render_markdown import to_markdown

        return to_markdown(table)
    if format == "latex":
        from synctalk_bench.results.render_latex import to_latex

        return to_latex(table)
    if format == "html":
        from synctalk_bench.results.render_html import render_html

        # A piece of HTML names no encoding: in ASCII it reads the same wherever it is put, or opened alone.
        return render_html(table).encode("ascii", "xmlcharrefreplace").decode("ascii")
    if format == "csv":
        from synctalk_bench.results.render_csv import to_csv

        return to_csv(table)
    if format == "json":
        from synctalk_bench.results.render_json import to_json

        return to_json(table)
    raise ConfigError(f"no table format is named '{format}'", hint=f"there are: {', '.join(FORMATS)}")
