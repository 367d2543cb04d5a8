import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits.gates import GATES
from qloom.convert import from_openqasm
from qloom.convert.calls import Meaning, NotInSubset, broadcast, split_arguments
from qloom.convert.dialects import INCLUDES, meanings, why_not_a_name
from qloom.convert.formulas import NAME as NAME_IN_TEXT
from qloom.convert.matching import standard, unitary
from qloom.convert.names import spoken, written
from tests.circuits.oracle import gate_matrix
from tests.circuits.strategies import NAMES


@pytest.mark.parametrize("file", INCLUDES)
def test_every_gate_of_an_included_file_has_a_meaning(file: str) -> None:
    assert INCLUDES[file] <= meanings().keys()


def test_brakets_gates_have_the_matrices_of_its_guide() -> None:
    def matrix(name: str, *angles: float) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
        meaning = meanings()[name]
        return unitary(meaning.apply(angles, range(meaning.num_qubits)), meaning.num_qubits)

    c, s, e = np.cos(0.15), np.sin(0.15), np.exp(0.3j)
    assert np.allclose(matrix("xy", 0.3), [[1, 0, 0, 0], [0, c, 1j * s, 0], [0, 1j * s, c, 0], [0, 0, 0, 1]])
    assert np.allclose(matrix("pswap", 0.3), [[1, 0, 0, 0], [0, 0, e, 0], [0, e, 0, 0], [0, 0, 0, 1]])
    assert np.allclose(matrix("cphaseshift00", 0.3), np.diag([e, 1, 1, 1]))
    assert np.allclose(matrix("cphaseshift01", 0.3), np.diag([1, e, 1, 1]))
    assert np.allclose(matrix("cphaseshift10", 0.3), np.diag([1, 1, e, 1]))
    assert np.allclose(matrix("gpi", 0.3), [[0, 1 / e], [e, 0]])
    assert np.allclose(matrix("gpi2", 0.3), np.array([[1, -1j / e], [-1j * e, 1]]) / np.sqrt(2))
    plus, minus = np.exp(0.5j), np.exp(-0.1j)  # phi0 = 0.2, phi1 = 0.3: sum and difference
    twist = np.array([[0, 0, 0, 1 / plus], [0, 0, np.conj(minus), 0], [0, minus, 0, 0], [plus, 0, 0, 0]])
    assert np.allclose(matrix("ms", 0.2, 0.3, 0.4), np.cos(0.2) * np.eye(4) - 1j * np.sin(0.2) * twist)


@pytest.mark.parametrize(("name", "version", "file"), [("h", 3, "stdgates.inc"), ("rccx", 2, "qelib1.inc")])
def test_the_name_of_an_included_gate_is_taken_and_another_offered(name: str, version: int, file: str) -> None:
    assert f"call it something else, such as '{name}_'" in why_not_a_name(name, version, INCLUDES[file])
    assert not why_not_a_name(name, version, frozenset())


def test_words_of_one_version_are_names_in_the_other() -> None:
    assert why_not_a_name("input", 3, frozenset())
    assert not why_not_a_name("input", 2, frozenset())
    assert why_not_a_name("opaque", 2, frozenset())
    assert not why_not_a_name("opaque", 3, frozenset())


@given(st.lists(st.sampled_from([*NAMES, "theta_0_", "p", "ä", "_", "π", "x[1]", "mod"]), unique=True))
def test_written_names_are_legal_unique_and_spoken_back(names: list[str]) -> None:
    inputs = written(names)
    assert len(set(inputs.values())) == len(names)
    for name, close in inputs.items():
        text = f"// parameter {close} is {name}\n"
        assert spoken(text) == {close: name}
        assert not why_not_a_name(close, 3, INCLUDES["stdgates.inc"])
        assert re.fullmatch(NAME_IN_TEXT, close)


def test_a_comment_that_only_looks_like_a_name_changes_nothing() -> None:
    text = "// the parameter a is b\n // parameter a is c\n// parameter a is not a name!\ninput float a; qubit q; rx(a) q;"
    assert from_openqasm(text).parameters == ("a",)


def test_registers_are_walked_side_by_side() -> None:
    assert broadcast([(0, 1), (2, 3)]) == ((0, 2), (1, 3))
    assert broadcast([]) == ((),)
    different_sizes: list[int | tuple[int, ...]] = [(0, 1), (2, 3, 4)]
    mixed: list[int | tuple[int, ...]] = [0, (1, 0)]
    for operands in (different_sizes, [0, 0], mixed):
        with pytest.raises(NotInSubset):
            broadcast(operands)


def test_arguments_are_split_outside_brackets_only() -> None:
    assert split_arguments("a, f(b, g(c, d)), (e)") == ["a", " f(b, g(c, d))", " (e)"]


@pytest.mark.parametrize("name", [name for name, row in GATES.items() if row.num_controls])
def test_a_definition_by_controls_is_recognised(name: str) -> None:
    row = GATES[name]
    qubits = [f"q{index}" for index in range(row.num_qubits)]
    formal, given_angle = ("(a)", "(0.3)") if row.num_parameters else ("", "")
    body = f"ctrl({row.num_controls}) @ {row.base}{formal} {', '.join(qubits)};"
    call = f"{name}{given_angle} {', '.join(qubit.replace('q', '$') for qubit in qubits)};"
    circuit = from_openqasm(f"gate {name}{formal} {', '.join(qubits)} {{ {body} }} {call}")
    assert [(step.name, step.controls) for step in circuit.instructions] == [(name, 0)]


def test_a_definition_is_only_recognised_when_its_matrix_is_that_of_the_gate() -> None:
    honest = Meaning(0, 1, "", 0, (), meanings()["z"].apply((), (0,)))
    assert standard("z", honest) == meanings()["z"]
    assert standard("x", honest) is honest
    assert standard("mine", honest) is honest
    assert np.allclose(unitary(honest.body, 1), gate_matrix("z"))
