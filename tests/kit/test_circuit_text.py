"""Circuits as JSON text, read back bit for bit."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.errors import CorruptRecord
from qloom.kit.circuit_text import circuit_from_json, circuit_to_json
from tests.circuits.strategies import circuits


def through_text(circuit: Circuit) -> Circuit:
    return circuit_from_json(json.loads(json.dumps(circuit_to_json(circuit))))


@given(circuit=circuits(), value=st.integers(0, 3), other=st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_bit_of_a_circuit_comes_back(circuit: Circuit, value: int, *, other: bool) -> None:
    steps = tuple(step for step in circuit.instructions if step.name != "verbatim")
    if steps:
        asked = Instruction("if", tuple({qubit for step in steps for qubit in step.qubits}), clbits=(0, 1))
        asked = asked._replace(body=steps, value=value, orelse=steps if other else ())
        circuit = Circuit(circuit.num_qubits, (*circuit.instructions, asked), parameters=circuit.parameters, name="some")
    back = through_text(circuit)
    assert back == circuit
    # Equality takes -0.0 for 0.0; the text of a circuit's instructions does not.
    assert repr(back.instructions) == repr(circuit.instructions)
    assert (back.digest, back.structure_digest, back.name) == (circuit.digest, circuit.structure_digest, circuit.name)


def test_every_field_of_an_instruction_is_written() -> None:
    step = Instruction("x", (0,))
    others = {"name": "y", "qubits": (1,), "parameters": (0.5,), "clbits": (1,), "controls": 1, "unit": "s", "value": 1}
    others |= {"body": (step,), "orelse": (step,)}
    assert set(others) == set(Instruction._fields)
    texts = {
        json.dumps(circuit_to_json(Circuit.trusted(2, (step._replace(**{field: value}),), 2, None)))  # type: ignore[arg-type]
        for field, value in others.items()
    }
    assert len(texts) == len(others)


GOOD = circuit_to_json(Circuit(2).ry(2 * Parameter("a"), 0).cx(0, 1).measure(0))


@pytest.mark.parametrize(
    "change",
    [
        {"qubits": 1},
        {"qubits": "2"},
        {"qubits": None},
        {"clbits": 0},
        {"parameters": []},
        {"parameters": 5},
        {"steps": [["nogate", [0]]]},
        {"steps": [["x", [0.5]]]},
        {"steps": [["x", [0, 1]]]},
        {"steps": [["rx", [0], ["nan"]]]},
        {"steps": [["rx", [0], ["0x1p"]]]},
        {"steps": [["rx", [0], [["sin", "0x1p0"]]]]},
        {"steps": [["rx", [0], [["add", ["number", "0x1p0"]]]]]},
        {"steps": [["rx", [0], [["system", ["number", "0x1p0"]]]]]},
        {"steps": [["rx", [0], [["parameter", "a b"]]]]},
        {"steps": [["x", [0], [], [], 0, "", [], 0, [], "more"]]},
        {"steps": 5},
    ],
)
def test_a_document_that_is_no_circuit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CorruptRecord, match="no circuit as qloom keeps it"):
        circuit_from_json({**GOOD, **change})


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_document_is_a_circuit_or_refused(document: Any) -> None:
    with pytest.raises(CorruptRecord):
        circuit_from_json(document)
