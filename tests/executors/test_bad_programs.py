"""What bad programs get: a state and a message that names the thing, what was seen, the limit and the next step."""

import re

import pytest

from qloom.executors.local import LocalExecutor
from qloom.jobspecs import JobState
from qloom.kit.files import read_json
from qloom.kit.job_folder import JobFolder
from qloom.kit.processes import marked
from qloom.limits import Resources
from qloom.testing.executor_contract import MakeJob, once_gone, once_told, run
from tests.executors.conftest import WAYS


def test_one_that_prints_100_mb_is_completed_and_what_was_dropped_is_counted(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("for n in range(1_000_000): print(f'{n:099}')\nfinish(1)", resources=Resources(output_mb=1))
    assert run(executor, folder).state is JobState.COMPLETED
    text = JobFolder(folder).output_file(1).read_text()
    kept = [line.partition("| ")[2] for line in text.splitlines() if "Z out| " in line]
    dropped = re.search(r"\[qloom\] (\d+) bytes of output dropped \(limit 1 MiB, resources.output_mb\)", text)
    assert dropped is not None
    assert int(dropped[1]) + 100 * len(kept) == 100_000_000
    assert (int(kept[0]), int(kept[-1])) == (0, 999_999)
    assert len(text) < 1.01 * 2**20


# It forks for ever, and its forks do; but every fork takes a token and there are 300, should the limit not work.
FORK_BOMB = """
tokens, spare = os.pipe()
os.write(spare, b"x" * 300)
os.set_blocking(tokens, False)
begun = time.time()
while time.time() < begun + 20:
    try:
        os.read(tokens, 1)
        os.fork()
    except BlockingIOError:
        time.sleep(0.1)
"""


def test_one_that_forks_without_end_is_failed_and_gone(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job(FORK_BOMB, resources=Resources(processes=30))
    status = run(executor, folder)
    assert (status.state, status.error_type) == (JobState.FAILED, "LimitExceeded")
    said = r"over resources.processes: \d+ processes at one time, the limit is 30; start fewer or allow more, then resume the job"
    assert re.fullmatch(said, status.error)
    assert marked(folder.name) == set()


def test_one_that_eats_memory_is_failed(executor: LocalExecutor, make_job: MakeJob) -> None:
    script = "hoard = []\nfor _ in range(150): hoard.append(b'x' * 10_000_000); time.sleep(0.002)\ntime.sleep(20)"
    status = run(executor, make_job(script, resources=Resources(memory_mb=200)))
    assert (status.state, status.error_type) == (JobState.FAILED, "LimitExceeded")
    said = r"over resources.memory_mb: (\d+) MiB in 1 processes at one time, the limit is 200 MiB; use less or allow more, .*"
    found = re.fullmatch(said, status.error)
    assert found is not None
    assert int(found[1]) >= 200


def test_memory_that_forks_share_counts_once(executor: LocalExecutor, make_job: MakeJob) -> None:
    script = (
        "hoard = b'x' * 120_000_000\nfor _ in range(3): os.fork() or (time.sleep(9), os._exit(0))\ntime.sleep(0.4); finish(1)"
    )
    assert run(executor, make_job(script, resources=Resources(memory_mb=200))).state is JobState.COMPLETED


def test_one_that_spins_past_its_wall_time_and_ignores_term_is_interrupted(executor: LocalExecutor, make_job: MakeJob) -> None:
    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass"
    status = run(executor, make_job(script, resources=Resources(wall_time_s=0.3)))
    assert (status.state, status.reason) == (JobState.INTERRUPTED, "walltime")
    assert re.match(r"over resources.wall_time_s: it ran for \d+\.\d s, the limit is 0.3 s; resume the job", status.error)


def test_one_that_tidies_up_on_term_has_the_time_to(executor: LocalExecutor, make_job: MakeJob) -> None:
    script = "signal.signal(signal.SIGTERM, lambda *_: (print('tidy'), sys.exit(3)))\ntime.sleep(60)"
    folder = make_job(script, resources=Resources(wall_time_s=1.5))
    assert run(executor, folder).reason == "walltime"
    assert "out| tidy" in JobFolder(folder).output_file(1).read_text()


def test_one_that_opens_files_without_end_is_refused_by_the_kernel(executor: LocalExecutor, make_job: MakeJob) -> None:
    script = """
        files = []
        try:
            while True: files.append(open("one", "w"))
        except OSError:
            number = len(files)
            files.clear()
        finish(number)
    """
    folder = make_job(script, resources=Resources(open_files=40))
    run(executor, folder)
    assert 30 < read_json(JobFolder(folder).results_file) < 40


def test_one_that_writes_by_relative_names_stays_in_its_folder(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("open('notes.txt', 'w').write('here'); finish(os.getcwd())")
    run(executor, folder)
    assert (JobFolder(folder).work(1) / "notes.txt").read_text() == "here"


def test_one_that_writes_elsewhere_by_full_name_is_not_stopped(executor: LocalExecutor, make_job: MakeJob) -> None:
    """Processes are no sandbox; the documents say so, and this says when it changes."""
    folder = make_job("(results.parent.parent / 'outside.txt').write_text('there'); finish(1)")
    run(executor, folder)
    assert (folder.parent / "outside.txt").read_text() == "there"


def test_one_that_leaves_a_daemon_with_its_pipes_is_completed_without_waiting(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("fork_twice(lambda: (tell('daemon', os.getpid()), time.sleep(60)))\nfinish(1)")
    assert run(executor, folder).state is JobState.COMPLETED
    assert "left 1 processes behind; they are ended" in JobFolder(folder).output_file(1).read_text()
    assert once_gone(int(once_told(folder, "daemon")))


@pytest.mark.parametrize("executor", WAYS, indirect=True)
def test_threads_and_exit_functions_of_a_program_are_waited_for(executor: LocalExecutor, make_job: MakeJob) -> None:
    script = """
        import atexit, threading
        atexit.register(lambda: print("exit function"))
        threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
        finish(1)
    """
    folder = make_job(script)
    assert run(executor, folder).state is JobState.COMPLETED
    text = JobFolder(folder).output_file(1).read_text()
    assert text.index("out| thread") < text.index("out| exit function")


def test_one_that_exits_with_an_error_is_failed_with_its_last_words(executor: LocalExecutor, make_job: MakeJob) -> None:
    status = run(executor, make_job("raise ValueError('bond too short')"))
    assert status.state is JobState.FAILED
    assert status.error.startswith("the program exited with code 1 and no word why; the last it said: ValueError: bond too short")


def test_one_that_writes_nonsense_as_its_outcome_is_failed(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("outcome(ended=['?']); (results / 'results.json').write_text('1')")
    assert run(executor, folder).error_type == "NoResult"


@pytest.mark.parametrize("executor", ["absent"], indirect=True)
def test_one_that_cannot_be_started_says_why(executor: LocalExecutor, make_job: MakeJob) -> None:
    status = run(executor, make_job("finish(1)"))
    assert status.state is JobState.FAILED
    assert "qloom cannot start ['no-such-interpreter'" in status.error


@pytest.mark.parametrize("executor", ["fork"], indirect=True)
def test_one_in_a_fork_that_raises_is_failed_with_its_last_words(executor: LocalExecutor, make_job: MakeJob) -> None:
    status = run(executor, make_job("raise ValueError('bond too short')"))
    assert (status.state, status.error_type) == (JobState.FAILED, "")
    assert "the last it said: ValueError: bond too short" in status.error
