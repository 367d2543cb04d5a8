"""Circuits made ready on `sim`: what runs for every parameter set, so what is counted in microseconds."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qloom.devices.alike import in_order
from qloom.devices.common import ORDER_MASK, ComputedHere
from qloom.devices.compiled import KeyMap
from qloom.devices.engines import memory_reason, needed_bytes
from qloom.devices.numpy_sets import SetsCircuit, suits
from qloom.devices.pauli_sums import GroupEstimator
from qloom.devices.sampler import MAX_SHOTS, SMALL, draw, draw_rows, drawing_bytes, seeded
from qloom.errors import InvalidTask, Unsupported
from qloom.results import Engine, Result, SampleTable
from qloom.tasks import LARGEST_SEED, read_parameters, read_seed, read_shots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.circuits import Observable
    from qloom.contracts import TaskHandle
    from qloom.devices.alike import Alike
    from qloom.devices.choosing import Found
    from qloom.devices.engines import EngineCircuit, EngineLibrary
    from qloom.results import IntArray, KeyArray
    from qloom.tasks import FloatArray, ParameterValues

FLOAT64 = np.dtype(np.float64)
CHUNK = 1 << 20
"""Probabilities held at once when many small sets are sampled: 8 MiB."""
LARGEST_PARAMETER = 1e150
_new_table = tuple.__new__  # a third of the time of the named constructor


class _Item(NamedTuple):
    """One circuit of several."""

    circuit: EngineCircuit
    keys: KeyMap
    num_qubits: int


class PreparedSim(ComputedHere):
    """Circuits, and what is to be measured, ready in an engine. Safe to use from several threads at once.

    Args:
        groups: the circuits by structure, checked already, with the same parameters.
        observables: what `estimate` and `gradient` ask for; on as many qubits as the circuits.
        found: the engine, and why it was picked.
        threads: asked for, or None.
        memory_limit_bytes: for one call, or None for what is available.
        option_text: the device's options, for the digest.
        keep: keeps a task under its token and returns its handle.
        together: whether many sets of a tiny circuit may be worked out at once, by numpy. Whether they are depends on the
            numbers of qubits and of sets alone (`numpy_sets.suits`), never on what ran before or how fast this host is: the same
            call always takes the same way, in a resumed job as well. The result's metadata tell of it; its engine is the
            library, which answers all else.
    """

    def __init__(
        self,
        groups: Sequence[Alike],
        observables: Sequence[Observable],
        *,
        found: Found,
        threads: int | None,
        memory_limit_bytes: int | None,
        option_text: str,
        keep: Callable[[str | None, Callable[[], Result]], TaskHandle],
        together: bool = True,
    ) -> None:
        circuits = in_order(groups, lambda group: group.circuits)
        super().__init__(circuits, observables, option_text, keep)
        self._limit = memory_limit_bytes
        self._qubits = max(circuit.num_qubits for circuit in circuits)
        name, version, number, _ = found.library.engine(self._qubits, threads)
        self._engine = Engine(name, version, number, found.reason)
        self._items = in_order(groups, lambda group: self._made(found.library, group))
        self._count = len(self._names) if self._delays is None else -1  # lengths are looked at, so no set is taken as it is
        self._only = self._items[0] if len(self._items) == 1 else None
        self._none = np.zeros(0)
        self._together = together
        self._sets: dict[int, SetsCircuit] = {}
        self._estimators: list[tuple[int, GroupEstimator]] | None = None

    def _made(self, library: EngineLibrary, group: Alike) -> list[_Item]:
        """Return circuits of one structure made ready; alone, a circuit's numbers are those of its own calls."""
        first = group.circuits[0]
        keys = KeyMap(first)
        if len(group.circuits) == 1:
            return [_Item(library.compile(first, self._observables, self._engine), keys, first.num_qubits)]
        ready = library.compile_alike(group.circuits, self._observables, self._engine)
        return [_Item(one, keys, first.num_qubits) for one in ready]

    @property
    def engine(self) -> Engine:
        return self._engine

    def run(self, parameters: ParameterValues = None, shots: int = 1000, *, seed: int | None = None) -> Result:
        if type(shots) is not int or shots < 1:
            shots = read_shots(shots)
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little")
        elif type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
            seed = read_seed(seed)
        values = self._values(parameters)
        self._check_sample(shots)
        item = self._only
        if item is None or values.ndim == 2:
            return self._run_many(np.atleast_2d(values), shots, seed)
        circuit = item.circuit
        keys, counts = draw(seeded(seed), circuit.probabilities(circuit.table.row(values)), shots)
        if not item.keys.identity:
            keys, counts = item.keys.apply(keys, counts)
        samples = _new_table(SampleTable, (keys, counts, (0, len(keys)), seed & ORDER_MASK))
        return Result(engine=self._engine, shots=shots, key_lengths=self._lengths, samples=samples)

    def estimate(self, parameters: ParameterValues = None, shots: int | None = None, *, seed: int | None = None) -> Result:
        self._require_observables()
        if shots is not None:
            shots = read_shots(shots)
            _check_shots(shots)
        if seed is not None:
            seed = read_seed(seed)
        values = self._values(parameters)
        self._check_memory("estimate")
        if shots is not None:
            start = int.from_bytes(os.urandom(8), "little") if seed is None else seed
            return self._estimate_from_shots(np.atleast_2d(values), shots, start)
        if self._only is not None and values.ndim == 1:
            circuit = self._only.circuit
            found = np.array([circuit.expectations(circuit.table.row(values))])
            return Result(engine=self._engine, shots=None, key_lengths=self._lengths, values=found)
        sets = np.atleast_2d(values)
        found = np.concatenate([self._exact(place, sets) for place in range(len(self._items))])
        return Result(
            engine=self._engine,
            shots=None,
            sets=len(sets),
            key_lengths=self._lengths,
            values=found,
            metadata=self._ways(len(sets)),
        )

    def gradient(self, parameters: ParameterValues = None) -> Result:
        self._require_observables()
        if self._delays is not None:
            self._delays.refuse_derivative()
        sets = np.atleast_2d(self._values(parameters))
        self._check_memory("gradient")
        found = [item.circuit.gradients(row) for item in self._items for row in sets]
        return Result(
            engine=self._engine,
            shots=None,
            sets=len(sets),
            key_lengths=self._lengths,
            values=np.array([values for values, _ in found]),
            gradients=np.array([gradients for _, gradients in found]),
        )

    # ---- reading -------------------------------------------------------------------------------------------------

    def _values(self, parameters: ParameterValues) -> FloatArray:
        """Return one set, shape (parameters,), or several, shape (sets, parameters).

        The first branch is the way of a loop that hands over one float64 array after the other, and costs 0.5 us.
        """
        if type(parameters) is np.ndarray and parameters.dtype is FLOAT64 and parameters.shape == (self._count,):
            # Finite unless an entry is not, or is too large: then the slow way tells them apart.
            if math.isfinite(parameters.dot(parameters)):
                return parameters
        elif parameters is None and self._count == 0:
            return self._none
        array = read_parameters(self._names, parameters)
        if len(array) == 0:
            raise InvalidTask("no parameter sets: the array of parameters has no rows")
        if array.size and (largest := float(np.abs(array).max())) > LARGEST_PARAMETER:
            raise InvalidTask(f"a parameter of {largest:g} is too large to be an angle; the limit is {LARGEST_PARAMETER:g}")
        if self._delays is not None:
            self._delays.check(array)
        return array[0] if len(array) == 1 else array

    def _check_sample(self, shots: int) -> None:
        if self._qubits >= 16 or shots >= 1 << 16 or self._limit is not None:
            _check_shots(shots)
            self._check_memory("sample", drawing_bytes(1 << self._qubits, shots))

    def _check_memory(self, kind: str, extra: int = 0) -> None:
        """Refuse what does not fit, before anything is allocated.

        Raises:
            Unsupported: it needs more bytes than the limit; both are named.
        """
        observables, threads = len(self._observables), self._engine.threads
        need = needed_bytes(kind, self._qubits, observables=observables, threads=threads) + extra
        if reason := memory_reason(f"one {kind}", self._qubits, need, self._limit):
            raise Unsupported(f"sim cannot compute this: {reason}")

    # ---- many ----------------------------------------------------------------------------------------------------

    def _run_many(self, sets: FloatArray, shots: int, seed: int) -> Result:
        generator = seeded(seed)
        keys: list[KeyArray] = []
        counts: list[IntArray] = []
        splits = [0]
        for place, item in enumerate(self._items):
            together = self._at_once(place, len(sets))
            small = 1 << item.num_qubits <= SMALL
            step = CHUNK >> item.num_qubits if small else 1
            for start in range(0, len(sets), step):
                drawn = _draw_chunk(item, together, sets[start : start + step], shots, generator)
                keys.append(drawn[0])
                counts.append(drawn[1])
                base = splits[-1]
                splits += [base + end for end in drawn[2]]
        samples = SampleTable(np.concatenate(keys), np.concatenate(counts), tuple(splits), seed & ORDER_MASK)
        return Result(
            engine=self._engine,
            shots=shots,
            sets=len(sets),
            key_lengths=self._lengths,
            samples=samples,
            metadata=self._ways(len(sets)),
        )

    def _exact(self, place: int, sets: FloatArray) -> FloatArray:
        """Return the exact values of one circuit for these sets, shape (sets, observables)."""
        together = self._at_once(place, len(sets))
        if together is None:
            circuit = self._items[place].circuit
            return np.array([circuit.expectations(angles) for angles in circuit.table.rows(sets).tolist()])
        step = CHUNK >> self._items[place].num_qubits
        parts = (sets[start : start + step] for start in range(0, len(sets), step))
        return np.concatenate([together.expectations(together.table.rows(part)) for part in parts])

    def _at_once(self, place: int, sets: int) -> SetsCircuit | None:
        """Return a circuit ready for many sets at once, where that is how so many are worked out."""
        if not self._together or not suits(self._items[place].num_qubits, sets):
            return None
        if place not in self._sets:
            self._sets[place] = SetsCircuit(self._circuits[place], self._observables)
        return self._sets[place]

    def _ways(self, sets: int) -> dict[str, object]:
        """Return what the result tells of how so many sets were worked out, where that was not by the engine."""
        at_once = [self._at_once(place, sets) is not None for place in range(len(self._items))]
        return {"sets_together": "numpy"} if any(at_once) else {}

    def _estimate_from_shots(self, sets: FloatArray, shots: int, seed: int) -> Result:
        """One measurement for each group of each observable, each with its own shots, so that errors are independent."""
        if self._estimators is None:
            self._estimators = [
                (column, GroupEstimator(observable, group))
                for column, observable in enumerate(self._observables)
                for group in observable.groups
            ]
        estimators = self._estimators
        bases = [estimator.basis for _, estimator in estimators]
        constants = [
            sum(value for text, value in observable.terms.items() if set(text) == {"I"}) for observable in self._observables
        ]
        values = np.tile(np.array(constants, dtype=np.float64), (len(self._items) * len(sets), 1))
        variances = np.zeros_like(values)
        generator = seeded(seed)
        rows = ((item, angles) for item in self._items for angles in item.circuit.table.rows(sets).tolist())
        for row, (item, angles) in enumerate(rows):
            found = item.circuit.probabilities_in(angles, bases)
            for (column, estimator), probabilities in zip(estimators, found, strict=True):
                mean, variance = estimator.estimate(*draw(generator, probabilities, shots))
                values[row, column] += mean
                variances[row, column] += variance
        return Result(
            engine=self._engine,
            shots=shots,
            sets=len(sets),
            key_lengths=self._lengths,
            values=values,
            standard_errors=np.sqrt(variances),
        )


