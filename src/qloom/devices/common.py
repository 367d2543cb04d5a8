"""What devices in this process share: tasks that are kept, how circuits and observables are read, options after the colon."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from qloom.circuits import Circuit, Observable
from qloom.circuits.expressions import Expression
from qloom.errors import InvalidSetting, InvalidTask, UnknownName
from qloom.jobspecs import new_job_id
from qloom.kit.angle_table import AngleTable
from qloom.kit.parameter_shift import waves
from qloom.tasks import TaskState, read_parameters, read_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qloom.circuits import Instruction
    from qloom.contracts import TaskHandle
    from qloom.results import Result
    from qloom.tasks import FloatArray, ParameterValues

KEPT_TASKS = 1000
"""So many tasks a device of this process keeps."""


class EndedTask:
    """A task that was computed when it was submitted, so it has always ended."""

    def __init__(self, result: Result) -> None:
        self._id = new_job_id()
        self._result = result

    @property
    def id(self) -> str:
        return self._id

    def state(self) -> TaskState:
        return TaskState.COMPLETED

    def result(self, timeout_s: float | None = None) -> Result:
        return self._result

    def cancel(self) -> None:
        return


class TaskShelf:
    """The last 1000 tasks of a device, in this process, by their ids and tokens. Safe to use from several threads at once.

    Args:
        device: the device's name, for messages.

    >>> from qloom.results import Engine, Result
    >>> shelf = TaskShelf("mine")
    >>> task = shelf.keep("token", lambda: Result(engine=Engine("none", "1"), shots=1))
    >>> shelf.attach(task.id) is task, shelf.find("token") is task, shelf.find("other")
    (True, True, None)
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._tasks: OrderedDict[str, TaskHandle] = OrderedDict()
        self._tokens: dict[str, TaskHandle] = {}
        self._lock = threading.Lock()

    def keep(self, token: str | None, compute: Callable[[], Result]) -> TaskHandle:
        """Compute a task and keep it; where the token has one already, return that one."""
        with self._lock:
            if token is not None and token in self._tokens:
                return self._tokens[token]
        task = EndedTask(compute())
        with self._lock:
            if token is not None:
                known = self._tokens.setdefault(token, task)
                if known is not task:  # another thread was faster with the same token
                    return known
            self._tasks[task.id] = task
            if len(self._tasks) > KEPT_TASKS:
                gone = self._tasks.popitem(last=False)[1]
                self._tokens = {name: kept for name, kept in self._tokens.items() if kept is not gone}
        return task

    def attach(self, task_id: str) -> TaskHandle:
        """Return a task by its id.

        Raises:
            UnknownName: no such task, or not any more.
        """
        try:
            return self._tasks[task_id]
        except KeyError:
            raise UnknownName(
                f"{self._device} has no task {task_id!r} in this process; it keeps its last {KEPT_TASKS} tasks, until the "
                "process ends"
            ) from None

    def find(self, token: str) -> TaskHandle | None:
        """Return a task by its token, or None."""
        return self._tokens.get(token)


def read_circuits(given: Circuit | Sequence[Circuit]) -> list[Circuit]:
    """Return one circuit or several as a list.

    Raises:
        InvalidTask: none, or something that is no circuit.

    >>> len(read_circuits(Circuit(1)))
    1
    """
    circuits = [given] if isinstance(given, Circuit) else list(given)
    if not circuits:
        raise InvalidTask("no circuits: give one, or a list of them")
    for circuit in circuits:
        if not isinstance(circuit, Circuit):
            raise InvalidTask(f"a device prepares qloom circuits, got {type(circuit).__name__}; convert it first")
    return circuits


def read_observables(given: Observable | Sequence[Observable] | None) -> list[Observable]:
    """Return one observable, several or none as a list.

    Raises:
        InvalidTask: an empty list, or something that is no observable.

    >>> read_observables(None), len(read_observables(Observable({"Z": 1.0})))
    ([], 1)
    """
    if given is None:
        return []
    observables = [given] if isinstance(given, Observable) else list(given)
    if not observables:
        raise InvalidTask("the list of observables is empty; give at least one, or None to sample only")
    for observable in observables:
        if not isinstance(observable, Observable):
            raise InvalidTask(
                f"observables are qloom observables, got {type(observable).__name__}; use Observable({{'ZZ': 1.0}})"
            )
    return observables


