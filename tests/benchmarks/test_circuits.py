"""Clifford circuits and derivatives: both sides' words mean the same, and a difference is told."""

import numpy as np
import pytest
import stim

from benchmarks.figures_circuits import clifford_steps, in_our_words, in_stims_words, same_bits, same_derivatives
from tests.circuits.oracle import unitary


def test_both_sides_words_for_a_clifford_circuit_have_one_unitary() -> None:
    steps = clifford_steps(4, layers=6)
    circuit = in_stims_words(steps, 4)
    theirs = stim.Tableau.from_circuit(circuit[:-1]).to_unitary_matrix(endian="big")
    overlap = np.vdot(unitary(in_our_words(steps, 4)), theirs) / len(theirs)
    assert abs(overlap) == pytest.approx(1, abs=1e-5)  # stim's matrices have single precision
    assert circuit[-1].name == "M"


def test_every_qubit_is_in_one_pair_of_a_layer() -> None:
    pairs = [qubits for name, qubits in clifford_steps(10, layers=1) if name == "cx"]
    assert sorted(qubit for pair in pairs for qubit in pair) == list(range(10))


def test_samples_that_agree_bit_by_bit_but_not_in_their_sums_are_told() -> None:
    rng = np.random.default_rng(4)
    bit = rng.integers(0, 2, (1000, 1), dtype=np.uint8)
    other = rng.integers(0, 2, (1000, 2), dtype=np.uint8)
    same_bits(other, rng.integers(0, 2, (1000, 2), dtype=np.uint8))
    with pytest.raises(AssertionError, match="a frequency differs"):
        same_bits(np.hstack([bit, bit]), other)


def test_another_derivative_is_told() -> None:
    same_derivatives([1.0, 2.0], [[1.0, 2.0 + 1e-12]])
    with pytest.raises(AssertionError, match=r"by up to 0\.1"):
        same_derivatives([1.0, 2.0], [1.0, 2.1])
