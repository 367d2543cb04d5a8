"""`qiskit:module:name`: any Qiskit `BackendV2` as a device, given by itself or by what makes it.

Circuits are transpiled by Qiskit once when they are prepared, with parameters symbolic, and kept in the compile cache for other
processes; a result's metadata says on which qubits they ran. Samples come from the backend's own `run`, or from a V2 sampler
(`run.sampler=module:name`).
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.devices.common import (
    ORDER_MASK,
    ComputedHere,
    TaskShelf,
    check_together,
    constant,
    first_seed,
    following_seeds,
    numbered,
    read_circuits,
    read_observables,
)
from qloom.devices.engines import suitable_threads
from qloom.devices.pauli_sums import GroupEstimator
from qloom.devices.qiskit_cache import KeptCircuits
from qloom.devices.qiskit_circuits import METER, QiskitCircuit, Transpiler
from qloom.devices.qiskit_loading import SCHEME, Wanted, load_backend, make_sampler, read_name, spec_of
from qloom.devices.qiskit_runs import WORD_BITS, BackendRuns, SamplerRuns, keys_of
from qloom.devices.qiskit_values import ExactValues, gives_exact_values
from qloom.errors import Unsupported
from qloom.kit.compile_cache import CompileCache
from qloom.kit.parameter_shift import ShiftedCircuit
from qloom.kit.qiskit_out import require_qiskit
from qloom.results import Engine, Result, table_of
from qloom.specs import reasons_against
from qloom.tasks import Compiled, read_shots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.contracts import Device, TaskHandle
    from qloom.devices.qiskit_runs import Counts, Runs
    from qloom.specs import DeviceSpec
    from qloom.tasks import FloatArray, ParameterValues

DIGEST_VERSION = 2
THREADS_OPTION = "max_parallel_threads"
"""Aer's name for its threads."""


def create(rest: str = "", *, threads: int | None = None) -> Device:
    """Any Qiskit BackendV2, given by `module:name` of the backend or of what makes it, transpiled for by Qiskit.

    Args:
        rest: `module:name`, or `module:name:argument=value,...` with JSON values for what makes the backend. Options of ours have
            a dot: `transpile.level` (0 to 3, else 1), `transpile.seed` (else 0), `run.sampler` (`module:name` of a V2 sampler).
        threads: for Aer; None for 1 up to 16 qubits and every core above.

    Raises:
        InvalidSetting: not of that form, or what is there is no backend.
        UnknownName: no such module, name, argument or option.
        MissingExtra: Qiskit is not installed.

    The folder of the compile cache is the one that the environment names when the device is made.

    >>> from qloom.circuits import Circuit
    >>> made = create("qiskit.providers.fake_provider:GenericBackendV2:num_qubits=3,seed=1,noise_info=false")
    >>> result = made.prepare(Circuit(2).h(0).cx(0, 1)).run(shots=100, seed=1)
    >>> sorted(result.counts), sorted(result.metadata)
    (['00', '11'], ['backend', 'circuits', 'transpiler'])
    """
    wanted = read_name(rest)
    return QiskitDevice(load_backend(wanted), name=f"{SCHEME}:{rest}", wanted=wanted, threads=threads)


def check_options(rest: str) -> None:
    """Refuse a name that `create` would refuse, whatever is installed here.

    >>> check_options("qiskit_aer")
    Traceback (most recent call last):
    qloom.errors.InvalidSetting: a Qiskit backend is named qiskit:module:name, or ...; got 'qiskit:qiskit_aer'
    """
    read_name(rest)


