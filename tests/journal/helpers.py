"""Questions, a pure device and a device that bills, for the tests of the journal."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from qloom.contracts import Device, Prepared, TaskHandle
from qloom.errors import Rejected, Unavailable, UnknownName
from qloom.journal import Journal
from qloom.results import Engine, Result, SampleTable
from qloom.tasks import Question, TaskState

ENGINE = Engine("pure", "1.0", 1, "a test")


def question(angle: float = 0.5, *, shots: int | None = 100, seed: int | None = None, **others: Any) -> Question:
    numbers = np.array([[angle, 1.0]], dtype="<f8").tobytes()
    return Question("sample", "0" * 32, numbers, 1, shots, seed)._replace(**others)


def pure(asked: Question) -> Callable[[int], Result]:
    """What a free device computes: decided by the question and the seed alone."""

    def compute(seed: int) -> Result:
        rng = np.random.default_rng([seed, *asked.parameters])
        counts = rng.multinomial(asked.shots or 1, [0.25] * 4)
        samples = SampleTable(np.arange(4, dtype="<u8"), counts.astype("<i8"), (0, 4), seed % 1000)
        return Result(engine=ENGINE, shots=asked.shots, key_lengths=(2,), samples=samples, metadata={"seed": seed % 97})

    return compute


def never(*_: object) -> Any:
    raise AssertionError("computed again, though it is recorded")


def open_journal(folder: Path, attempt: int, **options: Any) -> Journal:
    return Journal.open(folder, job_id="job-1", attempt=attempt, seed=11, **options)


@contextmanager
def journal(folder: Path, attempt: int, **options: Any) -> Iterator[Journal]:
    opened = open_journal(folder, attempt, **options)
    try:
        yield opened
    finally:
        opened.close()


def segment(folder: Path, attempt: int = 1) -> Path:
    return folder / "journal" / f"{attempt}-program.seg"


class Crash(BaseException):
    """Stands for a kill: nothing in qloom catches it."""


class BillingDevice:
    """Keeps its tasks in a file, as a provider keeps them whatever becomes of us. Answers come from the token alone.

    `trouble` lists what happens at the next calls, such as `submit unavailable`, `submit lost` (the task is there, the
    answer is not), `result crash`, `result rejected`, `find unavailable`; what is not listed works.
    """

    name = "bank"

    def __init__(self, file: Path) -> None:
        self.file = file
        self.trouble: list[str] = []
        self.asked: list[str] = []

    def tasks(self) -> dict[str, str]:
        return cast("dict[str, str]", json.loads(self.file.read_text())) if self.file.exists() else {}

    @property
    def submissions(self) -> int:
        return len(self.tasks())

    def submit(self, kind: str, parameters: Any, shots: int | None, *, seed: int | None, token: str) -> TaskHandle:
        trouble = self._meet("submit")
        tasks = self.tasks()
        if trouble == "unavailable":
            raise Unavailable("no answer")
        if trouble == "rejected":
            raise Rejected("no such device type")
        if token not in tasks:
            tasks[token] = f"task-{len(tasks)}"
            self.file.write_text(json.dumps(tasks))
        if trouble == "lost":
            raise Unavailable("the connection broke")
        if trouble == "crash":
            raise Crash
        return self.attach(tasks[token])

    def find(self, token: str) -> TaskHandle | None:
        if self._meet("find") == "unavailable":
            raise Unavailable("no answer")
        task_id = self.tasks().get(token)
        return None if task_id is None else self._handle(task_id)

    def attach(self, task_id: str) -> TaskHandle:
        if task_id not in self.tasks().values():
            raise UnknownName(f"no task {task_id}")
        return self._handle(task_id)

    def _handle(self, task_id: str) -> TaskHandle:
        def result(timeout_s: float | None = None) -> Result:
            match self._meet("result"):
                case "crash":
                    raise Crash
                case "rejected":
                    raise Rejected(f"{task_id} failed on the device")
                case "unavailable":
                    raise Unavailable("no answer")
            return Result(engine=ENGINE, shots=100, values=np.array([[float(task_id.removeprefix("task-"))]]))

        return cast("TaskHandle", SimpleNamespace(id=task_id, result=result, state=lambda: TaskState.RUNNING))

    def _meet(self, call: str) -> str:
        self.asked.append(call)
        if self.trouble and self.trouble[0].split()[0] == call:
            return self.trouble.pop(0).split()[1]
        return ""


def buy(opened: Journal, device: BillingDevice, angle: float = 0.5, lane: str = "main") -> float:
    asked = question(angle)
    return opened.lane(lane).ask_billed(asked, cast("Device", device), cast("Prepared", device)).value