def check_together(circuits: Sequence[Circuit], observables: Sequence[Observable]) -> None:
    """Refuse circuits and observables that cannot be prepared together.

    Raises:
        InvalidTask: different parameters, or an observable on another number of qubits.

    >>> check_together([Circuit(2)], [Observable({"ZZ": 1.0})])
    """
    names = circuits[0].parameters
    for position, circuit in enumerate(circuits):
        if circuit.parameters != names:
            raise InvalidTask(
                f"circuits prepared together need the same parameters: circuit 0 has {list(names)}, "
                f"circuit {position} has {list(circuit.parameters)}"
            )
        for observable in observables:
            if observable.num_qubits != circuit.num_qubits:
                raise InvalidTask(
                    f"an observable acts on {observable.num_qubits} qubits, circuit {position} has {circuit.num_qubits}; "
                    "fill up with I"
                )


def numbered(reasons: Sequence[Sequence[str]]) -> list[str]:
    """Return all reasons, each with its circuit's number where there are several circuits.

    >>> numbered([["too wide"]]), numbered([[], ["too wide"]])
    (['too wide'], ['circuit 1: too wide'])
    """
    if len(reasons) == 1:
        return list(reasons[0])
    return [f"circuit {position}: {reason}" for position, found in enumerate(reasons) for reason in found]


def read_options(device: str, rest: str, known: Sequence[str]) -> dict[str, str]:
    """Return the options in `method=density_matrix,threads=2`.

    Args:
        device: its name before the colon, for messages.
        rest: what follows the colon.
        known: the options there are.

    Raises:
        UnknownName: an option that there is not.
        InvalidSetting: no `=`, or an option given twice.

    >>> read_options("mine", "method=exact, threads=2", ["method", "threads"])
    {'method': 'exact', 'threads': '2'}
    """
    found: dict[str, str] = {}
    for part in rest.split(",") if rest.strip() else []:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in known:
            raise UnknownName.among(f"option of {device}", name, known)
        if not equals or not value:
            raise InvalidSetting(f"{device}: option {name} needs a value, as in '{device}:{name}=...'")
        if name in found:
            raise InvalidSetting(f"{device}: {name} is given twice, as {found[name]} and as {value}")
        found[name] = value
    return found


def positive(device: str, name: str, value: object) -> int | None:
    """Return an option that is a count, None where it is not given.

    Raises:
        InvalidSetting: not an integer from 1 up.

    >>> positive("mine", "threads", "2"), positive("mine", "threads", None)
    (2, None)
    """
    if value is None:
        return None
    try:
        number = int(value) if isinstance(value, str) else value.__index__()  # type: ignore[attr-defined]  # caught
    except (ValueError, AttributeError, TypeError):
        number = 0
    if number < 1 or isinstance(value, bool):
        raise InvalidSetting(f"{device}: {name} must be an integer from 1 up, got {value!r}")
    return int(number)


# ---- quantum tasks -----------------------------------------------------------------------------------------------------

KINDS = ("sample", "estimate", "gradient")
ORDER_MASK = (1 << 63) - 1
DIGEST_VERSION = 1


class OpenDelays(NamedTuple):
    """The delays of circuits whose lengths are formulas of parameters.

    Attributes:
        steps: the delays.
        table: from parameters to their lengths.
    """

    steps: tuple[Instruction, ...]
    table: AngleTable

    @classmethod
    def of(cls, circuits: Sequence[Circuit]) -> OpenDelays | None:
        """Return them, or None where there are none."""
        steps = tuple(
            step
            for circuit in circuits
            if circuit.parameters and "delay" in circuit.instruction_names
            for step in circuit.every()
            if step.name == "delay" and isinstance(step.parameters[0], Expression)
        )
        return cls(steps, AngleTable(circuits[0].parameters, [step.parameters[0] for step in steps])) if steps else None

    def check(self, sets: FloatArray) -> None:
        """Refuse parameter sets, shape (sets, parameters), that make a delay shorter than nothing.

        Raises:
            InvalidTask: they do; the delay and its length are named.

        >>> from qloom.circuits import Parameter
        >>> delays = OpenDelays.of([Circuit(1).delay(2 * Parameter("t"), 0, unit="ns")])
        >>> delays.check(read_sets(["t"], [-4]))
        Traceback (most recent call last):
        qloom.errors.InvalidTask: a delay takes a duration from 0 up, but 2.0*t on qubits [0] is -8.0 ns in parameter set 0
        """
        lengths = self.table.rows(sets)
        if (lengths < 0).any():
            row, column = (int(place) for place in next(zip(*(lengths < 0).nonzero(), strict=True)))
            step = self.steps[column]
            where = f"{step.parameters[0]} on qubits {list(step.qubits)}"
            length = f"{float(lengths[row, column])} {step.unit} in parameter set {row}"
            raise InvalidTask(f"a delay takes a duration from 0 up, but {where} is {length}")

    def refuse_derivative(self) -> None:
        """Refuse to differentiate by a length, with the words of parameter shifts.

        Raises:
            Unsupported: always.
        """
        waves(self.steps[0], 0)


