"""``synctalk-bench config``."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from synctalk_bench.cli.options import PresetOption, SetOption, SubjectsOption, chosen_preset

if TYPE_CHECKING:
    from synctalk_bench.config.schema import Choice

app = typer.Typer(help="Presets and their values.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_presets() -> None:
    """List the presets."""
    from synctalk_bench.config.files import preset_files, read_preset
    from synctalk_bench.plugins.manager import plugins

    presets = sorted(preset_files(plugins()))
    width = max(map(len, presets))
    for name in presets:
        content = read_preset(name, plugins()).content
        typer.echo(f"{name:<{width}}  {content.get('summary', '')}")


@app.command("show")
def show(
    preset: PresetOption = "quick",
    subjects: SubjectsOption = None,
    overrides: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the resolved preset as JSON.")] = False,
) -> None:
    """Print every value of a preset and where it came from."""
    resolved = chosen_preset(preset, overrides, subjects=subjects)
    if as_json:
        typer.echo(json.dumps(resolved.resolved(), indent=1))
        return
    typer.echo(f"# {resolved.name}: {resolved.summary}")
    lists = {
        "subjects": [s.name for s in resolved.subjects],
        "seeds": list(resolved.seeds),
        "metrics": [m.name for m in resolved.metrics],
    }
    for key, value in lists.items():
        _line(key, value, resolved.origins.get(key, "default"))
    for subject in resolved.subjects:
        if subject.choice is not None:
            _choice(f"subject.{subject.name}", subject.choice, with_use=False)
    for variant in resolved.variants:
        if len(resolved.variants) > 1:
            typer.echo(f"\n# variant {variant.name}: {variant.label}")
        for kind, choice in variant.choices.items():
            _choice(str(kind), choice)


def _choice(place: str, choice: Choice, *, with_use: bool = True) -> None:
    if with_use:
        _line(f"{place}.use", choice.name, choice.origins.get("use", "default"))
    helps = {f.name: f.metadata.get("help", "") for f in dataclasses.fields(choice.config)}
    for key, value in choice.values().items():
        if key != "use":
            _line(f"{place}.{key}", value, choice.origins.get(key, "default"), helps[key])


def _line(key: str, value: object, origin: str, help: str = "") -> None:
    typer.echo(f"{key + ' = ' + json.dumps(value):<52} # {origin}{'; ' + help if help else ''}")
