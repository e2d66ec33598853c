"""The command ``synctalk-bench``: its parts, and how an error reaches the user."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from synctalk_bench import __version__
from synctalk_bench.cli import (
    assets,
    checkpoint,
    compare,
    config,
    doctor,
    evaluate,
    plan,
    plugins,
    prepare,
    pretrain,
    report,
    results,
    run,
    serve,
    study,
    subjects,
    synthesize,
    table,
)
from synctalk_bench.errors import SynctalkBenchError


@contextmanager
def _ends() -> Iterator[None]:
    """Turn Ctrl-C and a reader that has gone into exit codes, before Typer, which has others for them, sees them."""
    try:
        yield
    except typer.BadParameter as error:  # the words of the library behind Typer's types help nobody
        error.message = error.message.removeprefix("Value error, ")
        raise
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        raise typer.Exit(130) from None
    except BrokenPipeError:  # as with `| head`; what is still buffered must not fail once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from None
    except Exception as error:
        _say_the_option(error)
        raise


def _say_the_option(error: Any) -> None:
    """Add an option's name where a command that takes options alone was given a bare word, as in ``run quick``."""
    message, command = str(getattr(error, "message", "")), getattr(getattr(error, "ctx", None), "command", None)
    if command is None or "unexpected extra argument" not in message:
        return
    if all(parameter.param_type_name == "option" for parameter in command.params):
        error.message = f"{message}; '{command.name}' takes options alone, such as {command.params[0].opts[0]}"


class _Commands(TyperGroup):
    """The top-level group; parsing (which prints help) and running end as ``_ends`` says."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _ends():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _ends():
            return super().invoke(ctx)


# None leaves it to whether the output is a terminal (https://no-color.org).
_COLOUR = False if os.environ.get("NO_COLOR") else None

# Plain help: rich's markup would double the time that --help takes.
app = typer.Typer(
    name="synctalk-bench",
    cls=_Commands,
    help="Train, render and score audio-driven talking heads with numbers that can be compared.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "color": _COLOUR},
    epilog="Start here:  synctalk-bench run --preset quick",
)
# Short lines for the list of commands: 80 columns would cut the first sentences of their own help.
app.command("run", short_help="Train, render and score a preset, or go on with it.")(run.run)
app.command("plan", short_help="Show what a run would do, and what is missing for it.")(plan.plan)
app.command("table")(table.table)
app.command("report", short_help="Write a run's page: tables, charts, films.")(report.report)
app.command("compare", short_help="Compare runs of one machine or several.")(compare.compare)
app.command("eval", short_help="Score a video against another, or one by itself.")(evaluate.evaluate)
app.command("prepare", short_help="Turn a video into a subject.")(prepare.prepare)
app.command("synthesize", short_help="Let a trained head speak any sound.")(synthesize.synthesize)
app.command("pretrain", short_help="Make a component's weights from many people.")(pretrain.pretrain)
app.command("doctor", short_help="Look at this machine: what works, what to type.")(doctor.doctor)
app.command("serve", short_help="Show a run's folder or a study in this computer's browser.")(serve.serve)
app.add_typer(subjects.app, name="subjects")
app.add_typer(results.app, name="results")
app.add_typer(study.app, name="study")
app.add_typer(config.app, name="config")
app.add_typer(plugins.app, name="plugins")
app.add_typer(assets.app, name="assets")
app.add_typer(checkpoint.app, name="checkpoint")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"synctalk-bench {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train, render and score audio-driven talking heads with numbers that can be compared."""
    if debug:
        os.environ["SYNCTALK_BENCH_DEBUG"] = "1"


# What is wrong with a file that a user named, wherever it is opened; anything else is a bug and keeps its traceback.
_OF_FILES = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO)


def _share_the_cores() -> None:
    """Let torch's threads sleep soon while they wait for each other, unless the user has set how long; before torch.

    GNU OpenMP lets them spin, and where another job wants the cores the one that is waited for does not get one. On two
    cores with one other busy job 150 steps of ``quick`` took 39, 38 and 33 s, with this count 19, 20 and 19; with
    nothing beside them 10.5, 10.5 and 9.5 s against 11.9, 11.6 and 9.7 (the ``PASSIVE`` policy: 17).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def main() -> None:
    """Run the command line; errors of ours become a message and an exit code, without a traceback."""
    _share_the_cores()
    for stream in (sys.stdout, sys.stderr):  # a terminal without Unicode shows '?' for an arrow, and no traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
        sys.stdout.flush()
    except OSError as error:
        debug = os.environ.get("SYNCTALK_BENCH_DEBUG")
        if error.errno == errno.ENOSPC and not debug:
            sys.stderr.write(f"error: {error.filename or 'the output'} could not be written: {error.strerror}\n")
            sys.exit(5)
        if error.errno not in _OF_FILES or debug:
            raise
        sys.stderr.write(f"error: {error.filename} cannot be used: {error.strerror}\n")
        sys.exit(4)
    except SynctalkBenchError as error:
        if os.environ.get("SYNCTALK_BENCH_DEBUG"):
            raise
        typer.echo(typer.style("error: ", fg="red", bold=True) + str(error), err=True, color=_COLOUR)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
