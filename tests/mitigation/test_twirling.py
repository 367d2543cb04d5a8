"""`twirling`: Paulis that leave the circuit as it is, and what they make of errors."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qloom
from qloom.circuits import Circuit, Instruction, Observable, Parameter
from qloom.circuits.expressions import number
from qloom.circuits.gates import GATES, matrix
from qloom.contracts import Answer, Expansion, StageContext
from qloom.contracts.stage import Distribution
from qloom.errors import Unsupported
from qloom.mitigation.twirling import BEHIND, PAULIS, TWIRLED, USUAL, Twirling, TwirlingOptions
from qloom.noise import NoiseModel, QubitNoise
from qloom.specs import DeviceSpec

Matrix = npt.NDArray[Any]
TOY = DeviceSpec(name="toy", num_qubits=9, gates=frozenset(GATES))
LETTERS: dict[str, Matrix] = {"I": np.eye(2), "X": matrix("x"), "Y": matrix("y"), "Z": matrix("z")}


def expanded(circuit: Circuit, spec: DeviceSpec = TOY, **options: Any) -> Expansion:
    return Twirling().expand(circuit, TwirlingOptions(**options), StageContext(spec=spec))


def bound(found: Expansion, seed: int) -> list[Circuit]:
    """The instances with drawn angles."""
    angles = Twirling().draw(found.recipe, TwirlingOptions(), np.random.default_rng(seed))
    values = dict(zip(found.drawn, angles.tolist(), strict=True))
    return [one.bind({name: values[name] for name in one.parameters if name in values}) for one in found.circuits]


def unitary(circuit: Circuit, error: dict[str, Matrix] | None = None) -> Matrix:
    """The matrix of gates on few qubits, qubit 0 most significant; behind each gate of a name its error."""
    size = circuit.num_qubits
    whole = np.eye(1 << size, dtype=complex)
    for step in circuit.flat():
        gate = matrix(step.name, [number(angle) for angle in step.parameters])
        gate = (error or {}).get(step.name, np.eye(len(gate))) @ gate
        state = whole.reshape([2] * size + [1 << size])
        legs = len(step.qubits)
        state = np.tensordot(gate.reshape([2] * (2 * legs)), state, (range(legs, 2 * legs), step.qubits))
        whole = np.moveaxis(state, range(legs), step.qubits).reshape(1 << size, -1)
    return whole


def is_same(first: Matrix, second: Matrix) -> bool:
    """Whether two unitaries are equal up to a phase."""
    return bool(abs(abs(np.trace(first.conj().T @ second)) - len(first)) < 1e-9)


def pauli(code: int) -> Matrix:
    return np.kron(LETTERS[PAULIS[code >> 2]], LETTERS[PAULIS[code & 3]])


# ---- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TWIRLED)
@pytest.mark.parametrize("code", range(16))
def test_what_stands_behind_a_gate_undoes_what_stands_before_it(name: str, code: int) -> None:
    gate = matrix(name)
    assert is_same(pauli(BEHIND[name][code]) @ gate @ pauli(code), gate)


@pytest.mark.parametrize("name", TWIRLED)
def test_a_table_is_a_permutation_that_keeps_products(name: str) -> None:
    table = BEHIND[name]
    assert sorted(table) == list(range(16))
    assert all(table[one ^ other] == table[one] ^ table[other] for one, other in itertools.product(range(16), repeat=2))


def test_known_rules_are_in_the_tables() -> None:
    def rule(name: str, before: str) -> str:
        found = BEHIND[name][4 * PAULIS.index(before[0]) + PAULIS.index(before[1])]
        return PAULIS[found >> 2] + PAULIS[found & 3]

    assert [rule("cx", one) for one in ("XI", "IX", "ZI", "IZ")] == ["XX", "IX", "ZI", "ZZ"]
    assert [rule("cz", one) for one in ("XI", "IX", "ZI", "IZ")] == ["XZ", "ZX", "ZI", "IZ"]
    assert [rule("iswap", one) for one in ("XI", "IX", "ZI", "IZ")] == ["ZY", "YZ", "IZ", "ZI"]


@pytest.mark.parametrize(
    ("angles", "letter"), [((0, 0), "I"), ((0, math.pi), "Z"), ((math.pi, math.pi), "X"), ((math.pi, 0), "Y")]
)
def test_two_angles_are_a_pauli(angles: tuple[float, float], letter: str) -> None:
    assert is_same(matrix("u", (angles[0], 0.0, angles[1])), LETTERS[letter])


# ---- expanding ---------------------------------------------------------------------------------------------------------


@st.composite
def twirlable(draw: st.DrawFn) -> Circuit:
    circuit = Circuit(3)
    for _ in range(draw(st.integers(1, 10))):
        name = draw(st.sampled_from([*TWIRLED, "h", "t", "rx"]))
        places = draw(st.permutations(range(3)))[: GATES[name].num_qubits]
        circuit = circuit.gate(name, *places, angles=[0.7] * GATES[name].num_parameters)
    return circuit


@settings(max_examples=60, deadline=None)
@given(twirlable(), st.integers(0, 1000))
def test_every_draw_leaves_the_unitary_as_it_is(circuit: Circuit, seed: int) -> None:
    found = expanded(circuit, gates=TWIRLED, instances=3)
    expected = unitary(circuit)
    for one in bound(found, seed) if found.drawn else found.circuits:
        assert is_same(unitary(one), expected)


def test_a_device_without_u_gets_rz_and_sx() -> None:
    circuit = Circuit(2).sx(0).cx(0, 1).rz(0.4, 1).cx(0, 1)
    spec = DeviceSpec(name="qpu", num_qubits=2, gates=frozenset(GATES), native_gates=frozenset({"rz", "sx", "x", "cx"}))
    found = expanded(circuit, spec)
    assert {step.name for step in found.circuits[0].flat()} == {"rz", "sx", "cx"}
    assert all(is_same(unitary(one), unitary(circuit)) for one in bound(found, 5))


def test_all_sixteen_paulis_come_before_each_gate() -> None:
    found = expanded(Circuit(2).cx(0, 1), instances=400)
    kinds = {tuple(step.parameters for step in one.instructions[:2]) for one in bound(found, 3)}
    assert len(kinds) == 16


def test_instances_have_one_structure_and_names_of_their_own() -> None:
    theta = Parameter("theta")
    circuit = Circuit(2).ry(theta, 0).cx(0, 1).cz(0, 1)
    found = expanded(circuit, instances=4)
    assert len({one.structure_digest for one in found.circuits}) == 1
    assert found.drawn == tuple(name for one in found.circuits for name in one.parameters[1:])
    assert all(one.parameters[0] == "theta" for one in found.circuits)
    # Two before, two between that belong to both gates, two behind; each has two angles.
    assert len(found.drawn) == 4 * 6 * 2
    assert Twirling().cost(TwirlingOptions(instances=4)).circuits == len(found.circuits)


def test_what_stands_between_keeps_paulis_apart() -> None:
    def slots(circuit: Circuit) -> int:
        return [step.name for step in expanded(circuit).circuits[0].flat()].count("u")

    assert slots(Circuit(2).cx(0, 1).cx(0, 1)) == 6
    assert slots(Circuit(2).cx(0, 1).h(0).cx(0, 1)) == 7
    assert slots(Circuit(2).cx(0, 1).barrier(0, 1).cx(0, 1)) == 8
    assert slots(Circuit(3).cx(0, 1).delay(1.0, 1).cx(1, 2)) == 8
    assert slots(Circuit(3).cx(0, 1).cx(1, 2)) == 7


def test_blocks_stay_blocks_and_other_gates_stay_alone() -> None:
    circuit = Circuit(3).verbatim(Circuit(3).cx(0, 1).h(2)).ccx(0, 1, 2).swap(0, 1).gate("ecr", 0, 1, 2, controls=1)
    one = expanded(circuit).circuits[0]
    assert [step.name for step in one.instructions] == ["verbatim", "ccx", "swap", "ecr"]
    assert [step.name for step in one.instructions[0].body] == ["u", "u", "cx", "u", "u", "h"]
    assert len(expanded(circuit, gates=("cz", "ecr")).circuits) == 1
    assert "swap" not in USUAL


def test_a_circuit_with_none_of_the_gates_runs_once_as_it_is() -> None:
    circuit, context = Circuit(2).h(0).swap(0, 1), StageContext(spec=TOY)
    found = Twirling().expand(circuit, TwirlingOptions(), context)
    assert (found.circuits, found.drawn) == ((circuit,), ())
    answer = Answer(np.array([[0.5]]), np.array([[0.1]]))
    assert Twirling().combine(found.recipe, [answer], TwirlingOptions(), context) is answer
    assert context.notes["message"] == "the circuit has none of the gates cx, cz, ecr, iswap, iswapdg"


def test_unknown_gates_are_refused() -> None:
    with pytest.raises(ValueError, match="'cx', 'cz', 'ecr', 'iswap'"):
        TwirlingOptions(gates=("ccx",))


# ---- reading -----------------------------------------------------------------------------------------------------------


def test_each_instance_flips_each_bit_by_a_parameter_of_its_own() -> None:
    context = StageContext(spec=TOY, measured=(1, 0))
    options = TwirlingOptions(instances=3, readout=True)
    found = Twirling().expand(Circuit(2).cx(0, 1), options, context)
    assert (found.takes, [len(row) for row in found.flips]) == ("counts", [2, 2, 2])
    own = [(*one.parameters, *row) for one, row in zip(found.circuits, found.flips, strict=True)]
    assert tuple(itertools.chain(*own)) == found.drawn
    drawn = np.array([Twirling().draw(found.recipe, options, np.random.default_rng(seed)) for seed in range(200)]).reshape(
        200, 3, 10
    )
    assert set(drawn.ravel().tolist()) == {0.0, math.pi}
    np.testing.assert_allclose((drawn[:, :, 8:] > 1).mean(axis=(0, 1)), 0.5, atol=0.1)


def test_zero_and_one_are_misread_alike(tmp_path: Path) -> None:
    """Ones are read as zeros in 3 of 10, zeros never; so |0> keeps all of <Z>, |1> keeps 0.4 of it, and twirled both keep 0.7."""
    NoiseModel(qubits={"default": QubitNoise(readout=(0.0, 0.3))}).save(tmp_path / "noise.json")
    name = f"sim:noise={tmp_path / 'noise.json'}"
    circuit, parity = Circuit(2).x(1), [Observable({"ZI": 1.0}), Observable({"IZ": 1.0}), Observable({"ZZ": 1.0})]
    plain = qloom.device(name).estimate(circuit, parity, shots=20_000, seed=3).values
    np.testing.assert_allclose(plain, [[1.0, -0.4, -0.4]], atol=0.03)
    twirled = qloom.device(name, pipeline=[{"stage": "twirling", "gates": [], "readout": True, "instances": 400}])
    found = twirled.estimate(circuit, parity, shots=200, seed=3)
    assert (found.standard_errors < 0.03).all()
    assert (abs(found.values - [[0.7, -0.7, -0.49]]) < 4 * found.standard_errors).all()
    counts = twirled.run(circuit, shots=200, seed=4).counts
    assert (counts["11"] + counts["10"]) / sum(counts.values()) == pytest.approx(0.15, abs=0.03)


# ---- what it does to errors --------------------------------------------------------------------------------------------


def transfer(kraus: list[Matrix]) -> npt.NDArray[np.float64]:
    """The Pauli transfer matrix of a channel on two qubits."""
    paulis = [pauli(code) for code in range(16)]
    images = [sum(one @ each @ one.conj().T for one in kraus) for each in paulis]
    return np.array([[np.trace(left @ image).real / 4 for image in images] for left in paulis])


@pytest.mark.parametrize("name", TWIRLED)
def test_a_coherent_error_becomes_a_pauli_channel_on_average(name: str) -> None:
    """All 16 instances of one gate, each once: what is left of the error beside the gate has a diagonal transfer matrix."""
    error = matrix("rzx", (0.3,)) @ matrix("rxx", (0.2,)) @ np.kron(matrix("ry", (0.1,)), np.eye(2))
    gate = matrix(name)
    plain = transfer([error @ gate @ gate.conj().T])
    twirled = transfer([pauli(BEHIND[name][code]) @ error @ gate @ pauli(code) @ gate.conj().T / 4 for code in range(16)])
    assert abs(plain - np.diag(np.diag(plain))).max() > 0.1
    np.testing.assert_allclose(twirled, np.diag(np.diag(plain)), atol=1e-12)


def test_drawn_instances_average_to_the_pauli_channel() -> None:
    """The expanded circuits themselves, with an over-rotated gate: what is off the diagonal fades as draws become many."""
    error = {"cx": matrix("rzx", (0.4,))}
    count = 4000
    gate = matrix("cx").conj().T
    instances = [
        unitary(one, error) @ gate / math.sqrt(count) for one in bound(expanded(Circuit(2).cx(0, 1), instances=count), 11)
    ]
    plain, twirled = transfer([error["cx"]]), transfer(instances)
    off = abs(twirled - np.diag(np.diag(twirled))).max()
    assert off < 5 * math.sin(0.4) / math.sqrt(count)
    np.testing.assert_allclose(np.diag(twirled), np.diag(plain), atol=1e-9)


def test_coherent_errors_add_up_like_random_ones() -> None:
    """Over-rotated gates turn a state by the sum of their angles; twirled, its error grows as the sum of their squares."""
    angle, gates = 0.05, 24
    circuit = Circuit(2, [Instruction("cz", (0, 1))] * gates)
    error = {"cz": np.kron(matrix("rx", (angle,)), np.eye(2))}

    def infidelity(one: Circuit) -> float:
        return float(1 - abs(unitary(one, error)[0, 0]) ** 2)

    alone = infidelity(circuit)
    found = [infidelity(one) for one in bound(expanded(circuit, instances=400), 2)]
    assert alone == pytest.approx(math.sin(gates * angle / 2) ** 2, rel=1e-6)
    assert np.mean(found) == pytest.approx((1 - math.cos(angle) ** gates) / 2, rel=0.3)
    assert np.mean(found) < alone / 5


# ---- combining ---------------------------------------------------------------------------------------------------------


def combined(answers: list[Answer], wanted: str = "values") -> tuple[Answer, dict[str, Any]]:
    context = StageContext(spec=TOY, wanted=wanted)
    found = Twirling().expand(Circuit(2).cx(0, 1), TwirlingOptions(instances=len(answers)), context)
    answer = Twirling().combine(found.recipe, answers, TwirlingOptions(), context)
    return answer, context.notes


def test_values_are_means_with_the_larger_of_two_errors() -> None:
    values, errors = np.array([0.1, 0.3, 0.5, 0.7]), np.array([0.02, 0.02, 0.02, 0.02])
    answers = [Answer(np.array([[value, 1.0]]), np.array([[error, 0.4]])) for value, error in zip(values, errors, strict=True)]
    found, notes = combined(answers)
    assert found.values is not None
    assert found.standard_errors is not None
    np.testing.assert_allclose(found.values, [[0.4, 1.0]])
    np.testing.assert_allclose(found.standard_errors, [[np.std(values, ddof=1) / 2, 0.2]])
    assert (notes["gates"], notes["instances"], notes["values"].shape) == (1, 4, (4, 1, 2))


def test_equal_exact_values_stay_exact() -> None:
    answers = [Answer(np.array([[0.5 + 1e-16 * instance]]), np.zeros((1, 1))) for instance in range(5)]
    found, _ = combined(answers)
    assert found.standard_errors is not None
    assert found.standard_errors.tolist() == [[0.0]]


def test_counts_are_pooled() -> None:
    def counted(keys: list[int], weights: list[float]) -> Answer:
        return Answer(distributions=((Distribution(np.array(keys, np.uint64), np.array(weights), 2, 50),),))

    found, notes = combined([counted([0, 3], [0.5, 0.5]), counted([1, 3], [0.2, 0.8])], "counts")
    pooled = found.distributions[0][0]
    assert pooled.keys.tolist() == [0, 1, 3]
    np.testing.assert_allclose(pooled.weights, [0.25, 0.1, 0.65])
    assert (pooled.shots, pooled.spread, notes["values"]) == (100, 1.0, None)


def test_numbers_that_are_none_are_refused_by_instance() -> None:
    answers = [Answer(np.array([[value]]), np.zeros((1, 1))) for value in (0.5, math.nan)]
    with pytest.raises(Unsupported, match="stage twirling: instance 1 gave values that are no numbers"):
        combined(answers)
