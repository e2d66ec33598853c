"""``synctalk-bench plugins``."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Annotated

import typer

app = typer.Typer(help="Installed components.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_plugins() -> None:
    """List every component by kind, and the plugins that could not be loaded."""
    from synctalk_bench.plugins.manager import plugins

    manager = plugins()
    kind, width = None, max((len(entry.spec.name) for entry in manager.entries()), default=0)
    for entry in manager.entries():
        if entry.kind != kind:
            kind = entry.kind
            typer.echo(f"{kind}")
        typer.echo(f"  {entry.spec.name:<{width}}  {entry.spec.summary}  [{entry.distribution}]")
    for broken in manager.broken:
        typer.echo(f"broken: '{broken.plugin}' of {broken.distribution}: {broken.reason}", err=True)
        if broken.mend:
            typer.echo(f"  {broken.mend}", err=True)


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="A component's name, or KIND:NAME where two kinds share it.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
    seed: Annotated[int, typer.Option(help="The seed it is run under.")] = 0,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="OPTION=VALUE", help="An option of the component.")
    ] = None,
) -> None:
    """Check that a component keeps its contract: shapes, determinism, save and load."""
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.config.coerce import build_config, parse_value
    from synctalk_bench.errors import ConfigError, PluginError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.runner.environment import choose_device, on_device
    from synctalk_bench.testing.conformance import check as conform
    from synctalk_bench.wording import suggest

    manager = plugins()
    kind_name, colon, wanted = name.rpartition(":")
    entries = [e for e in manager.entries() if e.spec.name == wanted and (not colon or e.kind == kind_name)]
    if not entries:
        known = sorted({e.spec.name for e in manager.entries()})
        broken = "".join(f"\n  '{b.plugin}' could not be loaded: {b.reason}" for b in manager.broken)
        raise PluginError(f"no component is named '{name}'", hint=suggest(wanted, known) + broken)
    given = [text.partition("=") for text in overrides or ()]
    if wrong := [key for key, equals, _ in given if not equals]:
        raise ConfigError(f"'{wrong[0]}' is not OPTION=VALUE", where="--set")
    values = {key: parse_value(value) for key, _, value in given}
    chosen, failed = choose_device(device), False
    for entry in (e for e in entries if values and is_dataclass(e.spec.config)):
        # A slip in --set is the user's, and no finding about the component.
        build_config(entry.spec.config, values, prefix=str(entry.kind), origins=dict.fromkeys(values, "--set"))
    for entry in entries:
        typer.echo(f"{entry.kind} {entry.spec.name}  [{entry.distribution}]")
        with on_device(chosen):
            for result in conform(
                entry.spec, entry.kind, config_overrides=values, device=chosen, seed=seed, asset=AssetStore().path
            ):
                typer.echo(f"  {result.status:<8}{result.name}{': ' + result.detail if result.detail else ''}")
                failed |= result.status == "failed"
    if failed:
        raise typer.Exit(3)