class QiskitDevice:
    """A Qiskit backend as a `Device`. It keeps its last 1000 tasks, in this process; a task has ended when `submit` returns.

    Args:
        backend: a `BackendV2`.
        name: the name it was asked for by; `qiskit:` and the backend's own where none is given.
        wanted: how it was asked for, with our options.
        threads: as for `create`.

    >>> from qiskit.providers.basic_provider import BasicSimulator
    >>> QiskitDevice(BasicSimulator()).name
    'qiskit:basic_simulator'
    """

    def __init__(
        self, backend: Any, *, name: str | None = None, wanted: Wanted | None = None, threads: int | None = None
    ) -> None:
        self.backend = backend
        self._name = f"{SCHEME}:{backend.name}" if name is None else name
        self._wanted = Wanted(type(backend).__module__, str(backend.name), {}) if wanted is None else wanted
        self._threads = threads
        self._transpiler = Transpiler(backend, self._wanted.level, self._wanted.seed, KeptCircuits(CompileCache.default()))
        self._shelf = TaskShelf(self._name)

    @property
    def name(self) -> str:
        return self._name

    def spec(self) -> DeviceSpec:
        return spec_of(self._name, self.backend, exact=gives_exact_values(self.backend))

    def check(self, circuits: Circuit | Sequence[Circuit], shots: int | None = None) -> list[str]:
        given, spec = read_circuits(circuits), self.spec()
        wanted = None if shots is None else read_shots(shots)
        return numbered([_reasons(spec, circuit, wanted) for circuit in given])

    def prepare(
        self,
        circuits: Circuit | Sequence[Circuit],
        observables: Observable | Sequence[Observable] | None = None,
        *,
        engine: Engine | None = None,
    ) -> PreparedQiskit:
        given, sums = read_circuits(circuits), read_observables(observables)
        check_together(given, sums)
        spec = self.spec()
        if reasons := numbered([_reasons(spec, circuit, None) for circuit in given]):
            raise Unsupported(f"{self._name} cannot run this: {'; '.join(reasons)}")
        chosen, options = self._engine(max(circuit.num_qubits for circuit in given), engine)
        return PreparedQiskit(
            given,
            sums,
            backend=self.backend,
            transpiler=self._transpiler,
            runs=self._runs(options),
            engine=chosen,
            option_text=self._option_text(),
            shelf=self._shelf,
        )

    def attach(self, task_id: str) -> TaskHandle:
        return self._shelf.attach(task_id)

    def find(self, token: str) -> TaskHandle | None:
        return self._shelf.find(token)

    def _engine(self, num_qubits: int, before: Engine | None) -> tuple[Engine, dict[str, Any]]:
        """Return what computes, and its options for each run."""
        version = str(self.backend.backend_version or require_qiskit())
        name, reason = str(self.backend.name), f"sampled by {self._wanted.sampler}" if self._wanted.sampler else ""
        if not hasattr(self.backend.options, THREADS_OPTION):
            return Engine(name, version, 1, reason), {}
        own = getattr(self.backend.options, THREADS_OPTION)
        same = before is not None and (before.name, before.version) == (name, version)
        threads = before.threads if before is not None and same else own or suitable_threads(num_qubits, self._threads)
        return Engine(name, version, int(threads), reason), {THREADS_OPTION: int(threads)}

    def _runs(self, options: dict[str, Any]) -> Runs:
        if not self._wanted.sampler:
            return BackendRuns(self.backend, options)
        return SamplerRuns(make_sampler(self._wanted.sampler, self.backend), self._wanted.sampler)

    def _option_text(self) -> str:
        wanted = self._wanted
        arguments = json.dumps(wanted.arguments, sort_keys=True)
        return f"{wanted.module}:{wanted.name} {arguments} level={wanted.level} seed={wanted.seed} sampler={wanted.sampler}"


def _reasons(spec: DeviceSpec, circuit: Circuit, shots: int | None) -> list[str]:
    return ([] if circuit.num_qubits else ["a circuit without qubits"]) + reasons_against(spec, circuit, shots)


