"""Circuits with their noise scaled up: gates that are folded, G -> G G† G, and layers of identities; angles stay symbolic.

Sources: T. Giurgica-Tiron et al., "Digital zero noise extrapolation for quantum error mitigation", arXiv:2005.10921 (folding of
the whole circuit, section III.A, and of gates, eq. 5); A. He et al., "Zero-noise extrapolation for quantum-gate error mitigation
with identity insertions", arXiv:2003.04941.

Only gates are folded and counted. Barriers, delays and noise channels stay where they are, once; measurements stay at the end;
verbatim blocks are folded from within, and each part of one is a verbatim block again.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import groupby
from math import ceil, isclose
from typing import TYPE_CHECKING, NamedTuple

from qloom.circuits import Circuit, Instruction
from qloom.circuits.algebra import inverse
from qloom.errors import InvalidSetting, Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

FOLDS = ("global", "gates", "gates_left", "gates_right", "random", "identity")
"""Ways to scale noise: the whole circuit and its inverse; every gate alike; some gates more, from the first, from the last, or
drawn; layers of identities."""
_OUTSIDE = -1
_REFUSED = ("reset", "if")
_CLOSE = 1e-5
_ROUNDING = 1e-9


class Folded(NamedTuple):
    """A circuit with more noise.

    Attributes:
        circuit: with the qubits, bits and parameters of the one it comes from.
        scale: by how much the number of gates (of layers, for identities) really grew; a circuit of d gates has scales in steps
            of 2/d.
    """

    circuit: Circuit
    scale: float


class _Place(NamedTuple):
    step: Instruction
    block: int = _OUTSIDE  # which verbatim block it stands in


class _Parts(NamedTuple):
    places: tuple[_Place, ...]
    gates: tuple[_Place, ...]
    measured: tuple[Instruction, ...]


def fold(circuit: Circuit, scale: float, way: str, generator: np.random.Generator) -> Folded:
    """Return a circuit whose noise is scaled up by about `scale`.

    Args:
        circuit: gates, and measurements at the end at most.
        scale: 1 or more; what can be reached of it is in the answer.
        way: one of `FOLDS`.
        generator: draws the gates of `random` and the layers of `identity`; the others draw nothing.

    Raises:
        InvalidSetting: a scale below 1, or a way that there is not.
        Unsupported: a circuit with reset, `if` or a measurement before its end, or without gates.

    >>> import numpy as np
    >>> fold(Circuit(1).x(0).s(0), 3, "global", np.random.default_rng(0)).circuit == Circuit(1).x(0).s(0).sdg(0).x(0).x(0).s(0)
    True
    """
    if not 1 <= scale < float("inf"):
        raise InvalidSetting(f"stage zne, option scales: {scale} is no noise scale; each is 1 or more")
    parts = _parts(circuit)
    if way == "global":
        return _fold_global(circuit, parts, scale)
    if way == "identity":
        return _insert_identities(circuit, parts, scale, generator)
    return _fold_gates(circuit, parts, _fold_counts(parts, scale, way, generator))


# ---- folding -------------------------------------------------------------------------------------------------------


def _fold_global(circuit: Circuit, parts: _Parts, scale: float) -> Folded:
    """U -> U (U†U)^n L†L, where L are the last gates, layer by layer."""
    gates = parts.gates
    whole, rest = divmod(scale - 1, 2)
    partial = round(rest * len(gates) / 2)
    last = _last(gates, partial)
    places = (*parts.places, *(_inverse(gates) + gates) * int(whole), *_inverse(last), *last)
    return Folded(_built(circuit, places, parts), 1 + 2 * (int(whole) + partial / len(gates)))


def _fold_gates(circuit: Circuit, parts: _Parts, counts: Sequence[int]) -> Folded:
    """G -> G (G†G)^n, with an n for each gate."""
    places: list[_Place] = []
    wanted = iter(counts)
    for place in parts.places:
        places.append(place)
        if _is_gate(place.step):
            places += (*_inverse((place,)), place) * next(wanted)
    return Folded(_built(circuit, places, parts), 1 + 2 * sum(counts) / len(counts))


def _fold_counts(parts: _Parts, scale: float, way: str, generator: np.random.Generator) -> list[int]:
    """Return how often each gate is folded."""
    size = len(parts.gates)
    if way == "gates":
        return [round((scale - 1) / 2)] * size
    each = int((scale - 1) / 2)
    # Down where both neighbours are as near: another fold has to bring the scale nearer.
    more = max(0, ceil(size * (scale - 1 - 2 * each) / 2 - 0.5 - _ROUNDING))
    order = _by_layer(parts.gates)
    if way == "random":
        chosen = {int(gate) for gate in generator.choice(size, more, replace=False)}
    elif way in {"gates_left", "gates_right"}:
        chosen = set(order[:more] if way == "gates_left" else order[size - more :])
    else:
        raise InvalidSetting(f"stage zne, option fold: {way!r} is none of {', '.join(FOLDS)}")
    return [each + (gate in chosen) for gate in range(size)]


def _insert_identities(circuit: Circuit, parts: _Parts, scale: float, generator: np.random.Generator) -> Folded:
    """Put as many layers of identities behind each layer of gates, and one more behind some that are drawn."""
    layers = _layers([place.step for place in parts.places])
    depth = max(layers)
    each = int(scale - 1)
    more = 0 if isclose(each + 1, scale, rel_tol=_CLOSE) else int(depth * (scale - 1 - each))
    chosen = {int(layer) + 1 for layer in generator.choice(depth, more, replace=False)}
    qubits = sorted({qubit for gate in parts.gates for qubit in gate.step.qubits})
    idle = tuple(_Place(Instruction("id", (qubit,))) for qubit in qubits)
    places: list[_Place] = []
    for layer in range(depth + 1):
        places += [place for place, own in zip(parts.places, layers, strict=True) if own == layer]
        if layer:
            places += idle * (each + (layer in chosen))
    return Folded(_built(circuit, places, parts), 1 + each + more / depth)


# ---- reading and building ------------------------------------------------------------------------------------------


def _parts(circuit: Circuit) -> _Parts:
    opened: list[_Place] = []
    for number, step in enumerate(circuit.instructions):
        inside = step.name == "verbatim"
        opened += [_Place(inner, number if inside else _OUTSIDE) for inner in (step.body if inside else (step,))]
    _check(opened)
    places = tuple(place for place in opened if place.step.name != "measure")
    gates = tuple(place for place in places if _is_gate(place.step))
    if not gates:
        raise Unsupported("stage zne: the circuit has no gates, so there is no noise of gates to scale; leave the stage out")
    return _Parts(places, gates, tuple(place.step for place in opened if place.step.name == "measure"))


def _check(places: Sequence[_Place]) -> None:
    measured: set[int] = set()
    for step, _ in places:
        if step.name in _REFUSED:
            what = "a reset" if step.name == "reset" else "an if"
            raise Unsupported(
                f"stage zne: the circuit has {what} on the qubits {list(step.qubits)}, which has no inverse, so it cannot be"
                " folded; run it without zne, or write it without"
            )
        if step.name == "measure":
            measured.update(step.qubits)
        elif step.name != "barrier" and (again := measured.intersection(step.qubits)):
            raise Unsupported(
                f"stage zne: qubit {min(again)} is measured before the circuit's end ({step.name} follows), and a measurement"
                " has no inverse, so the circuit cannot be folded; measure at the end, or run it without zne"
            )


def _is_gate(step: Instruction) -> bool:
    # A global phase acts on no qubit and is no operation of a device.
    return step.kind == "gate" and bool(step.qubits)


def _inverse(places: Sequence[_Place]) -> tuple[_Place, ...]:
    return tuple(_Place(inverse(step), block) for step, block in reversed(places))


def _built(circuit: Circuit, places: Sequence[_Place], parts: _Parts) -> Circuit:
    steps: list[Instruction] = []
    for block, members in groupby(places, key=lambda place: place.block):
        inner = tuple(place.step for place in members)
        if block == _OUTSIDE:
            steps += inner
        else:
            qubits = tuple(sorted({qubit for step in inner for qubit in step.qubits}))
            steps.append(Instruction("verbatim", qubits, body=inner))
    whole = (*steps, *parts.measured)
    return Circuit.trusted(circuit.num_qubits, whole, circuit.num_clbits, circuit.parameters, circuit.name)


# ---- layers --------------------------------------------------------------------------------------------------------


def _layers(steps: Sequence[Instruction]) -> list[int]:
    """Return the layer of each step, gates as early as they can be; the first layer of gates is 1.

    What is no gate takes no layer of its own, and stands in that of what is before it; a barrier holds all its qubits back.
    """
    front: dict[int, int] = {}
    layers: list[int] = []
    for step in steps:
        layer = max((front.get(qubit, 0) for qubit in step.qubits), default=0) + _is_gate(step)
        front.update(dict.fromkeys(step.qubits, layer))
        layers.append(layer)
    return layers


def _by_layer(gates: Sequence[_Place]) -> list[int]:
    """Return the positions of the gates, layer by layer, the same however gates side by side are written."""
    layers = _layers([gate.step for gate in gates])
    return sorted(_in_order([gate.step.qubits for gate in gates]), key=lambda position: layers[position])


def _in_order(qubits: Sequence[tuple[int, ...]]) -> list[int]:
    """Return positions in an order in which gates can run: of those that can be next, the one with the lowest qubits.

    It is the order of Qiskit's circuit graphs, and so which of several gates side by side count as the last is as in Mitiq.
    """
    followers: list[list[int]] = [[] for _ in qubits]
    missing = [0] * len(qubits)
    last: dict[int, int] = {}
    for position, own in enumerate(qubits):
        before = {last[qubit] for qubit in own if qubit in last}
        missing[position] = len(before)
        for earlier in before:
            followers[earlier].append(position)
        last.update(dict.fromkeys(own, position))
    ready = [(own, position) for position, own in enumerate(qubits) if not missing[position]]
    heapify(ready)
    order: list[int] = []
    while ready:
        order.append(heappop(ready)[1])
        for position in followers[order[-1]]:
            missing[position] -= 1
            if not missing[position]:
                heappush(ready, (qubits[position], position))
    return order


def _last(gates: Sequence[_Place], count: int) -> tuple[_Place, ...]:
    """Return the last gates, counted layer by layer, in the circuit's order."""
    order = _by_layer(gates)
    return tuple(gates[position] for position in sorted(order[len(gates) - count :]))
