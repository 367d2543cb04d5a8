"""Walls that are held for many programs; what a program in them can reach is tests/executors/test_sandbox.py's to say."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from qloom.kit import boxes
from qloom.kit.boxes import Box
from qloom.kit.processes import is_running
from qloom.kit.sandbox import sandbox_problem

PROBLEM = sandbox_problem()
pytestmark = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)


def test_walls_stand_until_they_are_let_go(tmp_path: Path) -> None:
    box = Box(tmp_path, memory_mb=None, python=[])
    assert box.stands
    box.close()
    assert not box.stands
    assert not is_running(box.pid)


def test_walls_that_nobody_can_step_into_are_said_and_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: str, *_: object, **__: object) -> None:
        raise PermissionError(1, f"{name}: Operation not permitted")

    monkeypatch.setattr(boxes, "_call", refused)  # in the trial's fork too
    children = set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())
    with pytest.raises(OSError, match=r"nobody can step inside: .*setns: Operation not permitted"):
        Box(tmp_path, memory_mb=None, python=[])
    assert set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()) == children


def test_a_bubblewrap_that_builds_nothing_is_said_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'no permissions to create a new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert shutil.which("bwrap") == str(fake)
    options: dict[str, Any] = {"memory_mb": None, "python": []}
    with pytest.raises(OSError, match="builds no walls: no permissions to create a new namespace"):
        Box(tmp_path, **options)
