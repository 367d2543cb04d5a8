import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp

from qloom.circuits import Observable
from qloom.errors import InvalidObservable

coefficients = st.floats(-5, 5, allow_nan=False)


@st.composite
def observables(draw: st.DrawFn, max_qubits: int = 4) -> Observable:
    size = draw(st.integers(1, max_qubits))
    return Observable(draw(st.dictionaries(st.text("IXYZ", min_size=size, max_size=size), coefficients, min_size=1, max_size=8)))


@given(observables())
def test_the_matrix_is_qiskits_for_the_reversed_labels(observable: Observable) -> None:
    theirs = SparsePauliOp.from_list([(string[::-1], value) for string, value in observable.terms.items()])
    # Qiskit's matrix has its last qubit first; reversing the qubits puts ours first.
    shape = (2,) * (2 * observable.num_qubits)
    qubits = range(observable.num_qubits)
    axes = [*reversed(qubits), *(observable.num_qubits + qubit for qubit in reversed(qubits))]
    reordered = theirs.to_matrix().reshape(shape).transpose(axes).reshape(observable.matrix().shape)
    assert np.allclose(observable.matrix(), reordered)


def test_the_first_letter_acts_on_qubit_0_which_is_most_significant() -> None:
    assert Observable({"ZI": 1.0}).matrix().diagonal().real.tolist() == [1, 1, -1, -1]
    assert Observable({"IZ": 1.0}).matrix().diagonal().real.tolist() == [1, -1, 1, -1]


@given(observables())
def test_every_term_but_the_identity_is_in_exactly_one_group(observable: Observable) -> None:
    grouped = sorted(term for group in observable.groups for term in group.terms)
    assert grouped == [index for index, string in enumerate(observable.strings) if set(string) != {"I"}]


@given(observables())
def test_a_groups_basis_measures_each_of_its_terms(observable: Observable) -> None:
    for group in observable.groups:
        for term in group.terms:
            pairs = zip(group.basis, observable.strings[term], strict=True)
            assert all(letter in {"I", basis} for basis, letter in pairs)


@given(observables())
def test_a_basis_asks_for_no_letter_that_none_of_its_terms_has(observable: Observable) -> None:
    for group in observable.groups:
        for qubit, basis in enumerate(group.basis):
            assert basis == "I" or any(observable.strings[term][qubit] == basis for term in group.terms)


@given(observables())
def test_grouping_depends_on_nothing_but_the_terms(observable: Observable) -> None:
    again = Observable(observable.terms)
    assert again.groups == observable.groups
    assert all(one.terms == tuple(sorted(one.terms)) for one in again.groups)


def test_the_heaviest_terms_open_the_groups() -> None:
    heavy = Observable({"XX": 0.1, "ZZ": -2.0, "YY": 0.5})
    weights = [abs(heavy.coefficients[group.terms[0]]) for group in heavy.groups]
    assert all(left >= right for left, right in pairwise(weights))


@given(observables(max_qubits=2), coefficients)
def test_arithmetic_is_that_of_the_matrices(observable: Observable, factor: float) -> None:
    other = Observable({"XYZI"[: observable.num_qubits]: 0.5})
    assert np.allclose((observable + other).matrix(), observable.matrix() + other.matrix())
    assert np.allclose((observable - other).matrix(), observable.matrix() - other.matrix())
    assert np.allclose((factor * observable).matrix(), factor * observable.matrix())
    assert -observable == observable * -1.0


def test_sparse_terms_name_their_qubits() -> None:
    assert Observable.sparse({"Z0 X2": 1.0, "": 0.5, "X2 Z0": 0.25}, 3).terms == {"ZIX": 1.25, "III": 0.5}


@pytest.mark.parametrize("term", ["Z3", "Q0", "Z", "0Z", "Z0X1", "Z-1"])
def test_a_sparse_factor_that_is_no_pauli_on_a_qubit_is_refused(term: str) -> None:
    with pytest.raises(InvalidObservable, match="is no Pauli on one of 3 qubits; write 'Z0' or 'X2'"):
        Observable.sparse({term: 1.0}, 3)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({}, "needs at least one term"),
        ({"": 1.0}, "is no Pauli string"),
        ({"ZQ": 1.0}, "'ZQ' is no Pauli string"),
        ({"zz": 1.0}, "'zz' is no Pauli string"),
        ({"ZZ": 1.0, "Z": 1.0}, "'Z' acts on 1 qubits, the first term on 2; all strings need one length"),
        ({"Z": 1j}, "the coefficient of 'Z' must be a real number"),
        ({"Z": "1"}, "the coefficient of 'Z' must be a real number"),
        ({"Z": math.inf}, "the coefficient of 'Z' must be finite, got inf"),
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: dict[str, float], said: str) -> None:
    with pytest.raises(InvalidObservable, match=said):
        Observable(terms)


def test_observables_of_different_sizes_cannot_be_added() -> None:
    with pytest.raises(InvalidObservable, match="cannot add observables on 1 and 2 qubits"):
        Observable({"Z": 1.0}) + Observable({"ZZ": 1.0})


def test_a_matrix_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(InvalidObservable, match="a matrix on 15 qubits is too large; the limit is 14"):
        Observable({"Z" * 15: 1.0}).matrix()


def test_the_digest_is_this_on_every_machine_and_follows_the_content() -> None:
    energy = Observable({"ZI": 0.5, "XX": -0.25})
    assert energy.digest == "1bb891ccaf02c3ddd967166c436c9109"
    assert hash(energy) == hash(Observable({"ZI": 0.5, "XX": -0.25}))
    assert energy.digest != Observable({"ZI": 0.5, "XX": -0.26}).digest
