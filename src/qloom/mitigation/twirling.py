"""The stage `twirling`: random Paulis round two-qubit gates, so that their errors become random Paulis too."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.circuits.gates import matrix
from qloom.contracts.stage import COUNTS, VALUES, Answer, Distribution, Expansion, Stage, StageContext, StageCost
from qloom.errors import Unsupported
from qloom.mitigation.distributions import basis_of, mean, plain_estimator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from qloom.circuits import Angle
    from qloom.specs import DeviceSpec

    FloatArray = npt.NDArray[np.float64]
    IndexArray = npt.NDArray[np.int64]
    ComplexArray = npt.NDArray[np.complex128]

TWIRLED = ("cx", "cz", "ecr", "iswap", "iswapdg", "cy", "swap")
"""Two-qubit gates that turn Paulis into Paulis."""
PAULIS = "IZXY"
"""By their codes: 2 where it flips the qubit, 1 where it turns the phase, so that a product is the exclusive or."""
MOST_INSTANCES = 4096
ROUNDING = 1e-12
"""Values that differ by less are equal: instances of an ideal circuit do by rounding."""

Name = Literal["cx", "cz", "ecr", "iswap", "iswapdg", "cy", "swap"]
USUAL: tuple[Name, ...] = ("cx", "cz", "ecr", "iswap", "iswapdg")


def _tables() -> dict[str, tuple[int, ...]]:
    """Return for each gate G and each two-qubit Pauli P, by the code 4 * first + second, that of G P G', up to a sign."""
    singles = np.array([np.eye(2), matrix("z"), matrix("x"), matrix("y")])
    pairs: ComplexArray = np.einsum("aij,bkl->abikjl", singles, singles).reshape(16, 4, 4)
    tables = {}
    for name in TWIRLED:
        gate = matrix(name)
        images = gate @ pairs @ gate.conj().T
        tables[name] = tuple(abs(np.einsum("pij,qij->pq", images, pairs.conj())).argmax(axis=1).tolist())
    return tables


BEHIND = _tables()
"""Gate -> for each Pauli before it, by code, the one behind it that undoes it."""


