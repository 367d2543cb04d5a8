"""`python -m benchmarks`: measure the figures, print the table, write build/bench.json and build/bench.md."""

from __future__ import annotations

import argparse
import compileall
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import ROOT, Bench, Effort, Figure, Survey, measure, pin
from benchmarks.output import as_json, as_markdown, as_table, cells, closing, machine, notes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from benchmarks.pairs import Row

QUICK_PAIRS = 5
EXIT_MISSED = 1
EXIT_MISUSE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the harness and return the exit code: 0, 1 with `--check` when a target is missed, 2 for misuse."""
    options = parser().parse_args(arguments)
    pin()
    figures = chosen(all_figures(), only=options.only, quick=options.quick)
    if not figures:
        print(f"no figure matches {options.only!r}; `--list` shows all", file=sys.stderr)
        return EXIT_MISUSE
    if options.list:
        print("\n".join(f"{figure.name} | {figure.peer}" for figure in figures))
        return 0
    compile_as_installed()
    effort = Effort(pairs=options.pairs or (QUICK_PAIRS if options.quick else Effort().pairs), seed=options.seed)
    rows = run(figures, effort, options.output)
    return EXIT_MISSED if options.check and any(row.met is False for row in rows) else 0


def compile_as_installed() -> None:
    """Compile qloom's modules, as an installer does: a working copy may be run without, and is then read anew at each start."""
    if not compileall.compile_dir(ROOT / "src", quiet=1):
        raise SystemExit("qloom's modules do not compile; correct them first")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure qloom side by side with its peers.")
    made.add_argument("--quick", action="store_true", help=f"{QUICK_PAIRS} pairs of the smallest sizes: do the benchmarks run?")
    made.add_argument(
        "--only", metavar="PATTERN", default="*", help="figures with this in their name or peer; * and ? are allowed"
    )
    made.add_argument("--list", action="store_true", help="name the figures and stop")
    made.add_argument("--pairs", type=_positive, metavar="N", help="pairs for each figure (30)")
    made.add_argument("--seed", type=int, default=1, metavar="N", help="of the order inside the pairs (1)")
    made.add_argument(
        "--output", type=Path, default=ROOT / "build", metavar="FOLDER", help="where bench.json and bench.md go (build)"
    )
    made.add_argument("--check", action="store_true", help="exit with 1 when a target is missed or a figure could not run")
    return made


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def all_figures() -> list[Figure | Survey]:
    """Return every figure, in the order they are measured: short ones first, surveys last."""
    from benchmarks import (
        figures_circuits,
        figures_growth,
        figures_intake,
        figures_jobs,
        figures_journal,
        figures_pipeline,
        figures_processes,
        figures_reports,
        figures_router,
        figures_simulator,
        figures_warm,
    )

    modules: tuple[ModuleType, ...] = (
        figures_simulator,
        figures_circuits,
        figures_pipeline,
        figures_journal,
        figures_intake,
        figures_reports,
        figures_processes,
        figures_warm,
        figures_jobs,
        figures_router,
        figures_growth,
    )
    return [figure for module in modules for figure in module.FIGURES]


def chosen(figures: Sequence[Figure | Survey], *, only: str, quick: bool) -> list[Figure | Survey]:
    """Return the figures whose name or peer contains the pattern; with `quick`, the smallest sizes among them."""
    pattern = f"*{only.lower()}*"
    return [
        figure
        for figure in figures
        if fnmatchcase(f"{figure.name} | {figure.peer}".lower(), pattern) and (figure.quick or not quick)
    ]


def run(figures: Sequence[Figure | Survey], effort: Effort, build: Path) -> list[Row]:
    """Measure the figures one after the other; the files are written anew after each, so a stopped run leaves what it has."""
    from rich.console import Console

    rows: list[Row] = []
    with Bench(effort, build) as bench:
        facts = machine()
        for number, figure in enumerate(figures, start=1):
            print(f"[{number}/{len(figures)}] {figure.name} | {figure.peer}", file=sys.stderr, flush=True)
            rows.append(measure(figure, bench))
            print(f"    {' | '.join(cells(rows[-1])[1:])}", file=sys.stderr, flush=True)
            write(rows, facts, build)
    Console(width=None if sys.stdout.isatty() else 180).print(as_table(rows))
    print("\n".join([*notes(rows), closing(rows)]))
    return rows


def write(rows: Sequence[Row], facts: Sequence[str], build: Path) -> None:
    """Write bench.json and bench.md."""
    (build / "bench.json").write_text(as_json(rows), encoding="utf-8")
    (build / "bench.md").write_text(as_markdown(rows, facts), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
