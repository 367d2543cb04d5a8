"""The billing test device: what the tests of the journal lean on."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qloom.circuits import Circuit
from qloom.errors import InvalidSetting, InvalidTask, Rejected, TimedOut, Unavailable, UnknownName
from qloom.tasks import TaskState
from qloom.testing import billing_device, counting_device
from qloom.testing.billing_device import BillingDevice
from qloom.testing.counting_device import CountingDevice

BELL = Circuit(2).h(0).cx(0, 1)


def test_each_task_is_one_line_and_each_token_one_task(tmp_path: Path) -> None:
    device = BillingDevice(tmp_path)
    prepared = device.prepare(BELL)
    tasks = [prepared.submit("sample", shots=10, token=token) for token in ("job-0", "job-1", "job-0", None, None)]
    assert [token for token, _ in device.submissions()] == ["job-0", "job-1", "-", "-"]
    assert tasks[0].id == tasks[2].id
    assert tasks[0].result() == tasks[2].result()
    assert tasks[3].id != tasks[4].id


def test_another_process_finds_the_task_and_its_answer(tmp_path: Path) -> None:
    task = BillingDevice(tmp_path).prepare(BELL).submit("sample", shots=50, token="job-0")
    code = f"""
from pathlib import Path
from qloom.testing.billing_device import BillingDevice
device = BillingDevice(Path({str(tmp_path)!r}))
print(device.find("job-0").id, device.attach({task.id!r}).result().counts == {task.result().counts})
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout.split() == [task.id, "True"]


def test_a_process_killed_after_its_submission_leaves_one_task(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from qloom.circuits import Circuit
from qloom.testing.billing_device import BillingDevice
BillingDevice(Path({str(tmp_path)!r})).prepare(Circuit(1)).submit("sample", shots=3, token="job-0")
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    device = BillingDevice(tmp_path)
    assert len(device.submissions()) == 1
    assert device.prepare(Circuit(1)).submit("sample", shots=3, token="job-0").result().counts == {"0": 3}
    assert len(device.submissions()) == 1


@pytest.mark.parametrize(("fault", "accepted"), [("unavailable", 0), ("lost", 1)])
def test_an_answer_that_does_not_come_may_hide_a_task(tmp_path: Path, fault: str, accepted: int) -> None:
    device = BillingDevice(tmp_path, faults={2: fault})
    prepared = device.prepare(BELL)
    prepared.submit("sample", shots=1, token="job-0")
    with pytest.raises(Unavailable):
        prepared.submit("sample", shots=1, token="job-1")
    assert (device.find("job-1") is not None) == bool(accepted)
    prepared.submit("sample", shots=1, token="job-1")
    assert len(device.submissions()) == 2


def test_a_rejected_task_is_no_task(tmp_path: Path) -> None:
    device = BillingDevice(tmp_path, faults={1: "rejected"})
    with pytest.raises(Rejected):
        device.prepare(BELL).run(shots=1)
    assert device.submissions() == []
    # Calls are counted in the folder, so the fault is behind for the next device as well.
    assert sum(BillingDevice(tmp_path, faults={1: "rejected"}).prepare(BELL).run(shots=4).counts.values()) == 4


def test_a_misuse_is_never_billed(tmp_path: Path) -> None:
    device = BillingDevice(tmp_path)
    with pytest.raises(InvalidTask):
        device.prepare(BELL).run(shots=0)
    assert device.submissions() == []


def test_a_task_takes_its_time_and_can_be_cancelled(tmp_path: Path) -> None:
    device = BillingDevice(tmp_path, latency_s=1000)
    task = device.prepare(BELL).submit("sample", shots=1, token="job-0")
    assert task.state() is TaskState.QUEUED
    with pytest.raises(TimedOut, match="goes on"):
        task.result(timeout_s=0.01)
    device.attach(task.id).cancel()
    assert task.state() is TaskState.CANCELLED
    with pytest.raises(Rejected, match="cancelled"):
        task.result(timeout_s=1)


def test_a_short_wait_ends_with_the_answer(tmp_path: Path) -> None:
    task = BillingDevice(tmp_path, latency_s=0.05).prepare(BELL).submit("sample", shots=7)
    assert sum(task.result(timeout_s=30).counts.values()) == 7
    task.cancel()
    assert task.state() is TaskState.COMPLETED


def test_a_line_that_was_cut_off_is_no_task(tmp_path: Path) -> None:
    device = BillingDevice(tmp_path)
    task = device.prepare(BELL).submit("sample", shots=1, token="job-0")
    with (tmp_path / "submissions.log").open("a") as log:
        log.write("job-1 01j")
    assert device.submissions() == [("job-0", task.id)]


@pytest.mark.parametrize("token", ["", "-", "two words", "line\nend"])
def test_tokens_are_words(tmp_path: Path, token: str) -> None:
    with pytest.raises(InvalidTask, match="token"):
        BillingDevice(tmp_path).prepare(BELL).submit("sample", shots=1, token=token)


def test_it_says_that_it_bills_and_what_it_cannot_be(tmp_path: Path) -> None:
    assert BillingDevice(tmp_path).spec().bills
    with pytest.raises(UnknownName, match="lost"):
        BillingDevice(tmp_path, faults={1: "los"})


def test_test_devices_are_made_from_names(tmp_path: Path) -> None:
    assert billing_device.create(str(tmp_path), threads=1).folder == tmp_path
    assert counting_device.create(str(tmp_path / "log"), threads=1).log == tmp_path / "log"
    for module in (billing_device, counting_device):
        with pytest.raises(InvalidSetting, match="needs a"):
            module.create("")


def test_a_counting_device_counts_what_was_computed_in_every_process(tmp_path: Path) -> None:
    log = tmp_path / "calls.log"
    prepared = CountingDevice(log).prepare(BELL)
    prepared.run(shots=1)
    prepared.submit("sample", shots=1)
    with pytest.raises(InvalidTask):
        prepared.run(shots=0)
    assert CountingDevice(log).calls() == 2
    assert log.read_text() == f"sample {prepared.digest}\n" * 2