def _check_shots(shots: int) -> None:
    if shots > MAX_SHOTS:
        raise Unsupported(f"{shots} shots, sim allows {MAX_SHOTS}")


def _draw_chunk(
    item: _Item, together: SetsCircuit | None, sets: FloatArray, shots: int, generator: np.random.Generator
) -> tuple[KeyArray, IntArray, list[int]]:
    """Return keys and counts of some sets of one circuit, and where each set ends."""
    circuit = item.circuit
    if together is not None:
        keys, counts, ends = draw_rows(generator, together.probabilities(together.table.rows(sets)), shots)
    elif len(sets) == 1:
        keys, counts = draw(generator, circuit.probabilities(circuit.table.row(sets[0])), shots)
        ends = [len(keys)]
    else:
        table = np.empty((len(sets), 1 << item.num_qubits))
        for row, angles in enumerate(circuit.table.rows(sets).tolist()):
            table[row] = circuit.probabilities(angles)
        keys, counts, ends = draw_rows(generator, table, shots)
    if item.keys.identity:
        return keys, counts, ends
    parts = [item.keys.apply(keys[start:end], counts[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    lengths = np.cumsum([len(part) for part, _ in parts]).tolist()
    return np.concatenate([part for part, _ in parts]), np.concatenate([part for _, part in parts]), lengths
