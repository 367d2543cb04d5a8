"""The fast reader and the reference reader, held against each other."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from qloom.circuits import Circuit
from qloom.convert import to_openqasm
from qloom.convert.calls import NotInSubset
from qloom.convert.qasm_fast import read_subset
from qloom.convert.qasm_reference import read_reference
from qloom.errors import InvalidCircuit
from tests.circuits.strategies import circuits

CORPUS = Path(__file__).parent / "corpus"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "circuits"
PLAIN = sorted([*(CORPUS / "plain").glob("*.qasm"), *(CORPUS / "conditional").glob("*.qasm")])
UNROLLED = sorted(path for path in (CORPUS / "unrolled").glob("*.qasm") if not path.name.endswith(".plain.qasm"))
OTHERS = sorted(SHARED.glob("*.qasm"))

WORDS = re.compile(r"\w+|\s+|.")
STRAY = (
    *(
        "ctrl @ ",
        "inv @ ",
        "box",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ";",
        ",",
        "//",
        "/*",
        "*/",
        "let",
        "if",
        "if (c[0]) ",
        "if (c == 1) {",
        "else",
        "!",
        "&&",
        "==",
        "1_0",
        "0x1",
        "$0",
        "$1",
        "\\",
        '"',
    ),
    *(
        "'",
        "%",
        "^",
        "**",
        "++",
        "-",
        "é",
        "\u00a0",
        "\x0c",
        "gate ",
        "\r",
        "\n",
        "#pragma",
        "100ns",
        "true",
        "h q;",
        "[-1]",
        "[0:1]",
        "-0",
    ),
    *(
        "99999999999999999999",
        "1e999",
        "@note\n",
        "gphase",
        "opaque ",
        "input float[64] x;",
        "qubit[2] r;",
        "pi",
        "theta",
        "x q[0];",
        "$0;",
    ),
)


def test_the_corpus_is_there() -> None:
    assert len(PLAIN) > 10
    assert len(UNROLLED) > 2


@pytest.mark.parametrize("path", [*PLAIN, *OTHERS], ids=lambda path: path.stem)
def test_both_readers_see_the_same_circuit(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    fast, reference = read_subset(text), read_reference(text)
    assert fast == reference
    assert fast.digest == reference.digest
    # Built without checks, yet one that the checks accept.
    assert Circuit(fast.num_qubits, fast.instructions, num_clbits=fast.num_clbits, parameters=fast.parameters) == fast


@pytest.mark.parametrize("path", UNROLLED, ids=lambda path: path.stem)
def test_loops_constants_and_slices_unroll_to_what_they_stand_for(path: Path) -> None:
    unrolled = read_reference(path.read_text(encoding="utf-8"))
    written_out = read_subset(path.with_suffix(".plain.qasm").read_text(encoding="utf-8"))
    assert unrolled.instructions == written_out.instructions
    assert unrolled == written_out


@pytest.mark.parametrize("path", UNROLLED, ids=lambda path: path.stem)
def test_the_fast_reader_leaves_such_text_to_the_reference(path: Path) -> None:
    with pytest.raises(NotInSubset):
        read_subset(path.read_text(encoding="utf-8"))


@settings(max_examples=50)
@given(circuits())
def test_both_read_what_we_write(circuit: Circuit) -> None:
    text = to_openqasm(circuit)
    try:
        fast = read_subset(text)
    except NotInSubset:
        assume(False)  # noise in a box, long formulas: the reference's
    assert fast == read_reference(text)


@settings(max_examples=400, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.data())
def test_damaged_text_is_never_read_otherwise_than_the_reference_reads_it(data: st.DataObject) -> None:
    words = WORDS.findall(
        data.draw(st.sampled_from([path.read_text(encoding="utf-8") for path in PLAIN if path.stat().st_size < 900]))
    )
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(words) - 1))
        words[place] = data.draw(st.one_of(st.just(""), st.sampled_from(STRAY), st.sampled_from(words)))
    text = "".join(words)
    try:
        fast = read_subset(text)
    except NotInSubset:
        return
    assert fast == read_reference(text), text


@pytest.mark.parametrize(
    "text",
    [
        "OPENQASM 3.0; qubit[2] q; h q[2];",
        "OPENQASM 3.0; qubit[2] q; cx q[0], q[0];",
        "OPENQASM 3.0; qubit[2] q; rx q[0];",
        "OPENQASM 3.0; qubit[2] q; h(0.5) q[0];",
        "OPENQASM 3.0; qubit[2] q; h q[0]",
        "OPENQASM 3.0; qubit[2] q; rx(1/2) q[0];",
        "OPENQASM 3.0; qubit[2] q; rx(1/0.0) q[0];",
        "OPENQASM 3.0; qubit[2] q; rx(sqrt(-1)) q[0];",
        "OPENQASM 3.0; qubit[2] q; rx(1e999) q[0];",
        "OPENQASM 3.0; qubit[2] q; rx(alpha) q[0];",
        "OPENQASM 3.0; qubit[2] q; qubit[2] q;",
        "OPENQASM 3.0; qubit[2] q; qubit[0] r;",
        "OPENQASM 3.0; qubit[2] q; unknown q[0];",
        "OPENQASM 3.0; qubit[2] q; ;",
        "OPENQASM 3.0; qubit[2] q; y) q[0];",
        "OPENQASM 3.0; qubit[2] q; ctrl @ x q[0], q[1];",
        "OPENQASM 3.0; qubit[2] q; if (true) x q[0];",
        "OPENQASM 3.0; qubit q; bit[2] c; if (c) x q;",
        "OPENQASM 3.0; qubit q; bit[2] c; if (c == 4) x q;",
        "OPENQASM 3.0; qubit q; bit[2] c; if (c[2]) x q;",
        "OPENQASM 3.0; qubit q; bit[2] c; if (c[0] || c[1]) x q;",
        "OPENQASM 3.0; qubit q; bit[2] c; if (!c[0] == 1) x q;",
        "OPENQASM 3.0; qubit q; bit[2] c; if (c != 1 && c[0]) x q;",
        "OPENQASM 3.0; qubit q; bit[2] c; if (c[0] && !c[0]) x q;",
        "OPENQASM 3.0; qubit q; bit[2] c; if (q == 1) x q;",
        "OPENQASM 3.0; qubit q; bit c; if (c) x q; else y q;",
        "OPENQASM 3.0; qubit q; bit c; if (c) { x q; } else y q;",
        "OPENQASM 3.0; qubit q; bit c; if (c) { x q; }}",
        "OPENQASM 3.0; qubit q; bit c; if (c) { if (c) { x q; }",
        "OPENQASM 3.0; qubit q; bit c; if (c) { bit d; }",
        "OPENQASM 3.0; qubit q; bit c; if (c) input float a;",
        "OPENQASM 3.0; qubit q; bit c; if (c) { gate g a { x a; } }",
        "OPENQASM 3.0; qubit q; bit c; if (c) {\n#pragma braket noise bit_flip(0.1) q }\n",
        "OPENQASM 3.0; qubit q; bit c;\n#pragma braket verbatim\nbox { if (c) x q; }",
        "OPENQASM 3.0; qubit q; bit c; " + "if (c) " * 40 + "x q;",
        "OPENQASM 2.0; qreg q[1]; creg c[1]; if (c[0] == true) x q[0];",
        "OPENQASM 2.0; qreg q[1]; opaque g a; g q[0];",
        "OPENQASM 2.0; qreg q[1]; opaque g; x q[0];",
        "OPENQASM 3.0; qubit q; opaque g a;",
        "OPENQASM 3.0; qubit[2] q; bit[3] c; c = measure q;",
        "OPENQASM 3.0; qubit[2] q; measure q[0];",
        "OPENQASM 3.0; qubit[2] q; barrier q, q[1];",
        "OPENQASM 3.0; qubit[2] q; delay[100ns];",
        "OPENQASM 3.0; qubit[2] q; delay[-1ns] q;",
        'OPENQASM 3.0; include "stdgates.inc"; input float t;',
        'OPENQASM 3.0; include "other.inc";',
        "OPENQASM 3.0; input int n;",
        "OPENQASM 3.0; input float pi;",
        "OPENQASM 3.0; input angle[0] a;",
        "OPENQASM 3.0; output float x;",
        "OPENQASM 3.0; gate g a { g a; } qubit q; g q;",
        "OPENQASM 3.0; gate g a { later a; } gate later a { x a; }",
        "OPENQASM 3.0; gate g(a) a { rx(a) a; }",
        "OPENQASM 3.0; input float b; gate g a { rx(b) a; }",
        "OPENQASM 2.0; qubit[2] q;",
        "OPENQASM 2.0; qreg q[2]; rx(2**3) q[0];",
        "OPENQASM 2.0; qreg q[1]; creg c[1]; c[0] = measure q[0];",
        "OPENQASM 2.0; input float theta;",
        "OPENQASM 2.0; qreg q[2]; barrier;",
        "OPENQASM 2.0; qreg q[1]; delay[10ns] q[0];",
        "OPENQASM 4.0; qubit q;",
        "OPENQASM 3.0; qubit[100001] q;",
        "OPENQASM 3.0; qubit q; x $0;",
        "#pragma braket noise bit_flip(2.0) $0\n",
        "#pragma braket noise kraus([[1]]) $0\n",
        "#pragma braket result state_vector\n",
        "@note\nx $0;",
        "x\u00a0$0;",
        "x $0\x0c;",
    ],
)
def test_the_fast_reader_hands_over_whatever_it_does_not_know_or_trust(text: str) -> None:
    with pytest.raises(NotInSubset):
        read_subset(text)


@pytest.mark.parametrize("letter", ["x", "(", "-", "["])
def test_text_that_is_nested_without_end_is_refused_by_both(letter: str) -> None:
    text = f"qubit q; rx({letter * 3_000}) q;"
    with pytest.raises(NotInSubset):
        read_subset(text)
    with pytest.raises(InvalidCircuit):
        read_reference(text)
