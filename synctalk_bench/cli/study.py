"""``synctalk-bench study``: what people think of the clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synctalk_bench.cli.options import WorkspaceOption, names
from synctalk_bench.cli.table import Format, FormatOption, echo

if TYPE_CHECKING:
    from synctalk_bench.study.score import Summary

app = typer.Typer(help="What people think of the clips.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def study() -> None:
    """What people think of the clips."""


@app.command("make")
def make(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs' names, beginnings or folders; of eval too.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to publish; the key is written beside it.")],
    title: Annotated[str, typer.Option(help="What stands above the page.")] = "Talking heads: a user study",
    seconds: Annotated[float, typer.Option(help="Of every clip; a shorter one is shown whole.")] = 10.0,
    excerpts: Annotated[int, typer.Option(help="Clips of each subject, spread over its test frames.")] = 1,
    clips: Annotated[
        int | None, typer.Option("--clips-per-participant", help="A multiple of the methods is best [default: all].")
    ] = None,
    participants: Annotated[int, typer.Option(help="How many codes to issue.")] = 35,
    checks: Annotated[int, typer.Option(help="Lines that ask for a certain number, to see that lines are read.")] = 2,
    truth: Annotated[bool, typer.Option("--truth/--no-truth", help="Show the ground truth among the clips.")] = True,
    questions: Annotated[
        Path | None, typer.Option(help="A TOML file as 'study questions' prints it [default: the paper's five].")
    ] = None,
    variants: Annotated[str | None, typer.Option("--variants", help="Comma-separated names; only these.")] = None,
    subjects: Annotated[str | None, typer.Option("--subjects", help="Comma-separated names; only these.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of every random choice; keep it private [default: a new one, in the key].")
    ] = None,
    open_to_all: Annotated[
        bool, typer.Option("--open", help="Let anybody take part under a code of their own, such as a panel's id.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Make a page on which people rate blinded clips of finished runs (mean opinion, 1 to 5)."""
    import secrets
    import shlex

    from synctalk_bench.cli.options import progress_line
    from synctalk_bench.cli.sources import find_folder
    from synctalk_bench.store.workspace import Workspace
    from synctalk_bench.study.clips import gather
    from synctalk_bench.study.make import Request, make_study
    from synctalk_bench.study.questions import DEFAULT, read_questionnaire

    request = Request(
        out=out,
        title=title,
        questionnaire=read_questionnaire(questions or DEFAULT),
        seconds=seconds,
        excerpts=excerpts,
        shown=clips,
        participants=participants,
        checks=checks,
        seed=secrets.randbits(63) if seed is None else seed,
        open=open_to_all,
    )
    methods, people = names(variants, "--variants"), names(subjects, "--subjects")
    place = Workspace.open(workspace, create=False)
    folders = [find_folder(place, run) for run in runs]
    gathered = gather(folders, variants=methods, subjects=people, truth=truth)
    with progress_line("encoding clips") as tell:
        key = make_study(gathered, request, tell=tell)
    shown = len(key.rows[0].clips)
    typer.echo(
        f"page:    {out / 'index.html'}  ({len(key.clips)} clips of {len(gathered.methods)} methods; each participant "
        f"sees {shown}, {len(key.questions)} questions a clip)"
    )
    typer.echo(f"key:     {request.key}  (PRIVATE: it says which clip is which method's; never publish it)")
    typer.echo(f"codes:   {request.codes}  ({len(key.codes)}, one for each participant: index.html#CODE)")
    for note in key.notes:
        typer.echo(f"note:    {note}", err=True)
    typer.echo(f"try it:  synctalk-bench serve {shlex.quote(str(out))}")
    typer.echo(f"then:    synctalk-bench study score ANSWERS --key {shlex.quote(str(request.key))}")


@app.command("questions")
def questions() -> None:
    """Print the questionnaire as TOML, to change it and give it to 'study make --questions'."""
    from synctalk_bench.study.questions import DEFAULT

    typer.echo(DEFAULT.read_text(encoding="utf-8").rstrip("\n"))


@app.command("score")
def score(
    answers: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Answer files, or folders of them.")],
    key: Annotated[Path, typer.Option(help="The key that 'study make' wrote.")],
    format: FormatOption = "rich",
    baseline: Annotated[str, typer.Option(help="The method to compare with [default: the first].")] = "",
    details: Annotated[bool, typer.Option("--details", help="Every interval and p; CSV and JSON have them.")] = False,
    paper: Annotated[bool, typer.Option("--paper", help="Add the paper's opinions as rows of their own.")] = False,
    keep_incomplete: Annotated[
        bool, typer.Option("--keep-incomplete", help="Count participants who did not answer everything.")
    ] = False,
    keep_failed_checks: Annotated[
        bool, typer.Option("--keep-failed-checks", help="Count participants who failed attention checks.")
    ] = False,
) -> None:
    """Print what the answers come to: means with intervals, tests, Cronbach's alpha, and who was left out."""
    from synctalk_bench.study.collect import answer_files, collect
    from synctalk_bench.study.files import read_key
    from synctalk_bench.study.score import summarise

    known = read_key(key)
    collected = collect(
        answer_files(answers), known, keep_incomplete=keep_incomplete, keep_failed_checks=keep_failed_checks
    )
    summary = summarise(collected, known, baseline=baseline)
    _show(summary, format, details=details, paper=paper)
    for line in summary.left_out:
        typer.echo(f"left out: {line}", err=True)
    for line in summary.refused:
        typer.echo(f"refused: {line}", err=True)
    if summary.refused:
        raise typer.Exit(1)


def _show(summary: Summary, format: Format, *, details: bool, paper: bool) -> None:
    from synctalk_bench.study.tables import consistency_table, details_table, opinions_table

    if format == "json":
        typer.echo(json.dumps(summary.to_json(), indent=1, ensure_ascii=False, allow_nan=False))
        return
    if format == "csv":  # one table, or no program could read it
        echo(details_table(summary), format)
        return
    echo(details_table(summary) if details else opinions_table(summary, paper=paper), format)
    if summary.consistency:
        typer.echo("")
        echo(consistency_table(summary), format)
