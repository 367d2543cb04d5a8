"""The command line: `qloom <noun> <verb>`, results to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys

import typer

from qloom.cli import device, doctor, job, plugin, run, watch
from qloom.cli.output import emit, error_document, notes
from qloom.config import __version__
from qloom.errors import QloomError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="qloom",
    help="Run programs that are part classical, part quantum, and lose nothing when something dies.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
run.register(app)
watch.register(job.app)
app.add_typer(job.app, name="job")
app.add_typer(device.app, name="device")
app.add_typer(plugin.app, name="plugin")
doctor.register(app)


def _version(*, value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=lambda value: _version(value=value), is_eager=True, help="Print the version."
    ),
) -> None:
    """Run programs that are part classical, part quantum, and lose nothing when something dies."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 misused."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app(args=given, obj=given)  # what was typed: `run` may have to start again in another environment
    except SystemExit as leaving:  # typer ends so, after a usage error (2) as after a command
        if "--json" in given and (usage := _usage_error(leaving)):
            emit({"error": {"type": "Misuse", "message": usage}})
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except QloomError as error:
        return _say(error, as_json="--json" in given)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`qloom job list | head`): keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return 0


def _usage_error(leaving: SystemExit) -> str:
    """What typer found wrong with the command line and has told on stderr; nothing where it ended for another reason."""
    message = getattr(leaving.__context__, "format_message", None)  # its class is click's, or typer's own in later versions
    return message() if message else ""


def _say(error: QloomError, *, as_json: bool) -> int:
    if as_json:
        emit({"error": error_document(error)})
    notes().print(f"error: {error}", style="red", markup=False)
    return error.exit_code


__all__ = ["app", "main"]
