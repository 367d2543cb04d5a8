"""Devices that bill: whatever dies and whenever, a question is sent once and paid once."""

from pathlib import Path

import pytest

from qloom.errors import Divergence, Rejected, StorageFailed, Unavailable, UnknownName
from qloom.journal.segments import SegmentWriter
from tests.journal.helpers import BillingDevice, Crash, buy, journal, never, open_journal, question

ANGLES = (0.1, 0.2, 0.3)


@pytest.fixture
def device(tmp_path: Path) -> BillingDevice:
    return BillingDevice(tmp_path / "bank.json")


def test_a_bought_answer_is_replayed_without_asking_the_device(tmp_path: Path, device: BillingDevice) -> None:
    with journal(tmp_path, 1) as first:
        assert [buy(first, device, angle) for angle in ANGLES] == [0.0, 1.0, 2.0]
        assert first.executed == 3
    device.asked.clear()
    with journal(tmp_path, 2) as second:
        assert [buy(second, device, angle) for angle in ANGLES] == [0.0, 1.0, 2.0]
        assert (second.replayed, device.asked) == (3, [])


def test_equal_questions_at_two_places_are_two_tasks(tmp_path: Path, device: BillingDevice) -> None:
    with journal(tmp_path, 1) as opened:
        assert [buy(opened, device), buy(opened, device), buy(opened, device, lane="b")] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("point", ["submit crash", "result crash"])
def test_a_crash_around_a_task_never_submits_it_twice(tmp_path: Path, device: BillingDevice, point: str) -> None:
    device.trouble = [point]
    first = open_journal(tmp_path, 1)
    with pytest.raises(Crash):
        buy(first, device)
    with journal(tmp_path, 2) as second:
        assert buy(second, device) == 0.0
    assert device.submissions == 1


def crash_at(monkeypatch: pytest.MonkeyPatch, number: int, *, before: bool) -> None:
    """Die before or after the append with this number, in the one place through which everything is recorded."""
    real, seen = SegmentWriter.append, [0]

    def append(self: SegmentWriter, kind: int, payload: bytes) -> None:
        seen[0] += 1
        if before and seen[0] == number:
            raise Crash
        real(self, kind, payload)
        if seen[0] == number:
            raise Crash

    monkeypatch.setattr(SegmentWriter, "append", append)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 12))
def test_a_crash_at_any_append_never_submits_twice(
    tmp_path: Path, device: BillingDevice, monkeypatch: pytest.MonkeyPatch, number: int, before: bool
) -> None:
    with monkeypatch.context() as patch:
        crash_at(patch, number, before=before)
        with pytest.raises(Crash):
            [buy(open_once, device, angle) for open_once in [open_journal(tmp_path, 1)] for angle in ANGLES]
    with journal(tmp_path, 2) as second:
        assert [buy(second, device, angle) for angle in ANGLES] == [0.0, 1.0, 2.0]
    assert device.submissions == 3


