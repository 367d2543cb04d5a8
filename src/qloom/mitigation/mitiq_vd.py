"""Mitiq's virtual distillation, which is experimental there."""

from __future__ import annotations

import warnings
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.circuits import Observable
from qloom.contracts.stage import VALUES, Answer, Expansion
from qloom.errors import Unsupported
from qloom.mitigation.cirq_bridge import from_cirq, to_cirq
from qloom.mitigation.mitiq_technique import Technique, asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qloom.circuits import Circuit
    from qloom.contracts.stage import StageContext
    from qloom.mitigation.mitiq_options import VdOptions

MOST_QUBITS = 6
"""Of the circuit: the purity is a sum of 4**n Pauli strings."""
_LETTERS = ("II", "ZI", "IZ", "ZZ")
_PURITY = (0.5, 0.5, -0.5, 0.5)
_VALUE = (0.0, 0.5, 0.5, 0.0)


class Vd(Technique):
    """Virtual distillation by two copies."""

    def expand(self, circuit: Circuit, options: VdOptions, context: StageContext) -> Expansion:
        """Run two copies side by side, joined at their end; ask for the purity, and for each observable times it."""
        import cirq

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # that this part of Mitiq may change, which our docs say
            from mitiq.experimental import vd

        size = circuit.num_qubits
        if size > MOST_QUBITS:
            raise Unsupported(f"mitiq:vd takes circuits of up to {MOST_QUBITS} qubits, and this one has {size}; leave it out")
        if 2 * size > context.spec.num_qubits:
            raise Unsupported(
                f"mitiq:vd needs two copies, {2 * size} qubits, and {context.spec.name} has {context.spec.num_qubits}"
            )
        single = [_single(observable) for observable in context.observables]
        given = to_cirq(circuit, "mitiq:vd")
        idle = sorted(set(cirq.LineQubit.range(size)) - given.all_qubits())
        with asked("vd", context.seed):
            doubled = vd.construct_circuits(given + cirq.Circuit(cirq.I.on_each(*idle)))
        made = from_cirq(doubled, circuit, "mitiq:vd", 2 * size)
        wanted = tuple(_purified(one) for one in ([1.0] + [0.0] * size, *single))
        return Expansion((made,), {}, takes=VALUES, observables=wanted, layout=tuple(range(2 * size)))

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: VdOptions) -> Answer:
        """Divide by the purity. The error takes numerator and purity as independent, which is on the safe side."""
        values, errors = np.asarray(answers[0].values), np.asarray(answers[0].standard_errors)
        purity = values[:, :1]
        if not (purity > 0).all():
            raise Unsupported(f"mitiq:vd: the purity comes out as {purity.min():.3g}, no basis for a quotient; take more shots")
        found = values[:, 1:] / purity
        return Answer(found, np.hypot(errors[:, 1:], found * errors[:, :1]) / purity)


def _single(observable: Observable) -> list[float]:
    """Return the coefficient of the identity, and of Z on each qubit."""
    found = [0.0] * (observable.num_qubits + 1)
    for string, coefficient in observable.terms.items():
        letters = string.replace("I", "")
        if letters not in ("", "Z"):
            raise Unsupported(f"mitiq:vd gives sums of Z on single qubits, and {string} is none; leave the stage out")
        found[string.index("Z") + 1 if letters else 0] += coefficient
    return found


def _purified(single: Sequence[float]) -> Observable:
    """Return a sum of Z on single qubits, times the purity, as it is read behind the gates that join the copies.

    Source: Huggins and others, arXiv:2011.07064, section II: a product over pairs of qubits of (1 + Z - Z' + ZZ') / 2, in which
    the pair that Z is asked of gives (Z + Z') / 2.
    """
    size = len(single) - 1
    terms = {}
    for pairs in product(range(4), repeat=size):
        factors = [_PURITY[pair] for pair in pairs]
        total = single[0] * prod(factors)
        for qubit, coefficient in enumerate(single[1:]):
            total += coefficient * _VALUE[pairs[qubit]] * prod(factors[:qubit]) * prod(factors[qubit + 1 :])
        if total:
            first, second = ("".join(_LETTERS[pair][copy] for pair in pairs) for copy in (0, 1))
            terms[first + second] = total
    return Observable(terms or {"I" * (2 * size): 0.0})
