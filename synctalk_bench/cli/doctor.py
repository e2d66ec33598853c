"""``synctalk-bench doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from synctalk_bench.cli.options import WorkspaceOption
from synctalk_bench.wording import counted

if TYPE_CHECKING:
    from synctalk_bench.doctor.finding import Finding

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def doctor(
    workspace: WorkspaceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at this machine: what works, what is missing, what to type; exit code 1 when something needed is broken."""
    import json
    import os
    import time

    from synctalk_bench import __version__
    from synctalk_bench.doctor.examine import examine
    from synctalk_bench.doctor.finding import Machine, usable
    from synctalk_bench.store.workspace import place

    begun = time.monotonic()
    here = Machine(environ=os.environ, workspace=place(workspace).absolute())
    findings = []
    for finding in examine(here):
        findings.append(finding)
        if not as_json:
            _show(finding, again=len(findings) > 1 and findings[-2].check == finding.check)
    fine = usable(findings)
    if as_json:
        from dataclasses import asdict

        record = {"version": __version__, "usable": fine, "findings": [asdict(finding) for finding in findings]}
        typer.echo(json.dumps(record, indent=1, ensure_ascii=False))
    else:
        problems, warnings = (
            counted(sum(f.level == level for f in findings), level) for level in ("problem", "warning")
        )
        verdict = "usable" if fine else "not usable as it is"
        typer.echo(f"\n{verdict}: {problems}, {warnings} ({time.monotonic() - begun:.1f} s)")
        if fine:
            typer.echo("now:  synctalk-bench run --preset quick")
    if not fine:
        raise typer.Exit(1)


def _show(finding: Finding, *, again: bool) -> None:
    """Print a finding; the name of its check only at the first of several."""
    level = typer.style(f"{finding.level:<8}", fg=COLOURS[finding.level])
    means = f"  ({finding.means})" if finding.means and finding.level == "ok" else ""
    typer.echo(f"{'' if again else finding.check:<14} {level} {finding.found}{means}")
    if finding.level != "ok":
        typer.echo(f"{'':<24}{finding.means}") if finding.means else None
        typer.echo(f"{'':<24}{typer.style('type:', bold=True)} {finding.type}")