def test_the_intent_is_durable_before_the_device_hears_of_it(
    tmp_path: Path, device: BillingDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real = SegmentWriter.append_durable

    def append_durable(self: SegmentWriter, kind: int, payload: bytes) -> None:
        real(self, kind, payload)
        order.append("durable")

    monkeypatch.setattr(SegmentWriter, "append_durable", append_durable)
    device.asked = order
    with journal(tmp_path, 1) as opened:
        buy(opened, device)
    assert order == ["durable", "submit", "durable", "result", "durable"]


def test_a_device_that_does_not_answer_is_asked_for_the_task_before_it_is_sent_again(
    tmp_path: Path, device: BillingDevice
) -> None:
    device.trouble = ["submit unavailable", "find unavailable", "submit lost", "result unavailable"]
    with journal(tmp_path, 1, retry_waits_s=(0.0,) * 6) as opened:
        assert buy(opened, device) == 0.0
    assert device.asked == ["submit", "find", "find", "submit", "find", "result", "result"]
    assert device.submissions == 1


def test_after_too_many_tries_the_intent_stays_and_a_resume_goes_on(tmp_path: Path, device: BillingDevice) -> None:
    device.trouble = ["submit lost", "find unavailable", "find unavailable"]
    with (
        journal(tmp_path, 1, retry_waits_s=(0.0, 0.0)) as first,
        pytest.raises(Unavailable, match=r"device bank did not answer 3 tries.*resuming the job asks the device"),
    ):
        buy(first, device)
    with journal(tmp_path, 2) as second:
        assert buy(second, device) == 0.0
    assert device.submissions == 1


@pytest.mark.parametrize("point", ["submit rejected", "result rejected"])
def test_a_task_that_failed_on_the_device_is_bought_anew_on_resume(tmp_path: Path, device: BillingDevice, point: str) -> None:
    device.trouble = [point]
    with journal(tmp_path, 1) as first, pytest.raises(Rejected):
        buy(first, device)
    with journal(tmp_path, 2) as second:
        buy(second, device)
    tokens = list(device.tasks())
    assert len(tokens) == len(set(tokens)) == (2 if point.startswith("result") else 1)
    with journal(tmp_path, 3) as third:
        buy(third, device)
        assert (third.replayed, third.executed) == (1, 0)


def test_a_failed_tasks_token_is_not_used_again_from_scratch(tmp_path: Path, device: BillingDevice) -> None:
    device.trouble = ["result rejected"]
    with journal(tmp_path, 1) as first, pytest.raises(Rejected):
        buy(first, device)
    with journal(tmp_path, 2, from_scratch=True) as second:
        assert buy(second, device) == 1.0


def test_a_failure_that_the_program_caught_is_not_bought_again(tmp_path: Path, device: BillingDevice) -> None:
    def program(attempt: int) -> float:
        with journal(tmp_path, attempt) as opened:
            with pytest.raises(Rejected, match="task-0 failed"):
                buy(opened, device, 0.1)
            return buy(opened, device, 0.2)

    device.trouble = ["result rejected"]
    assert [program(1), program(2)] == [1.0, 1.0]
    assert device.submissions == 2


def test_from_scratch_finds_the_tasks_that_are_paid(tmp_path: Path, device: BillingDevice) -> None:
    with journal(tmp_path, 1) as first:
        buy(first, device)
    with journal(tmp_path, 2, from_scratch=True) as second:
        assert buy(second, device) == 0.0
        assert second.executed == 1
    assert device.submissions == 1


def test_a_task_that_the_device_forgot_is_not_sent_again_by_itself(tmp_path: Path, device: BillingDevice) -> None:
    device.trouble = ["result crash"]
    first = open_journal(tmp_path, 1)
    with pytest.raises(Crash):
        buy(first, device)
    device.file.unlink()
    with journal(tmp_path, 2) as second, pytest.raises(UnknownName, match=r"no longer knows task task-0.*--from-scratch"):
        buy(second, device)
    assert device.submissions == 0


def test_another_question_than_the_one_that_is_open_is_a_divergence(tmp_path: Path, device: BillingDevice) -> None:
    device.trouble = ["result crash"]
    first = open_journal(tmp_path, 1)
    with pytest.raises(Crash):
        buy(first, device, 0.1)
    with journal(tmp_path, 2) as second, pytest.raises(Divergence, match="field `parameters`"):
        buy(second, device, 0.2)
    with journal(tmp_path, 3, accept_divergence=True) as third:
        assert buy(third, device, 0.2) == 1.0
        assert "tasks task-0 of the dropped calls may still run" in third.problems[1]


def test_answers_of_billing_and_free_devices_are_one_form(tmp_path: Path, device: BillingDevice) -> None:
    with journal(tmp_path, 1) as first:
        bought = buy(first, device)
    with journal(tmp_path, 2) as second:
        assert second.lane("main").ask(question(), never).value == bought


def test_a_full_disk_stops_before_anything_is_bought(small_disk: Path, device: BillingDevice) -> None:
    with journal(small_disk, 1) as first:
        first.lane("main").now(lambda: 1.0)
        with pytest.raises(OSError, match="No space"):
            (small_disk / "filler").write_bytes(bytes(70 * 1024))
        with pytest.raises(StorageFailed):  # the page that the segment has begun takes some more records
            [first.lane("main").now(lambda: 1.0) for _ in range(1000)]
        with pytest.raises(StorageFailed, match="the disk is full"):
            buy(first, device, lane="b")
    assert device.submissions == 0
