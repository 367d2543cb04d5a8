"""Mitiq's probabilistic error cancellation, of depolarizing noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.contracts.stage import VALUES, Answer, Expansion, StageCost
from qloom.errors import Unsupported
from qloom.mitigation.cirq_bridge import to_cirq
from qloom.mitigation.mitiq_technique import SEEDS, Technique, asked, read_all, stacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qloom.circuits import Circuit
    from qloom.contracts.stage import StageContext
    from qloom.mitigation.mitiq_options import PecOptions

MOST_SAMPLES = 100_000


class Pec(Technique):
    """Probabilistic error cancellation."""

    def expand(self, circuit: Circuit, options: PecOptions, context: StageContext) -> Expansion:
        """Draw circuits with Pauli gates put in, each with a sign."""
        from mitiq import pec

        given = to_cirq(circuit, "mitiq:pec")
        seed = context.seed % SEEDS
        with asked("pec", seed):
            representations = list(_representations(given, options))
            count = options.samples
            if options.precision is not None:
                norm = math.prod(_norms(given, representations))
                count = math.floor((norm / options.precision) ** 2)
                _check_samples(count, norm, options.precision)
            drawn, signs, norm = pec.construct_circuits(
                given, representations, num_samples=max(1, count), random_state=seed, full_output=True
            )
        circuits = read_all(drawn, circuit, "pec")
        recipe: dict[str, Any] = {"norm": float(norm), "signs": [int(sign) for sign in signs]}
        if options.each_once:
            first = {one.digest: place for place, one in reversed(list(enumerate(circuits)))}
            kept = sorted(first.values())
            recipe["which"] = [kept.index(first[one.digest]) for one in circuits]
            circuits = tuple(circuits[place] for place in kept)
        return Expansion(circuits, recipe, takes=VALUES)

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: PecOptions) -> Answer:
        """Average the signed values; the error is that of the average over the drawn circuits, shots included."""
        values, errors = stacked(answers)
        signs = recipe["norm"] * np.array(recipe["signs"], dtype=np.float64)
        samples = len(signs)
        which = np.array(recipe.get("which", range(samples)))
        estimates = signs[:, None, None] * values[which]
        spread = estimates.std(axis=0) / math.sqrt(samples)
        if "which" in recipe:  # a circuit's shot noise is then the same in all that it stands for
            weights = np.bincount(which, signs, len(values)) / samples
            spread = np.sqrt(spread**2 + np.tensordot(weights**2, errors**2, 1))
        return Answer(estimates.mean(axis=0), spread)

    def cost(self, options: PecOptions) -> StageCost:
        """Return the circuits drawn; by precision, those for a norm of 1, as the norm is the circuit's."""
        return StageCost(options.samples if options.precision is None else max(1, math.floor(1 / options.precision**2)))


def _check_samples(count: int, norm: float, precision: float) -> None:
    if count > MOST_SAMPLES:
        raise Unsupported(
            f"mitiq:pec would draw {count} circuits for precision {precision} (the circuit's norm is {norm:.3g}); the limit is"
            f" {MOST_SAMPLES}: take a larger precision, or set samples"
        )


def _representations(given: Any, options: PecOptions) -> Iterator[Any]:
    import cirq
    from mitiq import pec

    represent = {
        "global": pec.represent_operation_with_global_depolarizing_noise,
        "local": pec.represent_operation_with_local_depolarizing_noise,
    }[options.noise]
    for operation in dict.fromkeys(given.all_operations()):
        step = getattr(operation.gate, "step", None)
        name, size = ("id", 1) if step is None else (step.name, len(step.qubits))
        known = None if step is not None and step.controls else options.gate_errors.get(name)
        rate = known if known is not None else (options.one_qubit_error if size == 1 else options.two_qubit_error)
        if size > 2 and (rate or known is None):
            raise Unsupported(
                f"mitiq:pec represents gates on one and two qubits, and the circuit has {name} on {size}; bring it to such gates"
                " first, with the stage transpile"
            )
        if rate:
            yield represent(cirq.Circuit(operation), rate)


def _norms(given: Any, representations: Sequence[Any]) -> Iterator[float]:
    norms = {next(one.ideal.all_operations()): float(one.norm) for one in representations}
    return (norms.get(operation, 1.0) for operation in given.all_operations())