class ComputedHere(ABC):
    """What circuits that are run in this process have in common: a task is computed when it is submitted.

    Args:
        circuits: checked already, with the same parameters.
        observables: what `estimate` and `gradient` ask for.
        option_text: the device's options, for the digest.
        keep: keeps a task under its token and returns its handle.
    """

    def __init__(
        self,
        circuits: Sequence[Circuit],
        observables: Sequence[Observable],
        option_text: str,
        keep: Callable[[str | None, Callable[[], Result]], TaskHandle],
    ) -> None:
        self._circuits = tuple(circuits)
        self._observables = tuple(observables)
        self._option_text = option_text
        self._names = self._circuits[0].parameters
        self._lengths = tuple(circuit.key_length for circuit in circuits)
        self._delays = OpenDelays.of(self._circuits)
        self._keep = keep

    @property
    def digest(self) -> str:
        """Equal for equal circuits, observables and options, whichever engine runs them."""
        return prepared_digest(self._option_text, self._circuits, self._observables)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters, in the order of an array's columns."""
        return self._names

    @abstractmethod
    def run(self, parameters: ParameterValues = None, shots: int = 1000, *, seed: int | None = None) -> Result:
        """Sample; see `contracts.Prepared`."""

    @abstractmethod
    def estimate(self, parameters: ParameterValues = None, shots: int | None = None, *, seed: int | None = None) -> Result:
        """Work out expectation values; see `contracts.Prepared`."""

    @abstractmethod
    def gradient(self, parameters: ParameterValues = None) -> Result:
        """Work out derivatives; see `contracts.Prepared`."""

    def submit(
        self,
        kind: str,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        seed: int | None = None,
        token: str | None = None,
    ) -> TaskHandle:
        """Compute a task and keep it; see `contracts.Prepared`."""
        if kind not in KINDS:
            raise UnknownName.among("kind of task", kind, KINDS)

        def compute() -> Result:
            if kind == "sample":
                return self.run(parameters, 1000 if shots is None else shots, seed=seed)
            return self.estimate(parameters, shots, seed=seed) if kind == "estimate" else self.gradient(parameters)

        return self._keep(token, compute)

    def _read_sets(self, parameters: ParameterValues) -> FloatArray:
        """Return parameter sets as `read_sets`; a delay that would be below 0 in one of them is refused."""
        sets = read_sets(self._names, parameters)
        if self._delays is not None:
            self._delays.check(sets)
        return sets

    def _require_observables(self) -> None:
        if not self._observables:
            raise InvalidTask("prepared without observables, so there is nothing to estimate; prepare(circuit, observables=...)")


def read_sets(names: Sequence[str], parameters: ParameterValues) -> FloatArray:
    """Return parameter sets, shape (sets, parameters), at least one.

    Raises:
        InvalidTask: as `read_parameters`; or an array without rows.

    >>> read_sets(["a"], [0.5]).tolist()
    [[0.5]]
    """
    array = read_parameters(names, parameters)
    if not len(array):
        raise InvalidTask("no parameter sets: the array of parameters has no rows")
    return array


def constant(observable: Observable) -> float:
    """Return the coefficient of the identity.

    >>> constant(Observable({"ZI": 1.0, "II": 0.5}))
    0.5
    """
    return float(sum(value for text, value in observable.terms.items() if set(text) == {"I"}))


def prepared_digest(options: str, circuits: Sequence[Circuit], observables: Sequence[Observable]) -> str:
    """Return the digest of what `sim` prepared, whichever of its engines runs it.

    Args:
        options: those of the device, as far as they decide the answers.
        circuits, observables: in their order.
    """
    lines = [f"qloom sim prepared {DIGEST_VERSION}", options]
    lines += [circuit.digest for circuit in circuits]
    lines += ["observables", *(observable.digest for observable in observables)]
    return blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def first_seed(seed: int | None) -> int:
    """Return a task's seed: a fresh random one where none is given.

    >>> first_seed(7)
    7
    """
    return int.from_bytes(os.urandom(8), "little") if seed is None else read_seed(seed)


def following_seeds(start: int) -> Iterator[int]:
    """Yield 64-bit seeds, one after the other, that follow from one.

    >>> one, again = following_seeds(1), following_seeds(1)
    >>> [next(one) for _ in range(3)] == [next(again) for _ in range(3)]
    True
    """
    number = 0
    while True:
        yield int.from_bytes(blake2b(f"{start}|{number}".encode(), digest_size=8).digest(), "little")
        number += 1
