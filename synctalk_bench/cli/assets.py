"""``synctalk-bench assets``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Weights and data files that others made.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_assets() -> None:
    """List every file that a component may need: whether it is here, its licence, who needs it."""
    from rich.console import Console
    from rich.table import Table

    from synctalk_bench.assets.store import AssetStore

    table = Table()
    for column in ("asset", "state", "get it by", "size", "licence", "commercial", "needed by"):
        table.add_column(column, justify="right" if column == "size" else "left")
    for status in AssetStore().status():
        asset = status.asset
        way = "" if status.state == "ready" else "fetch" if asset.fetch == "free" else "add"
        needed = ", ".join(asset.needed_by)
        table.add_row(
            asset.name, status.state, way, _size(asset.bytes), asset.licence, str(asset.commercial), needed
        )  # fmt: skip
    console = Console()
    (console if console.is_terminal else Console(width=200)).print(table)
    typer.echo(
        "fetch:  synctalk-bench assets fetch NAME   |   add:  synctalk-bench assets how NAME says where to get the "
        "file, then synctalk-bench assets add NAME FILE"
    )


def _size(count: int | None) -> str:
    """Return bytes as a person reads them."""
    if not count:
        return "?"
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


@app.command("how")
def how(name: Annotated[str, typer.Argument(help="A name from 'assets list'.")]) -> None:
    """Say what one file is, what it is needed for, its licence, and how to get it."""
    from synctalk_bench.assets.store import AssetStore

    status = AssetStore().status_of(name)
    asset = status.asset
    typer.echo(f"{asset.name}: {asset.summary}")
    typer.echo(f"  needed by:  {', '.join(asset.needed_by)}")
    typer.echo(f"  licence:    {asset.licence}; commercial use: {asset.commercial}")
    typer.echo(f"  here:       {status.state}{f', {status.path}' if status.path else ''}")
    typer.echo(f"  get it:     {asset.way()}")


@app.command("fetch")
def fetch(names: Annotated[list[str], typer.Argument(help="Names from 'assets list'.")]) -> None:
    """Download files into the user cache and check them."""
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.cli.options import progress_line

    for name in names:
        with progress_line(f"fetching {name}") as tell:
            path = AssetStore().fetch(name, tell)
        typer.echo(f"{name}: {path}")


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="A name from 'assets list'.")],
    file: Annotated[Path, typer.Argument(help="The file that you got yourself.")],
) -> None:
    """Check a file of yours and copy it into the user cache."""
    from synctalk_bench.assets.store import AssetStore

    typer.echo(f"{name}: {AssetStore().add(name, file)}")


@app.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; all that are here when left out.")] = None,
) -> None:
    """Compare the files that are here with their hashes."""
    from synctalk_bench.assets.store import AssetStore

    store = AssetStore()
    wrong, here = 0, 0
    for status in [store.status_of(n) for n in names] if names else store.status():
        if status.state == "missing" and not names:
            continue
        here += 1
        typer.echo(f"{status.asset.name:<24} {status.state:<9} {status.path or ''}  {status.detail}".rstrip())
        wrong += status.state == "wrong" or (bool(names) and status.state == "missing")
    if not here:
        typer.echo("no asset is on this machine  (synctalk-bench assets list)")
    if wrong:
        raise typer.Exit(4)
