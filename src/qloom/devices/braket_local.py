"""`braket-local`: Amazon Braket's default simulator, run in this process without the Braket SDK.

What is used of the package `amazon-braket-default-simulator`, all of it public: the classes `StateVectorSimulation` and
`DensityMatrixSimulation`, and the constructors of its operations and observables. Its OpenQASM parser is left out
(`braket_operations`), and so is its sampler, which takes no seed: samples are drawn by our own from the probabilities that it
gives, so that a seed decides them.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any

from qloom.circuits import Circuit
from qloom.circuits.gates import GATES
from qloom.devices.braket_operations import Operations, pauli, require_braket, turns, width_reasons
from qloom.devices.common import TaskShelf, check_together, numbered, positive, read_circuits, read_observables, read_options
from qloom.devices.compiled import KeyMap
from qloom.devices.engines import over_limit, suitable_threads
from qloom.devices.lowering import without_idle_resets
from qloom.devices.prepared_shots import PreparedShots
from qloom.devices.sampler import MAX_SHOTS, draw, drawing_bytes, seeded
from qloom.devices.shot_engines import Settings
from qloom.errors import InvalidSetting, UnknownName, Unsupported
from qloom.kit.angle_table import AngleTable
from qloom.results import Engine
from qloom.results.memory import memory_limit
from qloom.results.samples import WORD_BITS
from qloom.specs import DeviceSpec, needs, reasons_against
from qloom.tasks import read_shots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qloom.circuits import Observable
    from qloom.contracts import Device, Prepared, TaskHandle
    from qloom.results import IntArray, KeyArray
    from qloom.tasks import FloatArray

NAME = "braket-local"
OPTIONS = ("memory_limit_bytes", "method", "threads")
METHODS = ("statevector", "density_matrix")
ENGINES = {"statevector": "braket_sv", "density_matrix": "braket_dm"}
"""Method -> the name that Braket gives the simulator."""

STATED_QUBITS = {"statevector": 26, "density_matrix": 13}
"""The most qubits that the simulators' own properties state."""

PLAIN = frozenset({"controls", "delay", "verbatim"})
FEATURES = {"statevector": PLAIN, "density_matrix": PLAIN | {"channels", "reset"}}
"""Delays take no time here, and nothing is compiled, so that a verbatim block runs as it stands."""

MAX_CLBITS = WORD_BITS
STATES = 4
"""States held at once: the simulation's, its two buffers, and one that is turned to a basis."""


def create(
    rest: str = "", *, threads: int | None = None, method: str | None = None, memory_limit_bytes: int | None = None
) -> Device:
    """Amazon Braket's default simulator in this process: exact values, samples, and noise channels by density matrices.

    Args:
        rest: what follows the colon in a device's name: `method=density_matrix,threads=2`.
        threads: of the package's compiled kernels, from 11 qubits on; None for 1 up to 16 qubits and every core above.
        method: `statevector` or `density_matrix`; None for the second where a circuit has noise channels or resets.
        memory_limit_bytes: for one call; None for 80 % of what is available at that moment.

    Raises:
        UnknownName: an option or a method that there is not.
        InvalidSetting: a value that an option cannot have, or an option given twice.
        MissingExtra: the package is not installed.

    >>> create("method=density_matrix").prepare(Circuit(2).h(0).cx(0, 1)).run(shots=100, seed=1).counts
    {'00': 57, '11': 43}
    """
    given: dict[str, object] = {"threads": threads, "method": method, "memory_limit_bytes": memory_limit_bytes}
    for name, value in read_options(NAME, rest, OPTIONS).items():
        if given[name] is not None and str(given[name]) != value:
            raise InvalidSetting(f"{NAME}: {name} is given twice, as {given[name]} and as {value}")
        given[name] = value
    chosen = given["method"]
    return BraketLocalDevice(
        f"{NAME}:{rest}" if rest else NAME,
        method=None if chosen is None else _checked_method(str(chosen)),
        threads=positive(NAME, "threads", given["threads"]),
        memory_limit_bytes=positive(NAME, "memory_limit_bytes", given["memory_limit_bytes"]),
    )


def check_options(rest: str) -> None:
    """Refuse options that `create` would refuse, whatever is installed here.

    >>> check_options("threads=some")
    Traceback (most recent call last):
    qloom.errors.InvalidSetting: braket-local: threads must be an integer from 1 up, got 'some'
    """
    given = read_options(NAME, rest, OPTIONS)
    if "method" in given:
        _checked_method(given["method"])
    for name in set(given) - {"method"}:
        positive(NAME, name, given[name])


def _checked_method(name: str) -> str:
    if name not in METHODS:
        raise UnknownName.among(f"method of {NAME}", name, METHODS)
    return name


