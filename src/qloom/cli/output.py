"""What the commands print: one JSON document for machines, short lines and tables for people."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qloom.errors import QloomError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]

STATE_STYLES = {"COMPLETED": "green", "FAILED": "red", "INTERRUPTED": "yellow", "CANCELLED": "dim", "RUNNING": "cyan"}


def emit(document: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, allow_nan=False, default=str) + "\n")


def people() -> Console:
    """Return the console for results that people read: stdout."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def notes() -> Console:
    """Return the console for what happens on the way: stderr. In a pipe or a file no line is broken."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, cut: str = "") -> None:
    """Print a table; as tab-separated lines where stdout is no terminal.

    Args:
        title: stands above it.
        columns: their headings.
        rows: one cell for each column; several lines in the last one are several rows in a pipe.
        cut: the column that is cut short where the terminal is narrow, so that no row takes a second line.
    """
    if not sys.stdout.isatty():
        for *first, last in rows:
            for line in str(last).splitlines() or [""]:
                sys.stdout.write("\t".join(str(cell).replace("\t", " ") for cell in (*first, line)) + "\n")
        return
    drawn = Table(title=title, box=None, header_style="bold", title_justify="left")
    for column in columns:
        drawn.add_column(column, overflow="ellipsis" if cut else "fold", no_wrap=bool(cut) and column != cut)
    for row in rows:
        drawn.add_row(*(_styled(str(cell)) for cell in row))
    people().print(drawn)


def _styled(text: str) -> str:
    from rich.markup import escape

    style = STATE_STYLES.get(text)
    return f"[{style}]{text}[/{style}]" if style else escape(text)


def moment(seconds: float | None) -> str:
    """Return a local time for people.

    >>> moment(None)
    '-'
    """
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def error_document(error: QloomError) -> dict[str, Any]:
    """Return an error as JSON: its type and its message."""
    return {"type": type(error).__name__, "message": str(error)}
