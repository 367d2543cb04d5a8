"""Going on inside the environment that a program's file asks for: that file may import what only its environment has."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from qloom.app import application
from qloom.cli.output import notes
from qloom.surroundings import command_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def enter_environment(
    file: Path, name: str | None, *, requirements: Path | None, python: str | None, arguments: Sequence[str]
) -> None:
    """Return where this process runs in the environment that a file asks for; else go on there and never return.

    The command is started again by that environment's interpreter, in the place of this process: same terminal, same process
    number, same exit code.

    Args:
        file: the program's file; it is read, not imported.
        name: the program in it; None for the only one.
        requirements: `--requirements`.
        python: `--python`.
        arguments: of this command line.

    Raises:
        InvalidSetting, MissingExtra, Unavailable: the environment cannot be built, or does not fit.
    """
    environment = application().environments.of_file(
        file,
        name,
        requirements=None if requirements is None else str(requirements.absolute()),
        python=python,
        progress=lambda text: notes().print(text, style="dim", markup=False),
    )
    if environment is None:
        return
    command, variables = command_in(environment, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, variables)  # noqa: S606  it takes the place of this process