class BraketLocalDevice:
    """Braket's default simulator as a `Device`. It keeps its last 1000 tasks, in this process.

    Args:
        name: the name it was asked for by.
        method, threads, memory_limit_bytes: as for `create`.
    """

    def __init__(
        self,
        name: str = NAME,
        *,
        method: str | None = None,
        threads: int | None = None,
        memory_limit_bytes: int | None = None,
    ) -> None:
        self._name = name
        self._method = method
        self._threads = threads
        self._limit = memory_limit_bytes
        self._library = BraketSimulators()
        self._shelf = TaskShelf(name)

    @property
    def name(self) -> str:
        return self._name

    def spec(self) -> DeviceSpec:
        method = self._method or "statevector"
        threads = suitable_threads(1, self._threads)
        methods: tuple[str, ...] = METHODS if self._method is None else (method,)
        return DeviceSpec(
            name=self._name,
            num_qubits=min(STATED_QUBITS[method], _qubits_in_memory(method, self._limit)),
            gates=frozenset(GATES),
            features=frozenset.union(*(FEATURES[each] for each in methods)),
            max_shots=MAX_SHOTS,
            max_clbits=MAX_CLBITS,
            exact_values=True,
            exactness="complex128",
            gradients=True,
            methods=methods,
            noise={},
            engines=tuple(Engine(ENGINES[each], self._library.version, threads) for each in methods),
            notes={"method": self._method or "density_matrix for noise channels and resets"},
        )

    def check(self, circuits: Circuit | Sequence[Circuit], shots: int | None = None) -> list[str]:
        given = read_circuits(circuits)
        wanted = None if shots is None else read_shots(shots)
        return self._against(given, "sample", wanted)

    def prepare(
        self,
        circuits: Circuit | Sequence[Circuit],
        observables: Observable | Sequence[Observable] | None = None,
        *,
        engine: Engine | None = None,
    ) -> Prepared:
        """Make circuits ready; `engine` brings back its threads, where this release computed the earlier answers."""
        given, sums = read_circuits(circuits), read_observables(observables)
        check_together(given, sums)
        if reasons := self._against(given, "estimate" if sums else "sample", None):
            raise Unsupported(f"{self._name} cannot run this: {'; '.join(reasons)}")
        method, reason = self._suitable(given)
        return PreparedShots(
            given,
            sums,
            library=self._library,
            settings=Settings(method=method, memory_limit_bytes=self._limit),
            threads=self._threads if engine is None or engine[:2] != (ENGINES[method], self._library.version) else engine.threads,
            option_text=f"{NAME} method={method}",
            reason=reason,
            keep=self._shelf.keep,
        )

    def attach(self, task_id: str) -> TaskHandle:
        return self._shelf.attach(task_id)

    def find(self, token: str) -> TaskHandle | None:
        return self._shelf.find(token)

    def _suitable(self, circuits: Sequence[Circuit]) -> tuple[str, str]:
        """Return the method for circuits that are prepared together, and why."""
        if self._method is not None:
            return self._method, "asked for"
        wanted = {need for circuit in circuits for need in needs(_opened(circuit))} & {"channels", "reset"}
        return ("density_matrix", f"the circuit has {' and '.join(sorted(wanted))}") if wanted else ("statevector", "")

    def _against(self, circuits: Sequence[Circuit], kind: str, shots: int | None) -> list[str]:
        settings = Settings(method=self._suitable(circuits)[0], memory_limit_bytes=self._limit)
        found = [self._library.reasons(circuit, kind, settings) for circuit in circuits]
        if shots is not None and shots > MAX_SHOTS:
            found = [[*reasons, f"{shots} shots, {NAME} allows {MAX_SHOTS}"] for reasons in found]
        return numbered(found)


class BraketSimulators:
    """Braket's two local simulators as a `ShotLibrary`.

    >>> from qloom.devices.shot_engines import Settings
    >>> BraketSimulators().reasons(Circuit(1).reset(0).x(0).reset(0), "sample", Settings(method="statevector"))
    ['reset, which braket_sv does not run']
    """

    def __init__(self) -> None:
        self.name = NAME
        self.version = require_braket()

    def reasons(self, circuit: Circuit, kind: str, settings: Settings) -> list[str]:
        """Return every reason why it cannot run this circuit so; a reset of a qubit that nothing touched is none."""
        method = settings.method or "statevector"
        plain = _opened(circuit)
        stated = STATED_QUBITS[method]
        spec = DeviceSpec(name=ENGINES[method], num_qubits=stated, gates=frozenset(GATES), features=FEATURES[method])
        found = [] if circuit.num_qubits else ["a circuit without qubits"]
        if circuit.key_length > MAX_CLBITS:
            found.append(f"{circuit.key_length} classical bits, {NAME} has {MAX_CLBITS}")
        if circuit.num_qubits <= stated:
            found += _memory_reasons(method, kind, circuit.num_qubits, settings.memory_limit_bytes)
        return found + width_reasons(plain) + reasons_against(spec, plain)

    def compile(
        self,
        circuit: Circuit,
        observables: Sequence[Observable],
        settings: Settings,
        threads: int | None,
    ) -> tuple[Engine, BraketCircuit]:
        """Make a circuit ready that `reasons` has nothing against."""
        method = settings.method or "statevector"
        chosen = usable_threads(circuit.num_qubits, threads)
        engine = Engine(ENGINES[method], self.version, chosen)
        return engine, BraketCircuit(circuit, observables, method, chosen)


