"""Whole programs on `sim`: the 36 families of MQT Bench and the project's own OpenQASM 2, beside Qiskit's own simulators."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import qiskit.qasm2
from qiskit import QuantumCircuit, transpile
from qiskit.quantum_info import DensityMatrix, Pauli, Statevector
from qiskit_aer import AerSimulator

import qloom
from qloom.circuits import Circuit, Observable
from qloom.convert import from_openqasm, from_qiskit
from qloom.specs import needs
from tests.convert.small_circuits import ising, small_circuits
from tests.convert.test_mqt_bench import DYNAMIC, LARGE, UNITARY, benchmark
from tests.devices.dense import distribution

CORPUS = Path(__file__).parents[1] / "convert" / "corpus"
FILES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(CORPUS.glob("*/*.qasm"))}
TEXTS = {name: text for name, text in FILES.items() if "OPENQASM 2.0;" in text} | dict(small_circuits())
REFUSED = "opaque_used_n2"
"""By the reader: it calls a gate that nothing defines."""
FEED_FORWARD = ("correction_n5", "knockout_n20", "knockout_n6", "phase_n2", "teleport_n3")
NESTED = "v2_if"
"""An `if` within an `if`, which Qiskit's reader does not take."""
WIDE = ("adder_n24", "bv_n19", "cat_n23", "cat_n27", "ising_n26", "qft_n18", "swap_test_n25")
"""Too large for Qiskit's state vectors in the time that a test has: they have answers in closed form."""
PLAIN = tuple(sorted(set(TEXTS) - {REFUSED, NESTED, *FEED_FORWARD, *WIDE}))
SHOTS = 20_000
SURELY = 5
"""Standard deviations. Seeds are fixed, so what passes once passes always."""


def parsed(name: str) -> QuantumCircuit:
    without_blocks = re.sub(r"/\*.*?\*/", "", TEXTS[name], flags=re.DOTALL)  # which Qiskit's reader does not take
    return qiskit.qasm2.loads(without_blocks, custom_instructions=qiskit.qasm2.LEGACY_CUSTOM_INSTRUCTIONS)


def state(theirs: QuantumCircuit) -> Statevector | DensityMatrix:
    """What Qiskit says is there before the measurements; a mixed state where qubits are reset."""
    unmeasured = QuantumCircuit(theirs.qubits)
    for step in theirs.data:
        if step.operation.name != "measure":
            unmeasured.append(step.operation, step.qubits)
    if "reset" in unmeasured.count_ops():
        return DensityMatrix.from_label("0" * theirs.num_qubits).evolve(unmeasured)
    return Statevector(unmeasured)


def strings(num_qubits: int) -> list[str]:
    """Every letter on every qubit, and twenty strings all over."""
    letters = [["I"] * qubit + [letter] + ["I"] * (num_qubits - 1 - qubit) for qubit in range(num_qubits) for letter in "XYZ"]
    anywhere = np.random.default_rng(5).choice(list("IXYZ"), (20, num_qubits)).tolist()
    return ["".join(string) for string in letters + anywhere]


def check_values(ours: Circuit, end: Statevector | DensityMatrix) -> None:
    asked = strings(ours.num_qubits)
    found = qloom.device("sim").prepare(ours, [Observable({string: 1.0}) for string in asked]).estimate().values
    expected = [end.expectation_value(Pauli(string[::-1])).real for string in asked]
    assert found is not None
    assert np.allclose(found[0], expected, atol=1e-9, rtol=0)


def expected_keys(theirs: QuantumCircuit, end: Statevector | DensityMatrix) -> dict[str, float]:
    """Key -> probability. Classical bits that nothing is measured into are 0; without measurements the qubits are the key."""
    place = {
        theirs.find_bit(step.clbits[0]).index: theirs.find_bit(step.qubits[0]).index
        for step in theirs.get_instructions("measure")
    }
    place = place or {qubit: qubit for qubit in range(theirs.num_qubits)}
    length = theirs.num_clbits or theirs.num_qubits
    marginal = end.probabilities_dict([place[bit] for bit in sorted(place)])
    found = {}
    for label, probability in marginal.items():
        bits = dict(zip(sorted(place), label[::-1], strict=True))
        found["".join(bits.get(bit, "0") for bit in range(length))] = float(probability)
    return found


def check_counts(ours: Circuit, expected: dict[str, float], shots: int = SHOTS) -> None:
    """Keys that are expected less than five times are looked at together."""
    counts = qloom.device("sim").prepare(ours).run(shots=shots, seed=3).counts
    assert sum(expected.values()) == pytest.approx(1)
    assert {key for key in counts if expected.get(key, 0.0) < 1e-12} == set()
    rare = {key for key, chance in expected.items() if shots * chance < 5}
    for keys in [rare, *({key} for key in set(expected) - rare)]:
        chance = sum(expected[key] for key in keys)
        spread = math.sqrt(shots * chance * max(0.0, 1 - chance))
        assert abs(sum(counts.get(key, 0) for key in keys) - shots * chance) <= SURELY * max(spread, 1e-6), keys


def check_beside_aer(ours: Circuit, theirs: QuantumCircuit, shots: int = 4000, device: str = "sim") -> None:
    simulator = AerSimulator(max_parallel_threads=1)
    lowered = transpile(theirs, simulator, optimization_level=0)
    drawn = simulator.run(lowered, shots=shots, seed_simulator=7).result().get_counts()
    expected = {key.replace(" ", "")[::-1]: count for key, count in drawn.items()}
    counts = qloom.device(device).prepare(ours).run(shots=shots, seed=3).counts
    for key in {*counts, *expected}:
        one, two = counts.get(key, 0), expected.get(key, 0)
        assert abs(one - two) <= SURELY * math.sqrt(one * (1 - one / shots) + two * (1 - two / shots)), key


