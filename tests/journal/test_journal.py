"""The journal: a replay gives what was recorded, computes nothing, and goes on where the record ends."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from qloom.contracts import Lane, Recorder
from qloom.errors import CorruptRecord, Divergence, Misuse, NoResult, StorageFailed, Unavailable, WrongState
from qloom.journal import Journal
from qloom.journal.lanes import derive_seed
from qloom.results import Engine, Result, SampleTable
from qloom.tasks import Compiled
from tests.journal.helpers import ENGINE, journal, never, open_journal, pure, question, segment


def ask(lane: Lane, angle: float) -> Result:
    return lane.ask(question(angle), pure(question(angle)))


def recall(lane: Lane, angle: float) -> Result:
    return lane.ask(question(angle), never)


def run_program(lane: Lane, count: int) -> list[float]:
    """A small variational loop: each angle comes from the answer before."""
    angles = [0.5]
    for step in range(count):
        keys = ask(lane, angles[-1]).counts
        angles.append(angles[-1] + keys["00"] / 100)
        lane.metric("angle", angles[-1], step, 1000.0 + step)
    return angles


def test_a_journal_fulfils_its_contract(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as opened:
        assert isinstance(opened, Recorder)
        assert isinstance(opened.lane("main"), Lane)
        assert opened.lane("main") is opened.lane("main")
        assert opened.lane("other").name == "other"


def test_a_replay_gives_equal_answers_and_computes_nothing(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        answers = [ask(first.lane("main"), angle) for angle in (0.1, 0.2, 0.1)]
    with journal(tmp_path, 2) as second:
        assert [recall(second.lane("main"), angle) for angle in (0.1, 0.2, 0.1)] == answers
        assert (second.executed, second.replayed, second.problems) == (0, 3, [])
    assert not segment(tmp_path, 2).exists()


@pytest.mark.parametrize("lived", range(8))
def test_a_program_stopped_anywhere_ends_as_if_it_had_not_been(tmp_path: Path, lived: int) -> None:
    with journal(tmp_path / "whole", 1) as whole:
        expected = run_program(whole.lane("main"), 7)
    with journal(tmp_path / "cut", 1) as first:
        run_program(first.lane("main"), lived)
    with journal(tmp_path / "cut", 2) as second:
        assert run_program(second.lane("main"), 7) == expected
        assert (second.replayed, second.executed) == (lived, 7 - lived)


def test_three_attempts_are_one_history(tmp_path: Path) -> None:
    for attempt in (1, 2, 10):
        with journal(tmp_path, attempt) as opened:
            for angle in range(attempt):
                ask(opened.lane("main"), float(angle))
    with journal(tmp_path, 11) as last:
        for angle in range(10):
            recall(last.lane("main"), float(angle))


def test_seeds_come_from_job_lane_and_ordinal(tmp_path: Path) -> None:
    seeds: list[int] = []
    answer = pure(question())(1)

    def compute(seed: int) -> Result:
        seeds.append(seed)
        return answer

    with journal(tmp_path, 1) as opened:
        for name, own in (("main", None), ("main", None), ("b", None), ("main", 5)):
            opened.lane(name).ask(question(seed=own), compute)
    assert seeds == [derive_seed(11, "main", 0), derive_seed(11, "main", 1), derive_seed(11, "b", 0), 5]
    assert len(set(seeds)) == 4


def test_ten_thousand_answers_are_served(tmp_path: Path) -> None:
    answer = pure(question())(1)
    with journal(tmp_path, 1) as first:
        for angle in range(10_000):
            first.lane("main").ask(question(float(angle)), lambda _: answer)
    with journal(tmp_path, 2) as second:
        lane = second.lane("main")
        assert all(recall(lane, float(angle)) == answer for angle in range(10_000))
        assert second.replayed == 10_000


def test_a_torn_tail_costs_one_answer_and_is_said(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        answers = [ask(first.lane("main"), angle) for angle in (0.1, 0.2)]
    content = segment(tmp_path).read_bytes()
    segment(tmp_path).write_bytes(content[:-40])  # the note of the time, and the end of the answer before it
    with journal(tmp_path, 2) as second:
        assert [ask(second.lane("main"), angle) for angle in (0.1, 0.2)] == answers
        assert (second.replayed, second.executed) == (1, 1)
        assert str(segment(tmp_path)) in second.problems[0]
    with journal(tmp_path, 3) as third:
        assert [recall(third.lane("main"), angle) for angle in (0.1, 0.2)] == answers


def test_damage_stops_a_resume_until_it_starts_from_scratch(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        answers = [ask(first.lane("main"), angle) for angle in (0.1, 0.2, 0.3)]
    content = bytearray(segment(tmp_path).read_bytes())
    content[150] ^= 1
    segment(tmp_path).write_bytes(content)
    with journal(tmp_path, 2) as second, pytest.raises(CorruptRecord, match=r"1-program.seg.*--from-scratch"):
        ask(second.lane("main"), 0.1)
    with journal(tmp_path, 3, from_scratch=True) as third:
        assert [ask(third.lane("main"), angle) for angle in (0.1, 0.2, 0.3)] == answers
        assert third.executed == 3
    with journal(tmp_path, 4) as fourth:
        assert [recall(fourth.lane("main"), angle) for angle in (0.1, 0.2, 0.3)] == answers


def test_from_scratch_holds_even_if_the_attempt_records_nothing_else(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        ask(first.lane("main"), 0.1)
    open_journal(tmp_path, 2, from_scratch=True).close()
    with journal(tmp_path, 3) as third:
        ask(third.lane("main"), 0.7)
        assert third.executed == 1


def test_lanes_in_threads_keep_their_own_order(tmp_path: Path) -> None:
    names = ["main", "a", "b", "c"]

    def live(opened: Journal, ends: dict[str, list[float]]) -> None:
        def work(name: str) -> None:
            ends[name] = run_program(opened.lane(name), 100)

        threads = [threading.Thread(target=work, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

    first_ends: dict[str, list[float]] = {}
    second_ends: dict[str, list[float]] = {}
    with journal(tmp_path, 1) as first:
        live(first, first_ends)
        assert first.executed == 400
    with journal(tmp_path, 2) as second:
        live(second, second_ends)
        assert (second.executed, second.replayed) == (0, 400)
    assert first_ends == second_ends
    assert len({tuple(angles) for angles in first_ends.values()}) == 4


def test_large_answers_are_blobs(tmp_path: Path) -> None:
    values = np.arange(20_000, dtype=np.float64).reshape(100, 200)
    large = Result(engine=ENGINE, shots=None, sets=100, values=values)
    with journal(tmp_path, 1) as first:
        first.lane("main").ask(question(), lambda _: large)
    assert len(list((tmp_path / "journal" / "blobs").iterdir())) == 1
    assert segment(tmp_path).stat().st_size < 1000
    with journal(tmp_path, 2) as second:
        assert recall(second.lane("main"), 0.5) == large
    with journal(tmp_path, 3) as third, pytest.raises(Divergence) as caught:
        recall(third.lane("main"), 0.6)
    assert caught.value.field == "parameters"


def test_an_answer_that_no_record_can_hold_is_refused(tmp_path: Path) -> None:
    odd = Result(engine=ENGINE, shots=None, values=np.zeros((1, 1)), metadata={"oddity": object()})
    with journal(tmp_path, 1) as opened, pytest.raises(NoResult, match="lane 'main', call 0: this cannot be recorded"):
        opened.lane("main").ask(question(), lambda _: odd)


# ---- steps and the clock


def test_a_step_runs_once_and_its_result_is_the_same_type_each_time(tmp_path: Path) -> None:
    given = {"pair": (1, 2), "array": np.arange(3), "number": np.float64(0.5)}
    with journal(tmp_path, 1) as first:
        fresh = first.lane("main").step("fit", b"arguments", lambda: given)
    with journal(tmp_path, 2) as second:
        kept = second.lane("main").step("fit", b"arguments", never)
    assert fresh["pair"] == kept["pair"] == [1, 2]
    assert np.array_equal(fresh["array"], kept["array"])
    assert fresh["number"] == kept["number"] == 0.5


def test_a_large_step_is_a_blob(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        first.lane("main").step("grid", b"", lambda: np.ones(50_000))
    assert len(list((tmp_path / "journal" / "blobs").iterdir())) == 1
    with journal(tmp_path, 2) as second:
        assert second.lane("main").step("grid", b"", never).sum() == 50_000


def test_a_step_without_a_storable_result_names_itself(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as opened, pytest.raises(NoResult, match=r"the result of step 'fit' is a builtins\.object"):
        opened.lane("main").step("fit", b"", object)


def test_the_clock_is_read_once(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        assert first.lane("main").now(lambda: 12.5) == 12.5
    with journal(tmp_path, 2) as second:
        assert second.lane("main").now(never) == 12.5


def test_a_step_cannot_ask_devices_but_can_log_metrics(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        lane = first.lane("main")
        with pytest.raises(Misuse, match="inside a step"):
            lane.step("nested", b"", lambda: ask(lane, 0.1).counts)
        lane.step("loop", b"", lambda: lane.metric("inner", 1.0, None, 5.0))
        lane.metric("outer", 2.0, None, 6.0)
    size = segment(tmp_path).stat().st_size
    with journal(tmp_path, 2) as second:
        lane = second.lane("main")
        with pytest.raises(Misuse, match="inside a step"):
            lane.step("nested", b"", never)
        lane.step("loop", b"", never)
        lane.metric("outer", 2.0, None, 6.0)
    assert (segment(tmp_path).stat().st_size, segment(tmp_path, 2).exists()) == (size, False)


# ---- errors that the program catches


def test_an_error_the_program_caught_is_raised_again_in_a_replay(tmp_path: Path) -> None:
    def fail(_: int) -> Result:
        raise Unavailable("the device sleeps")

    with journal(tmp_path, 1) as first:
        with pytest.raises(Unavailable):
            first.lane("main").ask(question(0.1), fail)
        with pytest.raises(ZeroDivisionError):
            first.lane("main").step("divide", b"", lambda: 1 / 0)
        ask(first.lane("main"), 0.2)
    with journal(tmp_path, 2) as second:
        with pytest.raises(Unavailable, match="the device sleeps"):
            second.lane("main").ask(question(0.1), never)
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            second.lane("main").step("divide", b"", never)
        recall(second.lane("main"), 0.2)


def test_an_error_that_ended_the_program_is_tried_again(tmp_path: Path) -> None:
    def fail(_: int) -> Result:
        raise Unavailable("the device sleeps")

    with journal(tmp_path, 1) as first, pytest.raises(Unavailable):
        first.lane("main").ask(question(0.1), fail)
    with journal(tmp_path, 2) as second:
        ask(second.lane("main"), 0.1)
        assert second.executed == 1


def test_an_error_of_an_unknown_class_is_met_by_asking_again(tmp_path: Path) -> None:
    class OwnError(Exception):
        pass

    def fail() -> None:
        raise OwnError

    for attempt in (1, 2):
        with journal(tmp_path, attempt) as opened:
            with pytest.raises(OwnError):
                opened.lane("main").step("odd", b"", fail)
            ask(opened.lane("main"), 0.2)
            assert opened.executed == (attempt == 1)


# ---- engines


def test_an_engine_is_recorded_once_and_a_change_is_told(tmp_path: Path) -> None:
    newer = Engine("pure", "2.0", 1)
    with journal(tmp_path, 1) as first:
        assert first.engine_used("abc", ENGINE) is None
        assert first.engine_used("abc", ENGINE) is None
        assert first.engine_used("other", newer) is None
        assert first.engine_used("other", ENGINE) == newer
    with journal(tmp_path, 2) as second:
        assert second.engine_used("abc", newer) == ENGINE
        assert second.engine_used("abc", ENGINE._replace(reason="picked otherwise")) is None
    assert not segment(tmp_path, 2).exists()


def test_circuits_that_were_compiled_alike_are_no_change_of_the_compiler(tmp_path: Path) -> None:
    facts = Compiled("source", "made", "qiskit 2.6.2")
    with journal(tmp_path, 1) as first:
        assert first.compiled_as("one", facts) is None
        assert first.compiled_as("two", facts) is None
        assert first.compiled_as("three", facts._replace(digest="otherwise")) == facts


# ---- who may record


def test_a_full_disk_stops_the_program_and_nothing_recorded_is_lost(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(40 * 1024))
    first = open_journal(small_disk, 1)
    angles: list[float] = []

    def fill() -> None:
        while len(angles) < 1000:
            ask(first.lane("main"), float(len(angles)))
            angles.append(float(len(angles)))

    with pytest.raises(StorageFailed, match="the disk is full"):
        fill()
    first.close()
    (small_disk / "filler").unlink()
    with journal(small_disk, 2) as second:
        for angle in angles:
            recall(second.lane("main"), angle)
        ask(second.lane("main"), 0.5)
        assert (second.replayed, second.executed, second.problems) == (len(angles), 1, [])


def test_a_late_attempt_records_nothing(tmp_path: Path) -> None:
    with journal(tmp_path, 2) as other:
        ask(other.lane("main"), 0.1)
    for attempt in (1, 2):
        with journal(tmp_path, attempt) as late, pytest.raises(WrongState, match="attempt 2 has begun"):
            ask(late.lane("main"), 0.1)


def test_another_seed_is_a_divergence(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        ask(first.lane("main"), 0.1)
    other = Journal.open(tmp_path, job_id="job-1", attempt=2, seed=12)
    with pytest.raises(Divergence, match="seed 11, this one has 12") as caught:
        ask(other.lane("main"), 0.1)
    assert caught.value.field == "seed"


def test_answers_of_a_copied_journal_are_used_and_said(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        ask(first.lane("main"), 0.1)
    other = Journal.open(tmp_path, job_id="job-2", attempt=2, seed=11)
    recall(other.lane("main"), 0.1)
    assert "begun by job job-1" in other.problems[0]


def test_after_the_end_everything_is_refused(tmp_path: Path) -> None:
    opened = open_journal(tmp_path, 1)
    lane = opened.lane("main")
    ask(lane, 0.1)
    opened.close()
    opened.close()
    for late in (lambda: ask(lane, 0.2), lambda: ask(opened.lane("new"), 0.2), lambda: lane.metric("x", 1.0, None, 0.0)):
        with pytest.raises(WrongState, match="the program has ended"):
            late()
    with pytest.raises(WrongState, match="the program has ended"):
        opened.save_checkpoint({})
    with pytest.raises(WrongState, match="the program has ended"):
        opened.load_checkpoint()
    with pytest.raises(WrongState, match="the program has ended"):
        opened.engine_used("x", ENGINE)


def run_python(script: str, *arguments: object) -> object:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


FORK = """
import json, os, sys
from pathlib import Path
from qloom.errors import WrongState
from qloom.journal import Journal
opened = Journal.open(Path(sys.argv[1]), job_id="job", attempt=1, seed=1)
lane = opened.lane("main")
lane.now(lambda: 1.0)
read, write = os.pipe()
if not os.fork():
    said = []
    for call in (lambda: lane.now(lambda: 2.0), lambda: opened.lane("new").now(lambda: 2.0), lambda: opened.save_checkpoint({})):
        try:
            call()
        except WrongState as error:
            said.append(str(error))
    os.write(write, json.dumps(said).encode())
    os._exit(0)