class BraketCircuit:
    """One circuit and its observables, ready in the simulator; a `ShotCircuit`.

    Args:
        circuit: checked already.
        observables: on as many qubits.
        method: one of `METHODS`.
        threads: of the compiled kernels.

    Attributes:
        table: from parameters to the open angles.
        notes: facts for the result's metadata.
    """

    def __init__(self, circuit: Circuit, observables: Sequence[Observable], method: str, threads: int) -> None:
        self._qubits = circuit.num_qubits
        self._method = method
        self._threads = threads
        self._operations = Operations(circuit)
        self._keys = KeyMap(circuit)
        self._observables = tuple(observables)
        self._last: tuple[list[float], Any] | None = None
        self.table = AngleTable(circuit.parameters, self._operations.open_angles)
        self.notes: dict[str, object] = {"simulator": ENGINES[method]}

    def sample(self, angles: list[float], shots: int, seed: int) -> tuple[KeyArray, IntArray]:
        """Draw shots; keys as `SampleTable` holds them."""
        keys, counts = draw(seeded(seed), self._probabilities(self._final(angles)), shots)
        return (keys, counts) if self._keys.identity else self._keys.apply(keys, counts)

    def sample_in(self, angles: list[float], basis: str, shots: int, seed: int) -> tuple[KeyArray, IntArray]:
        """Draw shots of all qubits at the end of the circuit, turned to the basis."""
        last = self._last
        if last is None or last[0] != angles:  # the bases of one set are asked one after the other
            last = self._last = (angles, self._final(angles))
        turned = copy.deepcopy(last[1])
        turned.evolve(turns(basis))
        return draw(seeded(seed), self._probabilities(turned), shots)

    def expectations(self, angles: list[float]) -> list[float]:
        """Return the exact expectation value of each observable at the end of the circuit."""
        final = self._final(angles)
        known: dict[str, float] = {"I" * self._qubits: 1.0}
        for observable in self._observables:
            for string in observable.strings:
                if string not in known:
                    known[string] = float(final.expectation(pauli(string)))
        return [
            sum(weight * known[string] for string, weight in zip(observable.strings, observable.coefficients, strict=True))
            for observable in self._observables
        ]

    def _final(self, angles: list[float]) -> Any:
        import numba
        from braket.default_simulator import DensityMatrixSimulation, StateVectorSimulation

        numba.set_num_threads(self._threads)
        operations = self._operations.bound(angles)
        simulation = (
            StateVectorSimulation(self._qubits, 0, 1)
            if self._method == "statevector"
            else DensityMatrixSimulation(self._qubits, 0)
        )
        simulation.evolve(operations)
        return simulation

    def _probabilities(self, simulation: Any) -> FloatArray:
        found: FloatArray = simulation.probabilities
        return found


def usable_threads(num_qubits: int, threads: int | None) -> int:
    """Return the threads for a circuit of that size, at most those that the package's compiler started with.

    >>> usable_threads(4, None)
    1
    """
    return min(suitable_threads(num_qubits, threads), _most_threads())


@cache
def _most_threads() -> int:
    """Return the threads that numba gave this process; Braket's package overwrites the setting that says so."""
    import braket.default_simulator  # noqa: F401  what it asks of numba counts
    import numba

    return int(numba.get_num_threads())


def _opened(circuit: Circuit) -> Circuit:
    """Return the circuit without resets of qubits that nothing has touched yet, verbatim blocks opened."""
    steps = tuple(without_idle_resets(circuit))
    return Circuit.trusted(circuit.num_qubits, steps, circuit.num_clbits, circuit.parameters)


def _needed_bytes(method: str, num_qubits: int) -> int:
    """Return the bytes of one call: states, the probabilities, and drawing from them."""
    amplitudes = 1 << (num_qubits if method == "statevector" else 2 * num_qubits)
    return 16 * STATES * amplitudes + 8 * (1 << num_qubits) + drawing_bytes(1 << num_qubits, 1)


def _memory_reasons(method: str, kind: str, num_qubits: int, limit: int | None) -> list[str]:
    need = _needed_bytes(method, num_qubits)
    over = over_limit(need, limit)
    what = f"one {kind} of {num_qubits} qubits needs {need} bytes with {ENGINES[method]}"
    return [] if over is None else [f"{what}, {over}; use fewer qubits"]


def _qubits_in_memory(method: str, limit: int | None) -> int:
    allowed = memory_limit() if limit is None else limit
    return max((count for count in range(1, 41) if _needed_bytes(method, count) <= allowed), default=0)