class TwirlingOptions(BaseModel):
    """Options of the stage `twirling`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gates: tuple[Name, ...] = Field(
        USUAL, description=f"Which gates get Paulis, those of them that the circuit has: {', '.join(TWIRLED)}; none for []."
    )
    instances: int = Field(16, ge=1, le=MOST_INSTANCES, description="How many circuits, each with Paulis of its own.")
    readout: bool = Field(default=False, description="Whether qubits are flipped at random before they are read, and bits back.")


class Twirling(Stage):
    """Averages over random Paulis round two-qubit gates, which leave the circuit as it is and make its errors Pauli errors.

    Before each of the gates stands a random Pauli on either qubit, behind it those that undo them: G P = P' G, P' out of a table
    made from the gates' matrices. An error channel of the gate, averaged over P, is then a Pauli channel (Wallman and Emerson,
    arXiv:1512.01098; Bennett and others, arXiv:quant-ph/9604024), so coherent errors add up like random ones, which is what
    extrapolation (`zne`) takes for granted. Between two twirled gates with nothing else between them on a qubit is one Pauli.

    The Paulis are drawn anew for each evaluation and each parameter set, as angles of the gate `u(a, 0, l)`: (0, 0) is I,
    (0, pi) Z, (pi, pi) X and (pi, 0) Y up to a phase. Where the device has no `u` but `rz` and `sx`, it is rz, sx, rz, sx, rz.
    Gates in verbatim blocks are twirled as others are; those in an `if`, and those under further controls, are not.

    With `readout=True` each qubit that is read is flipped at random right before that, and its bit flipped back, so that 0 and 1
    are misread alike: what is left of a product of Z is the same part of it whatever the state (van den Berg, Minev and Temme,
    arXiv:2012.09738). That part is not divided out here; the stage `readout` can, but it calibrates without flips, so give it
    the mean of both rates of error as its `flips`. It takes shots, and up to 64 classical bits.

    Values are means over the instances. Their standard error is the larger one of two estimates: from the instances' own errors,
    sqrt(sum e_i**2) / n, which does not know how far the draws differ, and from their scatter, s / sqrt(n), which does and is
    rough where n is small. So a mean of exact values has an error where the instances differ. Counts are pooled. A circuit with
    none of the gates runs once, as it is (one circuit, whatever `cost` says), unless its readout is twirled.

    Notes: `gates` (how many are twirled), `instances`, `values` (of each instance, shape (instances, sets, observables); None
    for counts), `message` (why nothing was done; empty where something was).

    >>> from qloom.specs import DeviceSpec
    >>> context = StageContext(spec=DeviceSpec(name="toy", num_qubits=2, gates=frozenset({"h", "u", "cx"})))
    >>> options = TwirlingOptions(instances=2)
    >>> found = Twirling().expand(Circuit(2).h(0).cx(0, 1), options, context)
    >>> len(found.circuits), [step.name for step in found.circuits[0].instructions], len(found.drawn)
    (2, ['h', 'u', 'u', 'cx', 'u', 'u'], 16)
    >>> angles = Twirling().draw(found.recipe, options, np.random.default_rng(1))
    >>> sorted({float(angle) for angle in angles})
    [0.0, 3.141592653589793]
    """

    name: ClassVar[str] = "twirling"
    options_type: ClassVar[type[Any]] = TwirlingOptions

    def expand(self, circuit: Circuit, options: TwirlingOptions, context: StageContext) -> Expansion:
        """Return the circuit with Paulis, once for each instance."""
        walk = _Walk(options.gates)
        steps = walk.steps(circuit.instructions, {})
        bits = len(context.measured) if options.readout else 0
        if not walk.kinds and not bits:
            message = (
                f"the circuit has none of the gates {', '.join(options.gates)}" if options.gates else "there is nothing to twirl"
            )
            return Expansion((circuit,), {"kinds": [], "instances": 1, "message": message})
        turns = 2 * len(walk.slots)
        names = context.fresh(options.instances * (turns + bits))
        write = _rotations if _lacks_u(context.spec) else _single
        circuits, flips = [], []
        for first in range(0, len(names), turns + bits):
            own = names[first : first + turns]
            flips.append(names[first + turns : first + turns + bits])
            angles = zip(map(Parameter, own[::2]), map(Parameter, own[1::2]), strict=True)
            paulis = [write(slot.qubit, *pair) for slot, pair in zip(walk.slots, angles, strict=True)]
            made = tuple(_written(steps, paulis))
            parameters = (*circuit.parameters, *own)
            circuits.append(Circuit.trusted(circuit.num_qubits, made, circuit.num_clbits, parameters, circuit.name))
        recipe = {
            "kinds": walk.kinds,
            "names": list(options.gates),
            "behind": [slot.behind for slot in walk.slots],
            "before": [slot.before for slot in walk.slots],
            "bits": bits,
            "instances": options.instances,
            "message": "",
        }
        if not bits:
            return Expansion(tuple(circuits), recipe, drawn=names)
        return Expansion(tuple(circuits), recipe, drawn=names, takes=COUNTS, flips=tuple(flips))

    def draw(self, recipe: Mapping[str, Any], options: TwirlingOptions, generator: np.random.Generator) -> FloatArray:
        """Return the angles of fresh Paulis and flips (rad), shape (drawn,).

        Of each instance: a and l for each Pauli in the order of the circuit, then for each classical bit pi to flip it, else 0.
        """
        del options
        kinds, instances = recipe["kinds"], recipe["instances"]
        tables = np.array([BEHIND[name] for name in recipe["names"]], dtype=np.int64).reshape(-1, 16)
        first = generator.integers(0, 16, (instances, len(kinds)))
        indices = np.array([recipe["before"], recipe["behind"]], dtype=np.int64)
        codes = _of_qubits(first)[:, indices[0]] ^ _of_qubits(tables[np.array(kinds, dtype=np.int64), first])[:, indices[1]]
        flips, phases = codes >> 1, codes & 1
        angles = np.stack([flips, flips ^ phases], axis=-1).reshape(instances, -1)
        found: FloatArray = np.hstack([angles, generator.integers(0, 2, (instances, recipe["bits"]))]).ravel() * math.pi
        return found

    def combine(
        self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: TwirlingOptions, context: StageContext
    ) -> Answer:
        """Return the mean of the instances.

        Raises:
            Unsupported: values that are no numbers.
        """
        del options
        if context.wanted == VALUES and answers[0].values is None:
            answers = [_valued(answer, context) for answer in answers]
        count = len(answers)
        values = None if answers[0].values is None else np.array([answer.values for answer in answers])
        notes = {"gates": len(recipe["kinds"]), "instances": count, "values": values, "message": recipe["message"]}
        context.notes.update(notes)
        return Answer(distributions=_pooled(answers)) if values is None else _mean(values, answers)

    def cost(self, options: TwirlingOptions) -> StageCost:
        """Return as many circuits as instances; as many shots in all as without the stage."""
        return StageCost(circuits=options.instances)


class _Slot(NamedTuple):
    """A place for a Pauli: the product of what two gates want there.

    Attributes:
        qubit: on which it acts.
        before: place, among the qubits of all twirled gates, of what a gate behind it wants; -1 for nothing.
        behind: place of what a gate before it wants; -1 for nothing.
    """

    qubit: int
    before: int
    behind: int


_Step = Instruction | int | tuple[Instruction, list[Any]]
"""A step as it is, the number of a slot, or a verbatim block and what it holds."""


class _Walk:
    """Finds the gates to twirl, and the slots round them.

    Args:
        gates: which to twirl.

    Attributes:
        kinds: of each gate found, its place among `gates`.
        slots: in the order of the circuit.
    """

    def __init__(self, gates: Sequence[str]) -> None:
        self._gates = {name: place for place, name in reversed(list(enumerate(gates)))}
        self.kinds: list[int] = []
        self.slots: list[_Slot] = []

    def steps(self, given: Iterable[Instruction], open_slots: dict[int, int]) -> list[_Step]:
        """Return steps with slots between them.

        Args:
            given: in order.
            open_slots: qubit -> the slot behind a twirled gate with nothing behind it so far; is changed.
        """
        found: list[_Step] = []
        for step in given:
            if step.name == "verbatim":
                found.append((step, self.steps(step.body, open_slots)))
            elif step.name in self._gates and not step.controls:
                found += self._twirled(step, open_slots)
            else:
                for qubit in step.qubits:
                    open_slots.pop(qubit, None)
                found.append(step)
        return found

    def _twirled(self, step: Instruction, open_slots: dict[int, int]) -> Iterator[_Step]:
        place = 2 * len(self.kinds)
        self.kinds.append(self._gates[step.name])
        for side, qubit in enumerate(step.qubits):
            number = open_slots.pop(qubit, None)
            if number is None:
                yield self._slot(_Slot(qubit, place + side, -1))
            else:
                self.slots[number] = self.slots[number]._replace(before=place + side)
        yield step
        for side, qubit in enumerate(step.qubits):
            open_slots[qubit] = self._slot(_Slot(qubit, -1, place + side))
            yield open_slots[qubit]

    def _slot(self, slot: _Slot) -> int:
        self.slots.append(slot)
        return len(self.slots) - 1


def _written(steps: Iterable[_Step], paulis: Sequence[tuple[Instruction, ...]]) -> Iterator[Instruction]:
    for step in steps:
        if isinstance(step, int):
            yield from paulis[step]
        elif isinstance(step, Instruction):
            yield step
        else:
            block, body = step
            yield block._replace(body=tuple(_written(body, paulis)))


def _single(qubit: int, a: Angle, lam: Angle) -> tuple[Instruction, ...]:
    return (Instruction("u", (qubit,), (a, 0.0, lam)),)


def _rotations(qubit: int, a: Angle, lam: Angle) -> tuple[Instruction, ...]:
    """Return u(a, 0, lam) up to a phase (McKay and others, arXiv:1612.00858)."""
    turns = [Instruction("rz", (qubit,), (angle,)) for angle in (lam, a + math.pi, math.pi)]
    sx = Instruction("sx", (qubit,))
    return (turns[0], sx, turns[1], sx, turns[2])


def _lacks_u(spec: DeviceSpec) -> bool:
    native = spec.gates if spec.native_gates is None else spec.native_gates
    return "u" not in native and {"rz", "sx"} <= native


def _of_qubits(pairs: IndexArray) -> IndexArray:
    """Return codes of two-qubit Paulis, shape (instances, gates), qubit by qubit, and an I for the place -1."""
    found = np.zeros((len(pairs), 2 * pairs.shape[1] + 1), np.int64)
    found[:, :-1:2], found[:, 1:-1:2] = pairs >> 2, pairs & 3
    return found


def _mean(values: FloatArray, answers: Sequence[Answer]) -> Answer:
    """Return the mean of all instances' values, shape (instances, sets, observables)."""
    count = len(answers)
    errors = np.array([answer.standard_errors for answer in answers])
    if not math.isfinite(values.sum() + errors.sum()):
        bad = next(number for number in range(count) if not np.isfinite(values[number] + errors[number]).all())
        raise Unsupported(f"stage twirling: instance {bad} gave values that are no numbers; look at the stages below it")
    if count == 1:
        return answers[0]
    average = values.sum(axis=0) / count
    variance = (errors * errors).sum(axis=0) / (count * count)
    scatter = ((values - average) ** 2).sum(axis=0) / (count * (count - 1))
    scatter[scatter < ROUNDING**2] = 0.0
    return Answer(average, np.sqrt(np.maximum(variance, scatter)))


def _valued(answer: Answer, context: StageContext) -> Answer:
    """Return the values of what was counted."""
    found = []
    for settings in answer.distributions:
        estimator = plain_estimator(context.observables, tuple(map(basis_of, settings)), context.measured)
        found.append(estimator.estimate(settings))
    return Answer(np.array([one.values for one in found]), np.sqrt([one.variances for one in found]))


def _pooled(answers: Sequence[Answer]) -> tuple[tuple[Distribution, ...], ...]:
    """Return the mean distribution of each set and setting."""
    sets = tuple(
        tuple(map(_together, zip(*settings, strict=True)))
        for settings in zip(*(answer.distributions for answer in answers), strict=True)
    )
    if not all(math.isfinite(found.weights.sum()) for settings in sets for found in settings):
        raise Unsupported("stage twirling: an instance gave counts with weights that are no numbers; look at the stages below it")
    return sets


def _together(same: tuple[Distribution, ...]) -> Distribution:
    pooled, spreads = mean(same), {found.spread for found in same}
    # Of equal spreads the mean has the same one, to the last digit: pooled counts stay counts.
    return pooled._replace(spread=spreads.pop()) if len(spreads) == 1 else pooled
