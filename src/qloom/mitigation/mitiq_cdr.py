"""Mitiq's Clifford data regression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.contracts.stage import VALUES, Answer, Expansion, StageCost
from qloom.errors import Unsupported
from qloom.mitigation.cirq_bridge import to_cirq
from qloom.mitigation.mitiq_technique import SEEDS, Technique, asked, each, folding, read_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from qloom.circuits import Circuit, Observable
    from qloom.contracts.stage import StageContext
    from qloom.mitigation.mitiq_options import CdrOptions

    FloatArray = npt.NDArray[np.float64]

MOST_SIMULATED = 20
"""Qubits: training circuits are simulated by state vectors, 16 MiB at 20."""


RESOLUTION = 1e-12
"""Differences between values, relative to the largest, that count as none."""


class Cdr(Technique):
    """Clifford data regression."""

    def expand(self, circuit: Circuit, options: CdrOptions, context: StageContext) -> Expansion:
        """Make near-Clifford circuits like the given one, and work out their ideal values."""
        import cirq
        from mitiq import cdr

        _check_trainable(circuit)
        plain, given = to_cirq(circuit, "mitiq:cdr"), to_cirq(circuit, "mitiq:cdr", turns=True)
        if all(cirq.has_stabilizer_effect(operation) for operation in given.all_operations()):
            ideal = _ideal(given, context.observables, circuit.num_qubits)
            return Expansion((circuit,), {"ideal": [ideal], "clifford": True}, takes=VALUES)
        for operation in given.all_operations():
            if not cirq.has_stabilizer_effect(operation) and not isinstance(operation.gate, cirq.ZPowGate):
                raise Unsupported(
                    f"mitiq:cdr needs a circuit whose only gates off the Clifford group are turns about Z, and this one has"
                    f" {operation.gate!r}; bring it to rz, sx, x and cx first, by the stage transpile behind this one"
                )
        seed = context.seed % SEEDS
        with asked("cdr", seed):
            how = (options.training_circuits, options.fraction_non_clifford, options.select, options.replace)
            training = cdr.generate_training_circuits(given, *how, random_state=seed)
            scale = folding(options.scaling, context.seed)
            scaled = [one if factor == 1 else scale(one, factor) for one in (plain, *training) for factor in options.scales]
        recipe = {"ideal": [_ideal(one, context.observables, circuit.num_qubits) for one in training], "clifford": False}
        return Expansion(read_all(scaled, circuit, "cdr"), recipe, takes=VALUES)

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: CdrOptions) -> Answer:
        """Fit ideal values to noisy ones over the training circuits, and read the given circuit's off the line."""
        ideal = np.array(recipe["ideal"], dtype=np.float64)
        if recipe["clifford"]:
            return Answer(ideal, np.zeros_like(ideal))
        scales = len(options.scales)

        def regressed(values: FloatArray, index: int) -> float:
            noisy = values.reshape(-1, scales)
            rows = np.column_stack([noisy, np.ones(len(noisy))]) if options.intercept else noisy
            fitted, _, rank, _ = np.linalg.lstsq(rows[1:], ideal[:, index], rcond=RESOLUTION)
            if rank < rows.shape[1] and not _reaches(rows[1:], rows[0]):
                raise Unsupported(
                    f"mitiq:cdr: the {len(ideal)} training circuits give too few different values for observable {index} to fit"
                    f" {rows.shape[1]} numbers; take more training_circuits, another fraction_non_clifford, or replace: uniform"
                )
            return float(rows[0] @ fitted)

        return each(regressed, answers)

    def cost(self, options: CdrOptions) -> StageCost:
        """Return the circuit and its training circuits, at each scale."""
        count = (1 + options.training_circuits) * len(options.scales)
        return StageCost(count, count)


def _reaches(rows: FloatArray, wanted: FloatArray) -> bool:
    """Return whether a line fitted to the rows says something of another one: whether that is a sum of multiples of them."""
    factors = np.linalg.lstsq(rows.T, wanted, rcond=RESOLUTION)[0]
    return bool(np.allclose(factors @ rows, wanted, rtol=0, atol=1e-9))


def _check_trainable(circuit: Circuit) -> None:
    if circuit.parameters:
        names = ", ".join(circuit.parameters[:4])
        raise Unsupported(
            f"mitiq:cdr needs a circuit without parameters, since what its training circuits are depends on the angles; this one"
            f" has {len(circuit.parameters)} ({names}): bind them first"
        )
    if circuit.num_qubits > MOST_SIMULATED:
        raise Unsupported(
            f"mitiq:cdr simulates its training circuits, up to {MOST_SIMULATED} qubits; this circuit has {circuit.num_qubits}"
        )


def _ideal(given: Any, observables: Sequence[Observable], num_qubits: int) -> list[float]:
    """Return the exact value of each observable, by a state vector."""
    import cirq

    qubits = cirq.LineQubit.range(num_qubits)
    state = cirq.Simulator(dtype=np.complex128).simulate(given, qubit_order=qubits).final_state_vector
    place = {qubit: index for index, qubit in enumerate(qubits)}
    return [
        math.fsum(
            coefficient * cirq.DensePauliString(string).on(*qubits).expectation_from_state_vector(state, place).real
            for string, coefficient in observable.terms.items()
        )
        for observable in observables
    ]
