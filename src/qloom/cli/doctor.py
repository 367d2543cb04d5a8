"""`qloom doctor`: what this machine gives, what is missing, and the line that mends it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from qloom.api import devices
from qloom.app import application
from qloom.cli.output import Json, emit, table
from qloom.errors import Misuse
from qloom.kit.control_groups import ControlGroup
from qloom.kit.sandbox import sandbox_problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOW_DISK_GIB = 1.0
PACKAGES = {
    "pennylane-lightning": "the fast engine of `sim`; without it qulacs is used (pip install 'qloom[sim]')",
    "openqasm3": "OpenQASM 3 beyond the common subset (pip install 'qloom[qasm]')",
    "qiskit": "Qiskit circuits (pip install 'qloom[qiskit]')",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `ok`, `note` (works, could be better) or `problem` (something will fail)."""

    what: str
    level: str
    text: str


def register(app: typer.Typer) -> None:
    """Add `doctor` to the command line."""
    app.command()(doctor)


def doctor(as_json: Json = False) -> None:
    """Look at this machine and say what works, what is missing and how to mend it; exit 1 on a problem."""
    findings = list(examine())
    if as_json:
        emit([asdict(finding) for finding in findings])
    else:
        table("qloom doctor", ["what", "", "found"], [(finding.what, finding.level, finding.text) for finding in findings])
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Yield what was found, one thing after the other."""
    yield Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield _home(application().settings.home)
    for package, purpose in PACKAGES.items():
        yield _package(package, purpose)
    for part in devices.plugins():
        yield Finding(
            f"{part.kind} {part.name}", "problem" if part.error else "ok", part.error or f"{part.distribution} {part.version}"
        )
    yield Finding("cores", "ok", f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}")
    yield from _limits()
    yield _environments()
    problem = sandbox_problem()
    yield Finding("sandbox", "note" if problem else "ok", f"--sandbox is refused: {problem}" if problem else "a trial went well")


def _home(home: Path) -> Finding:
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        return Finding("QLOOM_HOME", "problem", f"cannot write {home}: {error.strerror}; set QLOOM_HOME to a folder of yours")
    free_gib = shutil.disk_usage(home).free / 2**30
    level = "note" if free_gib < LOW_DISK_GIB else "ok"
    return Finding("QLOOM_HOME", level, f"{home}, {free_gib:.1f} GiB free")


def _package(name: str, purpose: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "note", f"not installed: {purpose}")


def _environments() -> Finding:
    try:
        return Finding("environments", "ok", application().environments.kept.summary())
    except Misuse as error:
        return Finding("environments", "note", f"programs that ask for packages are refused: {error}")


def _limits() -> Iterator[Finding]:
    yield _control_groups()
    pidfd = hasattr(os, "pidfd_open")
    yield Finding(
        "pidfd", "ok" if pidfd else "note", "jobs end with their parent" if pidfd else "the kernel has none; parents are polled"
    )


def _control_groups() -> Finding:
    group = ControlGroup.create(f"doctor-{os.getpid()}", most_tasks=None)
    if group is None:
        return Finding("process limits", "note", "watched through /proc; the kernel lets us make no control group")
    group.remove()
    return Finding("process limits", "ok", "control groups and /proc")