class PreparedQiskit(ComputedHere):
    """Circuits, and what is to be measured, transpiled for a backend. Safe to use from several threads at once.

    Args:
        circuits: checked already, with the same parameters.
        observables: what `estimate` and `gradient` ask for.
        backend: a `BackendV2`.
        transpiler: for that backend.
        runs: what runs circuits on it.
        engine: what computes.
        option_text: the device's options, for the digest.
        shelf: where tasks are kept.
    """

    def __init__(
        self,
        circuits: Sequence[Circuit],
        observables: Sequence[Observable],
        *,
        backend: Any,
        transpiler: Transpiler,
        runs: Runs,
        engine: Engine,
        option_text: str,
        shelf: TaskShelf,
    ) -> None:
        super().__init__(circuits, observables, option_text, shelf.keep)
        self._backend = backend
        self._transpiler = transpiler
        self._runs = runs
        self._engine = engine
        self._items = [QiskitCircuit(circuit, backend, transpiler) for circuit in circuits]
        self._shifted: list[tuple[ShiftedCircuit, QiskitCircuit]] | None = None
        # What cannot be placed is told now, and paid for now.
        self._ready = [item.unmeasured() if observables else item.sampled() for item in self._items]
        self._compiler = transpiler.full_text()

    @property
    def digest(self) -> str:
        found = self.compiled
        return blake2b(f"{found.source}|{found.digest}".encode(), digest_size=16).hexdigest()

    @property
    def compiled(self) -> Compiled:
        """What the transpiler made of the circuits; part of the digest."""
        lines = [f"qloom qiskit prepared {DIGEST_VERSION}", self._option_text, *(circuit.digest for circuit in self._circuits)]
        lines += ["observables", *(observable.digest for observable in self._observables)]
        made = [item.digest(ready) for item, ready in zip(self._items, self._ready, strict=True)]
        source, digest = (blake2b("\n".join(part).encode(), digest_size=16).hexdigest() for part in (lines, made))
        return Compiled(source, digest, self._compiler)

    @property
    def engine(self) -> Engine:
        return self._engine

    def run(self, parameters: ParameterValues = None, shots: int = 1000, *, seed: int | None = None) -> Result:
        shots = read_shots(shots)
        seeds = following_seeds(first_seed(seed))
        sets = self._read_sets(parameters)
        order = next(seeds) & ORDER_MASK
        asked = [(item, item.sampled(), row) for item in self._items for row in item.table.rows(sets).tolist()]
        bound = [item.bound(circuit, row) for item, circuit, row in asked]
        found = self._runs.counts(bound, "c", shots, seeds)
        widths = [length for length in self._lengths for _ in sets]
        samples = [keys_of(counts, width) for counts, width in zip(found, widths, strict=True)]
        table = table_of(samples, widths, order, rows_are_shots=False)
        ready = [item.sampled() for item in self._items]
        return self._result(shots, sets, ready, samples=table)

    def estimate(self, parameters: ParameterValues = None, shots: int | None = None, *, seed: int | None = None) -> Result:
        self._require_observables()
        shots = None if shots is None else read_shots(shots)
        start = first_seed(seed)
        sets = self._read_sets(parameters)
        if shots is not None:
            return self._from_shots(sets, shots, start)
        exact = self._exact()
        rows = [exact.values(item, item.table.rows(sets), self._observables) for item in self._items]
        return self._result(None, sets, self._ready, values=np.concatenate(rows))

    def gradient(self, parameters: ParameterValues = None) -> Result:
        """By parameter shifts, from exact values."""
        self._require_observables()
        exact = self._exact()
        sets = self._read_sets(parameters)
        values, gradients = [], []
        for shifted, item in self._shifted_circuits():
            for row in sets:
                found = exact.values(item, item.table.rows(shifted.sets(row)), self._observables)
                values.append(found[0])
                gradients.append(shifted.gradients(row, found))
        return self._result(None, sets, self._ready, values=np.array(values), gradients=np.array(gradients))

    # ---- inside --------------------------------------------------------------------------------------------------

    def _exact(self) -> ExactValues:
        return ExactValues(self._backend, self._engine.threads)

    def _from_shots(self, sets: FloatArray, shots: int, seed: int) -> Result:
        """One measurement for each group of each observable, each with its own shots, so that errors are independent."""
        if (widest := max(circuit.num_qubits for circuit in self._circuits)) > WORD_BITS:
            raise Unsupported(f"values from shots are worked out for at most {WORD_BITS} qubits, the circuit has {widest}")
        estimators = [
            (column, GroupEstimator(observable, group))
            for column, observable in enumerate(self._observables)
            for group in observable.groups
        ]
        rows = [(item, row) for item in self._items for row in item.table.rows(sets).tolist()]
        bound = [item.bound(item.measured_in(one.basis), row) for item, row in rows for _, one in estimators]
        found = iter(self._runs.counts(bound, METER, shots, following_seeds(seed)))
        values = np.tile([constant(observable) for observable in self._observables], (len(rows), 1))
        variances = np.zeros_like(values)
        for index, (item, _) in enumerate(rows):
            for column, (mean, variance) in _estimates(estimators, found, item.source.num_qubits):
                values[index, column] += mean
                variances[index, column] += variance
        return self._result(shots, sets, self._ready, values=values, standard_errors=np.sqrt(variances))

    def _shifted_circuits(self) -> list[tuple[ShiftedCircuit, QiskitCircuit]]:
        if self._shifted is None:
            shifted = [ShiftedCircuit(circuit) for circuit in self._circuits]
            self._shifted = [(one, QiskitCircuit(one.circuit, self._backend, self._transpiler)) for one in shifted]
        return self._shifted

    def _result(self, shots: int | None, sets: FloatArray, ready: Sequence[Any], **answers: Any) -> Result:
        notes = [item.notes(circuit) for item, circuit in zip(self._items, ready, strict=True)]
        return Result(
            engine=self._engine,
            shots=shots,
            sets=len(sets),
            key_lengths=self._lengths,
            metadata={"backend": str(self._backend.name), "transpiler": self._transpiler.text, "circuits": notes},
            **answers,
        )


def _estimates(
    estimators: Sequence[tuple[int, GroupEstimator]], found: Iterator[Counts], width: int
) -> Iterator[tuple[int, tuple[float, float]]]:
    """Yield the column, and the mean and its variance, of each group of one circuit and parameter set."""
    for column, estimator in estimators:
        states, counts = keys_of(next(found), width)
        yield column, estimator.estimate(states, counts)  # type: ignore[arg-type]  # up to 64 qubits these are words
