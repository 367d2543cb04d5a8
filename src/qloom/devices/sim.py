"""`sim`: the state-vector simulator, a free and seeded device in this process.

It runs every gate of the circuit form, measures at the end, and knows no noise. The engine is lightning's C++ bindings where
they are installed, else qulacs; `Prepared.engine` says which, and why.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cache
from typing import TYPE_CHECKING

from qloom.circuits import Circuit, Observable
from qloom.circuits.gates import GATES
from qloom.devices.engines import memory_reason, most_qubits, needed_bytes
from qloom.devices.lowering import without_idle_resets
from qloom.devices.prepared import PreparedSim
from qloom.devices.sampler import MAX_SHOTS
from qloom.errors import InvalidSetting, InvalidTask, MissingExtra, UnknownName, Unsupported
from qloom.jobspecs import new_job_id
from qloom.results import Engine
from qloom.specs import DeviceSpec, reasons_against
from qloom.tasks import TaskState, read_shots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.contracts import Device, TaskHandle
    from qloom.devices.engines import EngineLibrary
    from qloom.results import Result

ENGINES = ("lightning", "qulacs")
OPTIONS = ("engine", "memory_limit_bytes", "threads")
FEATURES = frozenset({"controls", "delay", "verbatim"})
MAX_CLBITS = 64
"""What a key of a sample table can hold."""

KEPT_TASKS = 1000


def create(
    rest: str = "", *, threads: int | None = None, engine: str | None = None, memory_limit_bytes: int | None = None
) -> Device:
    """A state-vector simulator on this machine: exact values, samples and gradients, by lightning or qulacs.

    Args:
        rest: what follows the colon in a device's name: `engine=qulacs,threads=2`.
        threads: for sums of terms and gradients; None for 1 up to 16 qubits and every core above.
        engine: `lightning` or `qulacs`; None for the first of them that is installed.
        memory_limit_bytes: for one call; None for 80 % of what is available at that moment.

    Raises:
        UnknownName: an option or an engine that there is not.
        InvalidSetting: a value that an option cannot have, or an option given twice.
        MissingExtra: the engine is not installed.

    >>> from qloom.circuits import Circuit
    >>> create("threads=1").prepare(Circuit(2).h(0).cx(0, 1)).run(shots=100, seed=1).counts
    {'00': 43, '11': 57}
    """
    given: dict[str, object] = {"threads": threads, "engine": engine, "memory_limit_bytes": memory_limit_bytes}
    for name, value in read_options(rest).items():
        if given[name] is not None and str(given[name]) != value:
            advice = f"; a job's threads are its resources.cpus, so ask for cpus={value} instead" if name == "threads" else ""
            raise InvalidSetting(f"sim: {name} is given twice, as {given[name]} and as {value}{advice}")
        given[name] = value
    chosen = given["engine"]
    return SimDevice(
        f"sim:{rest}" if rest else "sim",
        engine=None if chosen is None else str(chosen),
        threads=_positive("threads", given["threads"]),
        memory_limit_bytes=_positive("memory_limit_bytes", given["memory_limit_bytes"]),
    )


def check_options(rest: str) -> None:
    """Refuse options that `create` would refuse, whatever is installed here.

    >>> check_options("engine=qualcs")
    Traceback (most recent call last):
    qloom.errors.UnknownName: no engine of sim called 'qualcs'; did you mean 'qulacs'? Known: lightning, qulacs
    """
    given = read_options(rest)
    _check_engine(given.get("engine"))
    for name in set(given) - {"engine"}:
        _positive(name, given[name])


def _check_engine(name: str | None) -> None:
    if name not in (None, *ENGINES):
        raise UnknownName.among("engine of sim", str(name), ENGINES)


def read_options(rest: str) -> dict[str, str]:
    """Return the options in `engine=qulacs,threads=2`.

    Raises:
        UnknownName: an option that sim does not have.
        InvalidSetting: no `=`, or an option given twice.

    >>> read_options("engine=qulacs, threads=2")
    {'engine': 'qulacs', 'threads': '2'}
    """
    found: dict[str, str] = {}
    for part in rest.split(",") if rest.strip() else []:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in OPTIONS:
            raise UnknownName.among("option of sim", name, OPTIONS)
        if not equals or not value:
            raise InvalidSetting(f"sim: option {name} needs a value, as in 'sim:{name}=...'")
        if name in found:
            raise InvalidSetting(f"sim: {name} is given twice, as {found[name]} and as {value}")
        found[name] = value
    return found


def _positive(name: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        number = int(value) if isinstance(value, str) else value.__index__()  # type: ignore[attr-defined]  # caught
    except (ValueError, AttributeError, TypeError):
        number = 0
    if number < 1 or isinstance(value, bool):
        raise InvalidSetting(f"sim: {name} must be an integer from 1 up, got {value!r}")
    return int(number)


def library(name: str | None) -> EngineLibrary:
    """Return the engine of that name, or the best one installed.

    Raises:
        UnknownName: no such engine.
        MissingExtra: it is not installed.

    >>> library("qulacs").name
    'qulacs'
    """
    _check_engine(name)
    if name == "qulacs":
        return _qulacs("asked for")
    try:
        return _lightning()
    except MissingExtra as error:
        if name == "lightning":
            raise
        return _qulacs(str(error))


@cache
def _lightning() -> EngineLibrary:
    from qloom.devices.lightning_engine import Lightning

    return Lightning()


@cache
def _qulacs(reason: str) -> EngineLibrary:
    try:
        from qloom.devices.qulacs_engine import Qulacs
    except ImportError as error:
        raise MissingExtra(f"qulacs is not installed ({error}); `pip install qloom`") from error
    return Qulacs(reason)


class SimTask:
    """A task of `sim`: computed when it is submitted, so it has always ended."""

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


class SimDevice:
    """The simulator as a `Device`. It keeps its last 1000 tasks, in this process.

    Args:
        name: the name it was asked for by.
        engine, threads, memory_limit_bytes: as for `create`.
    """

    def __init__(
        self,
        name: str = "sim",
        *,
        engine: str | None = None,
        threads: int | None = None,
        memory_limit_bytes: int | None = None,
    ) -> None:
        self._name = name
        self._engine = engine
        self._threads = threads
        self._limit = memory_limit_bytes
        self._library = library(engine)
        self._tasks: OrderedDict[str, TaskHandle] = OrderedDict()
        self._tokens: dict[str, TaskHandle] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    def spec(self) -> DeviceSpec:
        found = self._library
        return DeviceSpec(
            name=self._name,
            num_qubits=most_qubits(self._limit),
            gates=frozenset(GATES),
            features=FEATURES,
            max_shots=MAX_SHOTS,
            exact_values=True,
            gradients=True,
            engines=(Engine(found.name, found.version, self._threads or 1, found.reason),),
            notes={"method": "state vector, complex128", "max_clbits": MAX_CLBITS, "threads": self._threads or "by size"},
        )

    def check(self, circuits: Circuit | Sequence[Circuit], shots: int | None = None) -> list[str]:
        given = _circuits(circuits)
        wanted = None if shots is None else read_shots(shots)
        reasons = [self._reasons(circuit, wanted, "sample", 0) for circuit in given]
        return _numbered(reasons)

    def prepare(
        self,
        circuits: Circuit | Sequence[Circuit],
        observables: Observable | Sequence[Observable] | None = None,
        *,
        engine: Engine | None = None,
    ) -> PreparedSim:
        given, sums = _circuits(circuits), _observables(observables)
        _check_together(given, sums)
        chosen, threads = self._before(engine) or (self._library, self._threads)
        kind = "estimate" if sums else "sample"
        if reasons := _numbered([self._reasons(circuit, None, kind, len(sums)) for circuit in given]):
            raise Unsupported(f"{self._name} cannot run this: {'; '.join(reasons)}")
        return PreparedSim(
            given,
            sums,
            library=chosen,
            threads=threads,
            memory_limit_bytes=self._limit,
            option_text=f"engine={self._engine}",
            keep=self._keep,
        )

    def _before(self, engine: Engine | None) -> tuple[EngineLibrary, int] | None:
        """Return the library and threads that computed earlier answers; None where that release is not installed."""
        if engine is None or engine.name not in ENGINES or self._engine not in (None, engine.name):
            return None
        try:
            found = library(engine.name)
        except MissingExtra:
            return None
        return (found, engine.threads) if found.version == engine.version else None

    def attach(self, task_id: str) -> TaskHandle:
        try:
            return self._tasks[task_id]
        except KeyError:
            raise UnknownName(
                f"sim has no task {task_id!r} in this process; it keeps its last {KEPT_TASKS} tasks, until the process ends"
            ) from None

    def find(self, token: str) -> TaskHandle | None:
        return self._tokens.get(token)

    def _keep(self, token: str | None, compute: Callable[[], Result]) -> TaskHandle:
        with self._lock:
            if token is not None and token in self._tokens:
                return self._tokens[token]
        task = SimTask(compute())
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

    def _reasons(self, circuit: Circuit, shots: int | None, kind: str, observables: int) -> list[str]:
        reasons = [] if circuit.num_qubits else ["a circuit without qubits"]
        need = needed_bytes(kind, circuit.num_qubits, observables=observables)
        if reason := memory_reason(f"one {kind}", circuit.num_qubits, need, self._limit):
            reasons.append(reason)
        if circuit.key_length > MAX_CLBITS:
            reasons.append(f"{circuit.key_length} classical bits, {self._name} has {MAX_CLBITS}")
        # Memory was looked at above, with bytes in the answer; resets of fresh qubits are run by leaving them out.
        steps = tuple(without_idle_resets(circuit))
        plain = Circuit.trusted(circuit.num_qubits, steps, circuit.num_clbits, circuit.parameters)
        spec = DeviceSpec(
            name=self._name,
            num_qubits=circuit.num_qubits,
            gates=frozenset(GATES),
            features=FEATURES,
            max_shots=MAX_SHOTS,
        )
        return reasons + reasons_against(spec, plain, shots)


def _circuits(given: Circuit | Sequence[Circuit]) -> list[Circuit]:
    circuits = [given] if isinstance(given, Circuit) else list(given)
    if not circuits:
        raise InvalidTask("no circuits: give one, or a list of them")
    for circuit in circuits:
        if not isinstance(circuit, Circuit):
            raise InvalidTask(f"a device prepares qloom circuits, got {type(circuit).__name__}; convert it first")
    return circuits


def _observables(given: Observable | Sequence[Observable] | None) -> list[Observable]:
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


def _check_together(circuits: Sequence[Circuit], observables: Sequence[Observable]) -> None:
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


def _numbered(reasons: Sequence[Sequence[str]]) -> list[str]:
    """Return all reasons, each with its circuit's number where there are several circuits."""
    if len(reasons) == 1:
        return list(reasons[0])
    return [f"circuit {position}: {reason}" for position, found in enumerate(reasons) for reason in found]