# ---- MQT Bench ---------------------------------------------------------------------------------------------------------


def test_every_family_runs_here() -> None:
    assert len({*UNITARY, *DYNAMIC, *LARGE}) == 36


@pytest.mark.parametrize("name", UNITARY)
def test_a_family_has_qiskits_values_and_probabilities(name: str) -> None:
    ours, theirs = from_qiskit(benchmark(name)), benchmark(name)
    end = state(theirs)
    check_values(ours, end)
    check_counts(ours, expected_keys(theirs, end))


@pytest.mark.parametrize("name", DYNAMIC)
def test_a_family_with_feed_forward_counts_as_aer_does(name: str) -> None:
    ours = from_qiskit(benchmark(name))
    assert "conditionals" in needs(ours)
    check_beside_aer(ours, benchmark(name), 4000)


def test_the_fourier_transform_with_feed_forward_counts_as_aer_does_on_a_state_that_it_does_not_flatten() -> None:
    turned = QuantumCircuit(4)
    for qubit in range(4):
        turned.ry(0.5 + 0.4 * qubit, qubit)
        turned.p(1.1 - 0.6 * qubit, qubit)
    theirs = benchmark("dynamic_qft").compose(turned, range(4), front=True)
    check_beside_aer(from_qiskit(theirs), theirs, 20_000)


def test_shors_code_of_nine_qubits_counts_as_aer_does_with_bonds() -> None:
    name = "shors_nine_qubit_code"
    check_beside_aer(from_qiskit(benchmark(name)), benchmark(name), 500, device="sim:method=mps")


def test_shors_algorithm_finds_the_period_of_the_powers_of_four_modulo_fifteen() -> None:
    """Period 2: eight counting bits that say 0 or 128, beside 4**0 or 4**1 in the others, lowest bit first."""
    halves = [f"{count:08b}"[::-1] + f"{power:010b}"[::-1] for count in (0, 128) for power in (1, 4)]
    check_counts(from_qiskit(benchmark("shor")), dict.fromkeys(halves, 0.25))


# ---- our own texts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
def test_a_program_has_qiskits_values_and_probabilities(name: str) -> None:
    ours, theirs = from_openqasm(TEXTS[name]), parsed(name)
    end = state(theirs)
    check_values(ours, end)
    check_counts(ours, expected_keys(theirs, end))


@pytest.mark.parametrize("name", FEED_FORWARD)
def test_a_program_with_feed_forward_counts_as_aer_does(name: str) -> None:
    check_beside_aer(from_openqasm(TEXTS[name]), parsed(name))


def test_what_feed_forward_did_to_every_qubit_counts_as_aer_does() -> None:
    text = TEXTS["knockout_n6"] + "creg after[6]; rx(0.7) q; measure q -> after;\n"
    check_beside_aer(from_openqasm(text), qiskit.qasm2.loads(text), 20_000)


def test_an_if_within_an_if_counts_as_density_matrices_say() -> None:
    ours = from_openqasm(TEXTS[NESTED] + "creg after[3]; rx(0.7) q; measure q -> after;\n")
    check_counts(ours, distribution(ours))


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("cat_n23", ["0" * 23, "1" * 23]),
        ("cat_n27", ["0" * 27, "1" * 27]),
        ("bv_n19", ["011" * 6]),
        ("adder_n24", ["0" * 11 + "1"]),
    ],
)
def test_a_wide_program_has_the_keys_of_its_algorithm(name: str, keys: list[str]) -> None:
    check_counts(from_openqasm(TEXTS[name]), dict.fromkeys(keys, 1 / len(keys)))


def test_the_swap_test_of_25_qubits_gives_the_overlap() -> None:
    ours = from_openqasm(TEXTS["swap_test_n25"])
    value = qloom.device("sim").prepare(ours, Observable.sparse({"Z0": 1.0}, 25)).estimate().value
    assert value == pytest.approx(math.cos(0.15) ** 2, abs=1e-9)


def test_the_fourier_transform_of_nothing_is_flat() -> None:
    flat = [Observable.sparse({f"X{qubit}": 1.0}, 18) for qubit in range(18)]
    found = qloom.device("sim").prepare(from_openqasm(TEXTS["qft_n18"]), flat).estimate().values
    assert np.allclose(np.array(found), 1, atol=1e-9)


def test_a_chain_of_26_spins_is_near_its_end_like_one_of_nine() -> None:
    """Two layers carry nothing further than four spins. A state vector of 26 takes minutes, so bonds are asked for."""
    asked = ["Z0", "X1", "Y0 Z1", "Z1 Y2", "X0 Z3"]
    sums = [Observable.sparse({text: 1.0}, 26) for text in asked]
    found = qloom.device("sim:method=mps").prepare(from_openqasm(TEXTS["ising_n26"]), sums).estimate().values
    end = Statevector(qiskit.qasm2.loads(ising(9), custom_instructions=qiskit.qasm2.LEGACY_CUSTOM_INSTRUCTIONS))
    letters = [next(iter(Observable.sparse({text: 1.0}, 9).terms)) for text in asked]
    expected = [end.expectation_value(Pauli(string[::-1])).real for string in letters]
    assert max(np.abs(expected)) > 0.1
    assert np.allclose(np.array(found), [expected], atol=1e-9, rtol=0)
