"""The command line as a user meets it: a process of its own, a home of its own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qloom.app import application
from qloom.cli import main

PROGRAMS = '''
import sys, time
import qloom


@qloom.program
def double(ctx: qloom.Context, number: int = 1, word: str = "") -> dict:
    """Twice a number."""
    ctx.log_metric("number", number)
    print(f"doubling {number}")
    return {"twice": 2 * number}


@qloom.program
def bell(ctx: qloom.Context, shots: int = 100) -> dict:
    return ctx.device.run(qloom.Circuit(2).h(0).cx(0, 1), shots=shots).counts


@qloom.program
def broken(ctx: qloom.Context) -> dict:
    values = {}
    return values["nowhere"]


@qloom.program
def slow(ctx: qloom.Context, seconds: float = 30.0) -> dict:
    circuit = ctx.device.prepare(qloom.Circuit(1).h(0))
    first = circuit.run(shots=10).counts
    if ctx.attempt == 1:
        print("waiting", flush=True)
        time.sleep(seconds)
    return {"first": first, "attempt": ctx.attempt}
'''


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Qloom = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "QLOOM_HOME": str(home), "COLUMNS": "100"}


@pytest.fixture
def command() -> list[str]:
    return [sys.executable, "-m", "qloom"]


@pytest.fixture
def qloom(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Qloom]:
    """The command line inside this process: the same `main`, without a second for each start of an interpreter."""
    monkeypatch.setenv("QLOOM_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    application.cache_clear()

    def run(*arguments: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(list(arguments))
        return Answer(code, out.getvalue(), err.getvalue())

    yield run
    application.cache_clear()
    sys.modules.pop("programs", None)


@pytest.fixture
def qloom_process(command: list[str], environment: dict[str, str], tmp_path: Path) -> Qloom:
    """The command line as a process of its own."""

    def run(*arguments: str, timeout_s: float = 60) -> Answer:
        done = subprocess.run(
            [*command, *arguments], check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=timeout_s
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def programs(tmp_path: Path) -> str:
    path = tmp_path / "programs.py"
    path.write_text(PROGRAMS)
    return path.name


@pytest.fixture
def bell_file(tmp_path: Path) -> str:
    text = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n'
    (tmp_path / "bell.qasm").write_text(text)
    return "bell.qasm"
