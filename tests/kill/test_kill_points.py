"""Whatever dies, and whenever: the result is the undisturbed one bit for bit, and nothing that was recorded runs again.

The proof counts lines that devices and costly steps write to files of their own, outside the journal.
"""

import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import qloom
from qloom.app import application
from qloom.jobspecs import JobState
from qloom.journal.segments import read_segment

sys.path.insert(0, str(Path(__file__).parent))
# By name, as its devices are: `python:killable:free`.
killable: Any = importlib.import_module("killable")

FREE, BILLING = "python:killable:free", "python:killable:billing"
PIPELINE = [{"stage": "twirling", "instances": 2}, {"stage": "zne", "scales": [1, 3], "fit": "linear"}]
# Program, device, how many calls may be in flight at one moment.
CASES = {
    "a small vqe": (killable.vqe, FREE, 1),
    "four lanes at once": (killable.lanes, FREE, killable.LANES),
    "a loop with checkpoints": (killable.checkpoints, FREE, 1),
    "costly classical steps": (killable.steps, FREE, 1),
    "a vqe that is billed": (killable.vqe, BILLING, 1),
    "a vqe through a pipeline that is billed": (killable.vqe.with_options(pipeline=PIPELINE), BILLING, 1),
    "four lanes that are billed": (killable.lanes, BILLING, killable.LANES),
}
# What a pipeline adds is several submissions for one question: who is killed makes no difference to that, and each kill is long.
KILLS = [
    (case, when, victim)
    for case in CASES
    for when in ("before", "after")
    for victim in (("both",) if "pipeline" in case else ("child", "supervisor", "both"))
]
LIMIT_S = 60


@dataclass(frozen=True)
class Run:
    """What a job left behind, inside and outside its folder."""

    result: bytes
    records: int
    computed: int
    submitted: list[str]
    steps: list[str]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QLOOM_HOME", str(tmp_path_factory.mktemp("home")))
        application.cache_clear()
        yield
    application.cache_clear()


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def leavings(job: qloom.Job, folder: Path) -> Run:
    segments = sorted((job.folder.checkpoints / "journal").glob("*.seg"))
    return Run(
        result=job.folder.results_file.read_bytes(),
        records=sum(1 for segment in segments for _ in read_segment(segment)),
        computed=len(lines(folder / "computed.log")),
        submitted=[line.split()[0] for line in lines(folder / "submissions.log")],
        steps=lines(folder / "steps.log"),
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    known: dict[str, Run] = {}

    def run(case: str) -> Run:
        if case not in known:
            program, device, _ = CASES[case]
            folder = tmp_path_factory.mktemp("undisturbed")
            job = program.with_options(device=device, seed=7).submit(folder=str(folder))
            job.result(timeout_s=LIMIT_S)
            known[case] = leavings(job, folder)
        return known[case]

    return run


def killed_and_resumed(case: str, kill: str, folder: Path) -> Run:
    program, device, _ = CASES[case]
    job = program.with_options(device=device, seed=7).submit(kill=kill, folder=str(folder))
    with pytest.raises(qloom.errors.JobInterrupted):
        job.result(timeout_s=LIMIT_S)
    job.resume().result(timeout_s=LIMIT_S)
    assert job.state() is JobState.COMPLETED
    return leavings(job, folder)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("case", "when", "victim"), KILLS)
def test_a_job_killed_at_any_append_ends_as_if_nothing_had_happened(
    case: str, when: str, victim: str, undisturbed: Callable[[str], Run], tmp_path: Path
) -> None:
    expected = undisturbed(case)
    in_flight = CASES[case][2]
    # A journal that records nothing and devices that count nothing would pass all that follows.
    assert expected.records > 6
    assert expected.computed + len(expected.submitted) > 2
    for number in range(1, expected.records + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        seen = killed_and_resumed(case, f"{when}:{number}:{victim}", folder)
        place = f"killed {victim} {when} append {number}"
        assert seen.result == expected.result, place
        # After an append nothing runs again; before it, at most what was in flight: one call a lane.
        again = in_flight if in_flight > 1 or when == "before" else 0
        assert expected.computed <= seen.computed <= expected.computed + again, place
        assert max(Counter(seen.submitted).values(), default=1) == 1, place
        assert len(seen.submitted) == len(expected.submitted), place
        assert len(expected.steps) <= len(seen.steps) <= len(expected.steps) + (when == "before"), place
