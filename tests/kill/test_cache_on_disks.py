"""A compile cache whose disk is full or read-only, or whose entry is torn, costs the time to compile and nothing else."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import qloom
from qloom.app import application

BACKEND = "qiskit:qiskit.providers.fake_provider:GenericBackendV2:num_qubits=3,seed=7,noise_info=false"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of this test, a file system of 64 kB."""
    where = tmp_path / "disk"
    where.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(where)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.decode().strip()}")
    monkeypatch.setenv("QLOOM_HOME", str(where))
    application.cache_clear()
    yield where
    application.cache_clear()
    subprocess.run(["umount", "-l", str(where)], check=True)


def entries(home: Path) -> list[Path]:
    return sorted((home / "cache" / "compiled").glob("*.entry"))


def ghz_counts() -> dict[str, int]:
    """Transpile and run, by a device that has nothing in memory yet."""
    return qloom.device(BACKEND).run(qloom.Circuit(3).h(0).cx(0, 1).cx(1, 2), shots=100, seed=1).counts


def fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert os.statvfs(disk).f_bavail == 0


@as_root
def test_a_full_disk_costs_one_warning_and_keeps_nothing_half(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    (small_disk / "cache" / "compiled").mkdir(parents=True)
    fill(small_disk)
    assert set(ghz_counts()) == set(ghz_counts()) == {"000", "111"}
    assert list((small_disk / "cache" / "compiled").iterdir()) == []
    assert caplog.text.count("cannot be written (No space left on device)") == 1
    (small_disk / "ballast").unlink()
    assert set(ghz_counts()) == {"000", "111"}
    assert len(entries(small_disk)) == 1


@as_root
def test_a_read_only_disk_is_read_and_not_written(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = ghz_counts()
    kept = entries(small_disk)[0].read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert ghz_counts() == first
    other = qloom.device(BACKEND).run(qloom.Circuit(3).x(2).cx(2, 0), shots=100, seed=1)
    assert other.counts == {"101": 100}
    assert "cannot be written (Read-only file system)" in caplog.text
    assert [path.read_bytes() for path in entries(small_disk)] == [kept]


@pytest.mark.parametrize("left", [0, 1, 40, -1])
def test_a_torn_entry_is_said_and_replaced(own_home: Path, left: int, caplog: pytest.LogCaptureFixture) -> None:
    first = ghz_counts()
    (entry,) = entries(own_home)
    entry.write_bytes(entry.read_bytes()[:left])
    assert ghz_counts() == first
    assert f"{entry} is cut short, damaged or not ours; it counts as missing and is replaced" in caplog.text
    caplog.clear()
    assert ghz_counts() == first
    assert caplog.text == ""