os.wait()
print(json.dumps({"child": json.loads(os.read(read, 65536)), "parent": lane.now(lambda: 3.0)}))
"""


def test_a_fork_cannot_write_into_its_parents_journal(tmp_path: Path) -> None:
    outcome = run_python(FORK, tmp_path)
    assert isinstance(outcome, dict)
    assert outcome["parent"] == 3.0
    assert len(outcome["child"]) == 3
    assert all("fork" in said and "spawn" in said for said in outcome["child"])
    second = Journal.open(tmp_path, job_id="job", attempt=2, seed=1)
    assert [second.lane("main").now(never) for _ in range(2)] == [1.0, 3.0]


LIGHT = """
import json, sys
from pathlib import Path
import qloom.journal
opened = qloom.journal.Journal.open(Path(sys.argv[1]), job_id="job", attempt=1, seed=1)
opened.lane("main")
opened.close()
print(json.dumps([name for name in ("msgspec", "numpy", "asyncio", "pydantic") if name in sys.modules]))
"""


def test_a_journal_that_nobody_uses_costs_nothing(tmp_path: Path) -> None:
    assert run_python(LIGHT, tmp_path / "checkpoints") == []
    assert not (tmp_path / "checkpoints").exists()


def many_keys(size: int) -> Result:
    table = SampleTable(np.arange(size, dtype="<u8"), np.ones(size, dtype="<i8"), (0, size))
    return Result(engine=ENGINE, shots=size, key_lengths=(12,), samples=table)


def test_a_large_answer_is_read_again_when_it_is_served(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        answer = first.lane("main").ask(question(), lambda _seed: many_keys(1000))
    with journal(tmp_path, 2) as second:
        assert recall(second.lane("main"), 0.5) == answer


def test_a_large_answer_that_was_cut_off_since_is_named(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        first.lane("main").ask(question(0.1), pure(question(0.1)))
        first.lane("main").ask(question(0.2), lambda _seed: many_keys(1000))
    with journal(tmp_path, 2) as second:
        recall(second.lane("main"), 0.1)
        os.truncate(segment(tmp_path), segment(tmp_path).stat().st_size - 100)
        with pytest.raises(CorruptRecord, match="cut off since the journal was read"):
            recall(second.lane("main"), 0.2)
