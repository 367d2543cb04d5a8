"""Random circuits, angles and formulas for Hypothesis."""

import math

from hypothesis import strategies as st

from qloom.circuits import Angle, Circuit, Expression, Instruction, Parameter
from qloom.circuits.circuit import DELAY_UNITS, conditional
from qloom.circuits.expressions import FUNCTIONS
from qloom.circuits.gates import CHANNELS, GATES, standard_controls

NAMES = ("theta", "phi", "theta[0]", "theta[1]", "t", "q", "γ", "input", "theta_0")

numbers = st.one_of(
    st.floats(-10, 10, allow_nan=False, allow_subnormal=False),
    st.sampled_from([0.0, -0.0, math.pi, -math.pi / 2, 1e-7, 1e22, 0.1 + 0.2]),
)


turns = st.floats(-7, 7, allow_nan=False, allow_subnormal=False)
"""Angles of moderate size: the sines of 1e22 differ between libraries."""


def expressions(names: tuple[str, ...] = NAMES) -> st.SearchStrategy[Expression]:
    """Formulas as users build them: with operators, on at least one parameter."""
    leaves = st.sampled_from(names).map(Parameter)

    def larger(smaller: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        pairs = st.one_of(st.tuples(smaller, st.one_of(numbers, smaller)), st.tuples(numbers, smaller))
        return st.one_of(
            pairs.map(lambda pair: pair[0] + pair[1]),
            pairs.map(lambda pair: pair[0] - pair[1]),
            pairs.map(lambda pair: pair[0] * pair[1]),
            pairs.map(lambda pair: pair[0] / pair[1]),
            pairs.map(lambda pair: pair[0] ** pair[1]),
            smaller.map(lambda inner: -inner),
            st.tuples(smaller, st.sampled_from(FUNCTIONS)).map(lambda pair: pair[0].apply(pair[1])),
        )

    grown: st.SearchStrategy[Expression] = st.recursive(leaves, larger, max_leaves=5)
    return grown


angles: st.SearchStrategy[Angle] = st.one_of(numbers, expressions())


@st.composite
def gates(draw: st.DrawFn, num_qubits: int, angle: st.SearchStrategy[Angle] = angles) -> Instruction:
    """A gate by its standard name, with controls where it has no name for them."""
    name = draw(st.sampled_from([name for name, row in GATES.items() if row.num_qubits <= num_qubits]))
    controls = draw(st.integers(0, min(2, num_qubits - GATES[name].num_qubits)))
    name, controls = standard_controls(name, controls)
    size = GATES[name].num_qubits + controls
    qubits = draw(st.permutations(range(num_qubits)))[:size]
    given = draw(st.tuples(*[angle] * GATES[name].num_parameters))
    return Instruction(name, tuple(qubits), given, (), controls)


@st.composite
def other_steps(draw: st.DrawFn, num_qubits: int, num_clbits: int) -> Instruction:
    """A measurement, barrier, reset, delay or noise channel."""
    some = tuple(draw(st.permutations(range(num_qubits))))[: draw(st.integers(1, num_qubits))]
    kind = draw(st.sampled_from(["measure", "barrier", "reset", "delay", "channel"]))
    if kind == "measure":
        read = some[:num_clbits]
        return Instruction("measure", read, (), tuple(draw(st.permutations(range(num_clbits))))[: len(read)])
    if kind == "barrier":
        return Instruction("barrier", some)
    if kind == "reset":
        return Instruction("reset", some[:1])
    if kind == "delay":
        duration = draw(st.one_of(st.floats(0, 1e6), expressions()))
        return Instruction("delay", some, (duration,), unit=draw(st.sampled_from(DELAY_UNITS)))
    name = draw(st.sampled_from([name for name, (qubits, _) in CHANNELS.items() if 0 < qubits <= num_qubits]))
    qubits, count = CHANNELS[name]
    return Instruction(
        name, tuple(draw(st.permutations(range(num_qubits))))[:qubits], tuple([draw(st.floats(0, 0.25)) for _ in range(count)])
    )


@st.composite
def unitary_circuits(draw: st.DrawFn, angle: st.SearchStrategy[Angle] = turns, max_qubits: int = 3) -> Circuit:
    """Gates only."""
    num_qubits = draw(st.integers(1, max_qubits))
    return Circuit(num_qubits, draw(st.lists(gates(num_qubits, angle), max_size=8)))


@st.composite
def ifs(draw: st.DrawFn, inner: st.SearchStrategy[Instruction], num_clbits: int) -> Instruction:
    """An if on some bits in any order, with instructions in one branch or in both."""
    bits = tuple(draw(st.permutations(range(num_clbits))))[: draw(st.integers(1, num_clbits))]
    if draw(st.booleans()):
        bits = tuple(range(num_clbits))  # the register as a whole
    then, other = draw(st.tuples(st.lists(inner, max_size=3), st.lists(inner, max_size=2)).filter(any))
    return conditional(bits, draw(st.integers(0, (1 << len(bits)) - 1)), tuple(then), tuple(other))


@st.composite
def circuits(draw: st.DrawFn) -> Circuit:
    """Anything that the circuit form holds, parameters in any order, some of them unused."""
    num_qubits, num_clbits = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    step = st.one_of(gates(num_qubits), other_steps(num_qubits, num_clbits))
    boxed = st.lists(step, max_size=3).map(lambda body: Circuit(num_qubits).verbatim(body).instructions[0])
    nested = ifs(st.one_of(step, boxed, ifs(step, num_clbits)), num_clbits)
    steps = draw(st.lists(st.one_of(step, step, step, nested), max_size=8))
    if draw(st.booleans()):
        steps.append(draw(boxed))
    return Circuit(num_qubits, steps, num_clbits=num_clbits, parameters=draw(st.permutations(NAMES)))
