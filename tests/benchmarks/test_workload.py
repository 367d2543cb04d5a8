"""The common circuit and the check that two sides ran the same."""

from collections import Counter

import numpy as np
import pytest

from benchmarks import raw, raw_values
from benchmarks.ours import circuit
from benchmarks.workload import ansatz, count_parameters, difference, energy_ansatz, parameter_sets, pauli_terms, qasm
from qloom.circuits import Observable


def test_the_circuit_has_the_sizes_that_the_numbers_of_others_were_taken_on() -> None:
    assert [len(ansatz(size)) for size in (4, 10, 20)] == [44, 116, 236]
    assert [count_parameters(ansatz(size)) for size in (4, 20)] == [32, 160]


def test_our_form_of_it_keeps_gates_and_the_order_of_parameters() -> None:
    ours = circuit(ansatz(12), 12)
    assert len(ours.instructions) == len(ansatz(12))
    assert ours.parameters == tuple(f"t{index}" for index in range(96))
    assert ours.bind(dict.fromkeys(ours.parameters, 1.0)).instructions[0].parameters == (2.1,)


def test_its_text_declares_every_input_and_measures_every_qubit() -> None:
    text = qasm(ansatz(2, layers=1), 2)
    assert text.count("input float[64]") == 4
    assert "ry(2.0 * t0 + 0.1) q[0];" in text
    assert text.endswith("c = measure q;\n")


def test_samples_of_one_distribution_do_not_differ() -> None:
    rng = np.random.default_rng(5)
    draws = [Counter(format(key, "03b") for key in rng.integers(0, 8, 4000).tolist()) for _ in range(2)]
    assert difference(*draws) == ""


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({"01": 1000}, {"01": 999}, "999 on the other"),
        ({"01": 900, "00": 100}, {"10": 900, "00": 100}, "bit 0 is 1 in 0.000"),
        ({"0": 500, "1": 500}, {"0": 300, "1": 700}, "0.700 on the other"),
    ],
)
def test_other_shots_bits_in_another_order_and_other_angles_are_told(
    first: dict[str, int], second: dict[str, int], told: str
) -> None:
    assert told in difference(first, second)


@pytest.mark.parametrize("size", [4, 7])
def test_all_raw_loops_sample_the_same_distribution(size: int) -> None:
    parameters = np.array(parameter_sets(8 * size)[0])
    ways = raw.candidates(ansatz(size), size, 20_000)
    first, *others = [once(parameters) for once in ways.values()]
    assert len(others) == 4
    assert [difference(first, other) for other in others] == [""] * 4


def test_block_sums_sample_what_the_whole_cumulative_sum_does() -> None:
    probabilities = np.random.default_rng(3).dirichlet(np.ones(2**13) * 0.01)
    blocks, whole = raw.block_sampler(13, 50_000), raw.cdf_sampler(13, 50_000)
    one, other = blocks(probabilities), whole(probabilities)
    assert difference(one, other) == ""
    assert all(probabilities[int(key, 2)] > 0 for key in one)


def test_the_raw_value_is_that_of_the_observables_matrix() -> None:
    terms, parameters = pauli_terms(3), np.array(parameter_sets(24)[0])
    state, run = raw.qulacs_run(ansatz(3), 3)
    run(parameters)
    vector = state.get_vector()
    expected = (vector.conj() @ Observable(terms).matrix() @ vector).real
    for way in raw_values.candidates(ansatz(3), 3, terms).values():
        assert way(parameters) == pytest.approx(expected, abs=1e-12)


def test_the_energy_has_a_hundred_parameters_each_turning_one_gate() -> None:
    scale, _ = raw.angle_formula(energy_ansatz(12, 100))
    assert len(scale) == 100


def test_the_raw_gradient_is_that_of_finite_differences() -> None:
    terms, parameters = pauli_terms(3), np.array(parameter_sets(24)[0])
    value, step = raw.lightning_estimate(ansatz(3), 3, terms), 1e-5
    moved = [step * unit for unit in np.eye(24)]
    expected = [(value(parameters + move) - value(parameters - move)) / (2 * step) for move in moved]
    gradient = raw.lightning_gradient(ansatz(3), 3, terms)(parameters)
    assert gradient.ravel() == pytest.approx(expected, abs=1e-7)
