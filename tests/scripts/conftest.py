"""The Braket SDK's own interpreter, built from its lock, and the command line that runs scripts in it."""

import io
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from qloom.app import application
from qloom.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def sdk() -> Path:
    subprocess.run([REPOSITORY / "scripts" / "build-environment.sh", "braket-sdk"], check=True, capture_output=True, text=True)
    return REPOSITORY / ".environments" / "braket-sdk" / "bin" / "python"


@pytest.fixture
def qloom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command with `--json` and returns what it prints."""
    monkeypatch.setenv("QLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    application.cache_clear()

    def run(*arguments: str) -> dict[str, Any]:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            main([*map(str, arguments), "--json"])
        document: dict[str, Any] = json.loads(out.getvalue())
        return document

    yield run
    application.cache_clear()
