"""Rows as JSON, as Markdown and as a table on the terminal."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.pairs import Sense

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from benchmarks.pairs import Row

COLUMNS = ("figure", "ours", "peer", "theirs", "ratio", "95 %", "n", "target", "met")
LIBRARIES = (
    "qloom",
    "numpy",
    "pennylane-lightning",
    "qulacs",
    "stim",
    "pennylane",
    "msgspec",
    "qiskit",
    "qiskit-aer",
    "openqasm3",
    "prefect",
    "mqt-bench",
)


def seconds(value: float | None) -> str:
    """Return a time for people.

    >>> seconds(0.0000153), seconds(0.0153), seconds(2.0), seconds(None)
    ('15.3 µs', '15.3 ms', '2 s', '-')
    """
    if value is None:
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def cells(row: Row) -> tuple[str, ...]:
    """Return a row's cells, in the order of `COLUMNS`."""
    if row.ratio is None or row.low is None or row.high is None:
        return (row.figure, "-", row.peer, "-", "-", "-", "0", _target(row), row.note)
    ratio = f"{row.ratio:.3g}x"
    interval = f"{row.low:.3g} to {row.high:.3g}"
    return (
        row.figure,
        seconds(row.ours),
        row.peer,
        seconds(row.theirs),
        ratio,
        interval,
        str(row.n),
        _target(row),
        verdict(row),
    )


def verdict(row: Row) -> str:
    """Return whether a row is within its target, in a word or two."""
    word = {True: "yes", False: "NO", None: "-"}[row.met]
    return f"{word}, noisy" if row.noisy else word


def _target(row: Row) -> str:
    if row.target.value is None:
        return "-"
    what = "of the peer's time" if row.target.sense is Sense.AT_MOST else "faster"
    return f"{row.target.sense} {row.target.value:g}x {what}"


def machine() -> list[str]:
    """Return facts about this machine and the libraries, a line each."""
    facts = [
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, {_processor()}",
    ]
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    return [*facts, ", ".join(found)]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "processor unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor unknown")


def as_json(rows: Iterable[Row]) -> str:
    """Return the content of bench.json."""
    return json.dumps([row.to_json() for row in rows], indent=1) + "\n"


def as_markdown(rows: Sequence[Row], facts: Sequence[str]) -> str:
    """Return the content of bench.md."""
    lines = ["# Benchmarks", "", *facts, "", _line(COLUMNS), _line(["---"] * len(COLUMNS)), *(_line(cells(row)) for row in rows)]
    return "\n".join([*lines, "", *notes(rows), closing(rows), ""])


def notes(rows: Iterable[Row]) -> list[str]:
    """Return what else is to be said about rows that were measured, as lines of a list with an empty line after it."""
    found = [f"- {row.figure}: {row.note}" for row in rows if row.note and row.ratio is not None]
    return [*found, ""] if found else []


def _line(values: Iterable[str]) -> str:
    return "| " + " | ".join(value.replace("|", "\\|").replace("\n", " ") for value in values) + " |"


def as_table(rows: Iterable[Row]) -> Table:
    """Return the rows as a table for the terminal."""
    from rich.table import Table

    table = Table(*COLUMNS, title="ratio: ours / theirs where the target is a share of the peer's time, else theirs / ours")
    for row in rows:
        style = {True: "green", False: "red", None: ""}[row.met]
        table.add_row(*cells(row), style=style)
    return table


def closing(rows: Sequence[Row]) -> str:
    """Return how many targets were met, and which were not.

    >>> closing([])
    'No figure was measured.'
    """
    if not rows:
        return "No figure was measured."
    asked = [row for row in rows if row.target.value is not None]
    missed = [f"- {row.figure}, against {row.peer}" for row in asked if not row.met]
    text = f"{len(asked) - len(missed)} of {len(asked)} targets met"
    return "\n".join([f"{text}; not met:", "", *missed]) if missed else f"{text}."
