"""A disk that is full or read-only: the job fails in words, its journal stays readable, and it goes on when there is space."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import qloom
from qloom.app import application
from qloom.jobspecs import JobState

LIMIT_S = 60
SOURCE = '''
import numpy as np
import qloom

@qloom.program
def long_loop(ctx: qloom.Context, rounds: int = 400) -> list[int]:
    """Each answer has up to 512 keys, about 8 kB: some megabytes in all."""
    circuit = qloom.Circuit(9)
    for qubit in range(9):
        circuit = circuit.h(qubit)
    prepared = ctx.device.prepare(circuit)
    return [len(prepared.run(shots=5000).counts) for _ in range(rounds)]
'''

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "disk"
    where.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(where)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.decode().strip()}")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.fixture
def program(tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("QLOOM_HOME", str(small_disk / "home"))
    application.cache_clear()
    (tmp_path / "long_program.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("long_program")
    sys.modules.pop("long_program", None)
    application.cache_clear()


@as_root
def test_a_job_on_a_full_disk_fails_and_goes_on_when_there_is_space(program: ModuleType, small_disk: Path) -> None:
    job = program.long_loop.with_options(seed=3).submit(rounds=400)
    with pytest.raises(qloom.errors.StorageFailed, match="the disk is full; free space, then resume"):
        job.result(timeout_s=LIMIT_S)
    assert job.state() is JobState.FAILED
    before = job.details()["quantum_tasks"]["executed"]
    assert 0 < before < 400
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert len(job.resume().result(timeout_s=LIMIT_S)) == 400
    assert job.details()["quantum_tasks"] == {"executed": 400, "replayed": before}


@as_root
def test_a_read_only_home_is_refused_before_anything_starts(program: ModuleType, small_disk: Path) -> None:
    (small_disk / "home").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(qloom.errors.StorageFailed, match="read-only; mount it writable or choose another folder"):
        program.long_loop.submit()


@as_root
def test_what_is_complete_stays_readable_on_a_disk_that_turned_read_only(program: ModuleType, small_disk: Path) -> None:
    job = program.long_loop.with_options(seed=3).submit(rounds=3)
    first = job.result(timeout_s=LIMIT_S)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert job.result(timeout_s=LIMIT_S) == first
    with pytest.raises(qloom.errors.WrongState, match="COMPLETED"):
        job.resume()
