"""Circuits made ready in an engine that draws its own samples: noise, feed-forward, stabilizers, tensor networks."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qloom.devices.common import ORDER_MASK, ComputedHere, constant, first_seed, following_seeds
from qloom.devices.pauli_sums import GroupEstimator
from qloom.devices.sampler import MAX_SHOTS
from qloom.devices.shot_engines import ManySets
from qloom.errors import Unsupported
from qloom.kit.parameter_shift import ShiftedCircuit
from qloom.results import Result, table_of
from qloom.results.memory import require_memory
from qloom.tasks import read_shots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.contracts import TaskHandle
    from qloom.devices.shot_engines import Settings, ShotCircuit, ShotLibrary
    from qloom.results import Engine, IntArray, KeyArray, SampleTable
    from qloom.tasks import FloatArray, ParameterValues

NARROW_BITS = 64
"""Up to so many qubits a basis state is one number."""


class _Item(NamedTuple):
    """One circuit of several."""

    circuit: ShotCircuit
    num_qubits: int


class PreparedShots(ComputedHere):
    """Circuits, and what is to be measured, ready in an engine that draws its own samples.

    Args:
        circuits: checked already, with the same parameters.
        observables: what `estimate` and `gradient` ask for; on as many qubits as the circuits.
        library: the engine, which has nothing against the circuits.
        settings: how they are simulated.
        threads: asked for, or None.
        option_text: the device's options, for the digest.
        reason: why this engine was picked.
        keep: keeps a task under its token and returns its handle.
    """

    def __init__(
        self,
        circuits: Sequence[Circuit],
        observables: Sequence[Observable],
        *,
        library: ShotLibrary,
        settings: Settings,
        threads: int | None,
        option_text: str,
        reason: str,
        keep: Callable[[str | None, Callable[[], Result]], TaskHandle],
    ) -> None:
        super().__init__(circuits, observables, option_text, keep)
        self._library = library
        self._settings = settings
        self._threads = threads
        made = [library.compile(circuit, self._observables, settings, threads) for circuit in circuits]
        self._items = [_Item(ready, circuit.num_qubits) for (_, ready), circuit in zip(made, circuits, strict=True)]
        self._engine = made[0][0]._replace(reason=reason or made[0][0].reason)
        self._shifted: list[tuple[ShiftedCircuit, ShotCircuit]] | None = None

    @property
    def engine(self) -> Engine:
        return self._engine

    def run(self, parameters: ParameterValues = None, shots: int = 1000, *, seed: int | None = None) -> Result:
        shots = _shots(shots)
        seeds = following_seeds(first_seed(seed))
        sets = self._read_sets(parameters)
        for bits in self._lengths:
            if bits > NARROW_BITS:
                require_memory("samples", shots * len(sets), bits)
        order = next(seeds) & ORDER_MASK
        drawn: list[tuple[KeyArray, IntArray]] = []
        for item in self._items:
            rows = item.circuit.table.rows(sets).tolist()
            drawn += _samples(item.circuit, rows, shots, list(islice(seeds, len(rows))))
        lengths = [length for length in self._lengths for _ in sets]
        return self._result(shots, sets, samples=table_of(drawn, lengths, order))

    def estimate(self, parameters: ParameterValues = None, shots: int | None = None, *, seed: int | None = None) -> Result:
        self._require_observables()
        sets = self._read_sets(parameters)
        if shots is not None:
            return self._from_shots(sets, _shots(shots), first_seed(seed))
        rows = [row for item in self._items for row in _expectations(item.circuit, item.circuit.table.rows(sets).tolist())]
        return self._result(None, sets, values=np.array(rows))

    def gradient(self, parameters: ParameterValues = None) -> Result:
        """By parameter shifts: exact where the values are."""
        self._require_observables()
        sets = self._read_sets(parameters)
        values, gradients = [], []
        for shifted, circuit in self._shifted_circuits():
            for row in sets:
                asked = circuit.table.rows(shifted.sets(row)).tolist()
                found = np.array(_expectations(circuit, asked))
                values.append(found[0])
                gradients.append(shifted.gradients(row, found))
        return self._result(None, sets, values=np.array(values), gradients=np.array(gradients))

    # ---- inside --------------------------------------------------------------------------------------------------

    def _result(
        self,
        shots: int | None,
        sets: FloatArray,
        *,
        samples: SampleTable | None = None,
        values: FloatArray | None = None,
        standard_errors: FloatArray | None = None,
        gradients: FloatArray | None = None,
    ) -> Result:
        notes = [dict(item.circuit.notes) for item in self._items]
        metadata = notes[0] if len(notes) == 1 else {"circuits": notes} if any(notes) else {}
        return Result(
            engine=self._engine,
            shots=shots,
            sets=len(sets),
            key_lengths=self._lengths,
            samples=samples,
            values=values,
            standard_errors=standard_errors,
            gradients=gradients,
            metadata=metadata,
        )

    def _from_shots(self, sets: FloatArray, shots: int, seed: int) -> Result:
        """One measurement for each group of each observable, each with its own shots, so that errors are independent."""
        self._check_narrow()
        seeds = following_seeds(seed)
        values = np.tile([constant(observable) for observable in self._observables], (len(self._items) * len(sets), 1))
        variances = np.zeros_like(values)
        estimators = [
            (column, GroupEstimator(observable, group))
            for column, observable in enumerate(self._observables)
            for group in observable.groups
        ]
        rows = ((item, angles) for item in self._items for angles in item.circuit.table.rows(sets).tolist())
        for row, (item, angles) in enumerate(rows):
            for column, estimator in estimators:
                drawn = item.circuit.sample_in(angles, estimator.basis, shots, next(seeds))
                mean, variance = estimator.estimate(*drawn)
                values[row, column] += mean
                variances[row, column] += variance
        return self._result(shots, sets, values=values, standard_errors=np.sqrt(variances))

    def _check_narrow(self) -> None:
        for item in self._items:
            if item.num_qubits > NARROW_BITS:
                raise Unsupported(
                    f"values from shots are worked out for at most {NARROW_BITS} qubits, the circuit has {item.num_qubits}; "
                    "sample the bases with run(), or ask for exact values where the engine has them"
                )

    def _shifted_circuits(self) -> list[tuple[ShiftedCircuit, ShotCircuit]]:
        if self._shifted is None:
            shifted = [ShiftedCircuit(circuit) for circuit in self._circuits]
            self._shifted = [
                (one, self._library.compile(one.circuit, self._observables, self._settings, self._threads)[1]) for one in shifted
            ]
        return self._shifted


def _samples(circuit: ShotCircuit, rows: list[list[float]], shots: int, seeds: list[int]) -> list[tuple[KeyArray, IntArray]]:
    if isinstance(circuit, ManySets) and len(rows) > 1:
        return circuit.sample_sets(rows, shots, seeds)
    return [circuit.sample(angles, shots, seed) for angles, seed in zip(rows, seeds, strict=True)]


def _expectations(circuit: ShotCircuit, rows: list[list[float]]) -> list[list[float]]:
    if isinstance(circuit, ManySets) and len(rows) > 1:
        return circuit.expectation_sets(rows)
    return [circuit.expectations(angles) for angles in rows]


def _shots(given: object) -> int:
    shots = read_shots(given)
    if shots > MAX_SHOTS:
        raise Unsupported(f"{shots} shots, sim allows {MAX_SHOTS}")
    return shots
