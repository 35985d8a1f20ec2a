"""The `tts` command. Exit codes: 0 answered, 1 the run failed, 2 wrong input, 130 Ctrl-C."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated, Final

import typer

from tts.cli import (
    bench,
    cache,
    calibrate,
    export,
    models,
    plan,
    registry,
    report,
    run,
    schema,
    tasks,
    trace,
)
from tts.errors import ConfigError, TTSError

__all__ = ["app", "main"]

# typer carries its own copy of click: its errors are reached through what typer exports.
_UsageMistake: type[typer.BadParameter] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)

# typer lets pydantic read options, and tells in its words.
_WORDS: Final = {
    "Input should be a valid integer, unable to parse string as an integer": "give a whole number",
    "Input should be a valid number, unable to parse string as a number": "give a number",
    "Input should be": "it should be",
    "Value error, ": "",
}

app = typer.Typer(
    name="tts",
    help="Test-time scaling, orchestrated: better answers for more compute, at a known cost.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _in_our_words(message: str) -> str:
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    return message


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tts {version('tts-orchestrator')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option(help="Show tracebacks of errors.")] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    context.obj = {"debug": debug}


app.command("run")(run.run)
app.command("bench", epilog=bench.EXIT_CODES)(bench.bench)
app.command("export")(export.export)
app.command("plan")(plan.plan)
app.command("calibrate")(calibrate.calibrate_command)
app.command("report")(report.report)
app.command("view")(report.view)
app.command("schema")(schema.schema)
registry.add_to(app)
app.command("tasks")(tasks.tasks)
app.add_typer(models.app, name="models")
app.add_typer(cache.app, name="cache")
app.add_typer(trace.app, name="trace")


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(words, standalone_mode=False)
    except typer.Exit as exit_:
        code = exit_.exit_code
    except _UsageMistake as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help, in its own lines
            typer.echo(error.format_message(), err=True)
            raise SystemExit(2) from None
        code = _fail(_in_our_words(error.format_message()), 2)
    except TTSError as error:
        if "--debug" in words:
            raise
        code = _fail(str(error), 2 if isinstance(error, ConfigError) else 1)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("interrupted", 130)
    except BrokenPipeError:  # the reader went away: what is left to print goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:  # a bug, ours or a plug-in's: one line unless asked for more
        if "--debug" in words:
            raise
        code = _fail(f"internal error: {error!r}; --debug shows where", 1)
    raise SystemExit(code or 0)


def _fail(message: str, code: int) -> int:
    print("tts: " + " ".join(message.split()), file=sys.stderr)  # noqa: T201  # a command's output
    return code
