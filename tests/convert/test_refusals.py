"""What the circuit form cannot hold, and what is wrong, is refused by name, with line and column."""

import pytest

from qloom.circuits import Circuit
from qloom.convert import from_openqasm, qasm_fast, qasm_reference
from qloom.convert.calls import NotInSubset
from qloom.convert.qasm_fast import read_subset
from qloom.convert.qasm_reference import read_reference
from qloom.errors import InvalidCircuit

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[3] q;\nbit[3] c;\n'
NOT_HELD = "is not held by the circuit form"

# The text stands in line 5; (text, column, what is said).
REFUSED = [
    # classical control, subroutines, pulses
    ("x q[0]; while (c[0]) { x q[0]; }", 9, f"classical control flow ('while') {NOT_HELD} yet"),
    ("switch (1) { case 1 { x q[0]; } }", 1, f"classical control flow ('switch') {NOT_HELD} yet"),
    ("for int i in [0:1] { break; }", 22, f"classical control flow ('break') {NOT_HELD} yet"),
    ("for int i in [0:1] { continue; }", 22, f"classical control flow ('continue') {NOT_HELD} yet"),
    ("end;", 1, f"classical control flow ('end') {NOT_HELD} yet"),
    ("def f(qubit a) { x a; }", 1, f"a subroutine ('def') {NOT_HELD}"),
    ("extern f(float) -> float;", 1, f"a function from outside ('extern') {NOT_HELD}"),
    ('defcalgrammar "openpulse";', 1, f"pulse-level calibration ('defcalgrammar') {NOT_HELD}"),
    ("cal { }", 1, f"pulse-level calibration ('cal') {NOT_HELD}"),
    ("defcal x $0 { }", 1, f"pulse-level calibration ('defcal') {NOT_HELD}"),
    # conditions
    ("if (c[0] || c[1]) x q[0];", 5, f"the operator '||' in a condition {NOT_HELD}; a condition is a test such as c[0]"),
    ("if (c < 3) x q[0];", 5, f"the operator '<' in a condition {NOT_HELD}"),
    ("if (c[0] & c[1]) x q[0];", 5, f"the operator '&' in a condition {NOT_HELD}"),
    ("if (c[0] && ~c[1]) x q[0];", 13, f"the operator '~' in a condition {NOT_HELD}"),
    ("if (true) x q[0];", 5, f"a boolean literal in a condition {NOT_HELD}"),
    ("if (int(c) == 3) x q[0];", 5, f"a cast in a condition {NOT_HELD}"),
    ("if (measure q[0]) x q[1];", 5, "'measure' cannot stand here"),
    ("if (popcount(c) == 3) x q[0];", 5, f"a function call in a condition {NOT_HELD}"),
    ("if (1 == 1) x q[0];", 5, f"a integer literal in a condition {NOT_HELD}"),
    ("if (c) x q[0];", 5, "a register of 3 bits is not true or false by itself; compare it, as in `c == 3`"),
    ("if (c == 8) x q[0];", 10, "3 bits hold 0 to 7, never 8, so the condition never holds"),
    ("if (c == -1) x q[0];", 10, "3 bits hold 0 to 7, never -1"),
    ("if (c[0] == 2) x q[0];", 13, "1 bit holds 0 to 1, never 2"),
    ('if (c == "01") x q[0];', 10, "3 bits are compared with a text of 2; sizes must agree"),
    ("if (c == c) x q[0];", 10, "two registers cannot be compared with each other"),
    ("if (c[0] == c[1]) x q[0];", 13, "two registers cannot be compared with each other"),
    ("if (c[0] == 0.5) x q[0];", 13, "a whole number is needed here, got 0.5"),
    ("input float a; if (c == a) x q[0];", 25, "a whole number is needed here, known before the program runs; a is not"),
    ("if (q[0] == 1) x q[0];", 5, "a condition looks at classical bits, and this is a qubit; measure it into a bit first"),
    ("if (d == 1) x q[0];", 5, "'d' is not declared, where a qubit or bit is needed"),
    ("int n = 1; if (n == 1) x q[0];", 16, "'n' is a number, where a qubit or bit is needed"),
    ("if (c[3]) x q[0];", 5, "index 3 is outside the register of size 3"),
    ("if (c != 3 && c[0]) x q[0];", 5, "'&&' joins equalities only; a `!=` on several bits beside another test needs an if"),
    ("if (c[0] && !c[0]) x q[0];", 5, "the condition asks for a bit to be 0 and 1 at once, so it never holds"),
    ("if (c[0]) { qubit r; }", 13, "qubit declarations must be global"),
    ("gate g a { if (c[0]) x a; }", 12, "a branching statement cannot stand in the definition of gate 'g'"),
    ("if (c[0]) { while (c[1]) { x q[0]; } }", 13, f"classical control flow ('while') {NOT_HELD} yet"),
    ("if (c[0]) { z2 q[0]; }", 13, "no gate called 'z2'"),
    ("#pragma braket verbatim\nbox { if (c[0]) x q[0]; }", 7, "an if inside a verbatim box cannot be run as it stands"),
    ("if (c[0]) { for int i in [0:1] {\n#pragma braket noise bit_flip(0.1) q[0]\n} }", 1, "a pragma cannot stand inside a block"),
    ("if (c[0]) " * 33 + "x q[0];", 321, "ifs are nested more than 32 deep, which is the limit"),
    # classical values
    ("int n = 1; n = 2;", 12, f"an assignment to a classical variable {NOT_HELD}"),
    ("1 + 1;", 1, "an expression that stands alone"),
    ("output float x;", 1, f"an output variable ('x') {NOT_HELD}"),
    ("input array[float, 3] x;", 1, "input 'x' is of type 'array'; only inputs of type float and angle stay symbolic"),
    ("input int n;", 1, "input 'n' is of type 'int'; only inputs"),
    ("array[int, 2] a = {1, 2};", 1, f"an array ('a') {NOT_HELD}"),
    ("int n;", 1, "the variable 'n' has no value"),
    ("bool flag = true;", 1, f"a value of type 'bool' {NOT_HELD}"),
    ("const bool flag = true;", 1, f"a value of type 'bool' {NOT_HELD}"),
    ("rx(true) q[0];", 4, "a boolean literal is no number"),
    ("complex w = 1.0;", 1, f"a value of type 'complex' {NOT_HELD}"),
    ("stretch s1;", 1, "the variable 's1' has no value"),
    ('bit[2] d = "01";', 1, f"a value for the bits 'd' {NOT_HELD}"),
    ("input float a; const float b = 2 * a;", 16, "the constant 'b' depends on an input; declare it without 'const'"),
    ("const int n = 2.5;", 1, "an integer is needed here, got 2.5"),
    ("const uint n = -1;", 1, "-1 does not fit uint[64]"),
    ("const int[4] n = 8;", 1, "8 does not fit int[4] (-8 to 7)"),
    ("const int n = 7 / 2;", 1, "7/2 divides two integers and leaves a rest"),
    # angles
    (
        "rx(1/2) q[0];",
        4,
        "1/2 divides two integers and leaves a rest, which some readers of OpenQASM 3 drop and some keep; write 1.0/2",
    ),
    ("rx(2**-1) q[0];", 4, "2**-1 raises an integer to a negative power; write 2.0**-1"),
    ("rx(1.0/0) q[0];", 4, "cannot work out 1.0 div 0: float division by zero"),
    ("rx(1/0) q[0];", 4, "cannot work out 1 / 0"),
    ("rx(sqrt(-1)) q[0];", 4, "cannot work out sqrt(-1)"),
    ("rx(1e999) q[0];", 4, "an angle must be finite, got inf"),
    ("rx(2**2000) q[0];", 4, "2**2000 is too large"),
    ("rx(alpha) q[0];", 4, "no constant or input called 'alpha'"),
    ("rx(sinh(1)) q[0];", 4, "no function called 'sinh'; did you mean 'sin'"),
    ("rx(sin(1, 2)) q[0];", 4, "sin does not take 2 arguments"),
    ("input float a; rx(floor(a)) q[0];", 19, f"'floor' of an input {NOT_HELD}"),
    ("rx(c[0]) q[0];", 4, "a index expression is no number"),
    ("rx(q) q[0];", 4, "'q' is a register, where a number is needed"),
    ("rx(1 == 2) q[0];", 4, f"the operator '==' {NOT_HELD}"),
    ("rx(~1) q[0];", 4, f"the operator '~' {NOT_HELD}"),
    ("rx(-7 % 4) q[0];", 4, "'%' is worked out for constant whole numbers from 0 up only"),
    ("rx(7 % 0) q[0];", 4, "cannot work out 7 % 0"),
    ("rx(1im) q[0];", 4, "a imaginary literal is no number"),
    ("rx(bool(1)) q[0];", 4, f"a value of type 'bool' {NOT_HELD}"),
    # gates
    ("hh q[0];", 1, "no gate called 'hh'; did you mean"),
    ("inv @ ctrl @ hh q[0];", 14, "no gate called 'hh'; did you mean"),
    ("rx q[0];", 1, "rx takes 1 parameter, got 0"),
    ("h(0.5) q[0];", 1, "h takes 0 parameters, got 1"),
    ("cx q[0];", 1, "cx acts on 2 qubits, got 1"),
    ("ctrl @ x q[0];", 1, "x acts on 2 qubits (1 of them for its modifiers), got 1"),
    ("gphase(0.5) q[0];", 1, "gphase acts on 0 qubits, got 1"),
    ("cx q[0], q[0];", 1, "the call names one qubit twice"),
    ("cx q, q;", 1, "the call names one qubit twice"),
    ("qubit[2] r; cx q, r;", 13, "the registers differ in size (2, 3)"),
    ("x q[3];", 3, "index 3 is outside the register of size 3 (0 to 2)"),
    ("x q[-4];", 3, "index -4 is outside the register of size 3"),
    ("x q[0:4];", 3, "index 3 is outside the register of size 3"),
    ("x q[{0, 0}];", 3, "an index names a member twice"),
    ("x q[0][0];", 3, "one qubit or bit has no index"),
    ("x q[0, 1];", 3, f"an index of 2 dimensions {NOT_HELD}"),
    ("x q[0:0:2];", 5, "a range needs a step other than 0"),
    ("x q[1.5];", 5, "a whole number is needed here, got 1.5"),
    ("input float a; x q[a];", 20, "a whole number is needed here, known before the program runs; a is not"),
    ("x c[0];", 3, "a classical bit stands where a qubit is needed"),
    ("x r[0];", 3, "'r' is not declared, where a qubit or bit is needed"),
    ("int n = 1; x n;", 14, "'n' is a number, where a qubit or bit is needed"),
    ("x[100ns] q[0];", 1, f"a gate with a duration of its own (`gate[100ns] q`) {NOT_HELD}"),
    ("x $0;", 3, "physical qubits and declared ones ('q') in one program"),
    ("ctrl(0) @ x q[0];", 1, "ctrl takes a number of controls from 1 to"),
    ("pow(0.5) @ swap q[0], q[1];", 1, "a fractional power, 0.5, of the gate 'swap' is not known"),
    ("pow(0.5) @ dcx q[0], q[1];", 1, "a fractional power, 0.5, of a sequence of gates"),
    ("input float a; pow(a) @ x q[0];", 16, "the exponent of 'pow' must be a constant, and a is not one"),
    ("@note\nx q[0];", 1, f"an annotation ('@note') {NOT_HELD}"),
    # definitions
    ("gate g a { g a; } g q[0];", 12, "gate 'g' is defined through itself, so it cannot be unrolled"),
    (
        "gate g a { k a; } gate k a { g a; }",
        12,
        "gate 'k' is defined only later, in line 5; move it up (gates that are defined through",
    ),
    ("k q[0]; gate k a { x a; }", 1, "gate 'k' is defined only later, in line 5; move it up"),
    ("gate g a { x a; } gate g a { y a; }", 19, "'g' is declared already"),
    ("gate g(a) a { x a; }", 1, "gate 'g' gives one name to two of its parameters and qubits"),
    ("gate q a { x a; }", 1, "'q' is declared already"),
    ("input float b; gate g a { rx(b) a; }", 30, "no constant or input called 'b'"),
    ("gate g a { x q[0]; }", 14, "'q' is not declared, where a qubit"),
    ("gate g a { delay[100ns] a; }", 12, "a delay instruction cannot stand in the definition of gate 'g'"),
    ("gate g a { a a; }", 12, "'a' is a register here, not a gate"),
    # declarations
    ("qubit[2] q;", 1, "'q' is declared already"),
    ("input float t;", 1, "'t' is a gate of the included file; call it something else, such as 't_'"),
    ("qubit[2] h;", 1, "'h' is a gate of the included file"),
    ("input float pi;", 1, "'pi' is a word of OpenQASM 3 itself"),
    ("const float sin = 1.0;", 1, "'sin' is a word of OpenQASM 3 itself"),
    ('include "mine.inc";', 1, "cannot include 'mine.inc'; qelib1.inc and stdgates.inc are known"),
    ("qubit[0] r;", 6, "a register has from 1 to 100000 members, got 0"),
    ("qubit[100001] r;", 6, "a register has from 1 to 100000 members, got 100001"),
    ("qubit[100000] r;", 1, "100003 qubits are more than the limit of 100000"),
    ("let both = q ++ q;", 12, "the joined registers share a member"),
    ("let both = q ++ c;", 12, "qubits and bits cannot be joined"),
    ("let number = pi;", 14, "'pi' is a number, where a qubit or bit is needed"),
    # measure, delay, loops
    ("measure q[0];", 1, f"a measurement whose result goes nowhere {NOT_HELD}"),
    ("c = measure q[0];", 1, "1 qubits are measured into 3 bits; sizes must agree"),
    ("q[1] = measure q[0];", 1, "a measurement is read into classical bits, and the target is quantum"),
    ("barrier q, q[1];", 1, "barrier names a qubit twice"),
    ("delay[100ns];", 1, f"a delay without qubits {NOT_HELD}"),
    ("delay[-1 * 100ns] q;", 1, "a delay takes one duration from 0 up"),
    ("delay[3] q;", 6, "a integer literal is no duration; write one such as 100ns"),
    ("delay[durationof({x q[0];})] q;", 6, "a duration of is no duration"),
    ("for int i in q { x q[0]; }", 1, f"a loop over a identifier {NOT_HELD}"),
    ("for int i in [0:] { x q[0]; }", 1, "a loop needs a range with both ends"),
    ("for int i in [0:0:3] { x q[0]; }", 1, "a range needs a step other than 0"),
    ("for int i in [0:9999999] { }", 1, "a range of 10000000 numbers is too long; the limit is 1000000"),
    ("input float a; for int i in [0:a] { }", 32, "a whole number is needed here, known before the program runs"),
    # pragmas and boxes
    ("#pragma braket noise magic([[1, 0], [0, 1]]) q[0]", 1, "no noise channel called 'magic'"),
    ("#pragma braket noise bit_flip 0.1 q[0]", 1, "cannot be read as noise; write `braket noise bit_flip(0.1) q[0]`"),
    ("#pragma braket noise bit_flip(0.1)) q[0]", 1, "cannot be read as noise"),
    ("#pragma braket noise bit_flip(1.1) q[0]", 1, "bit_flip takes probabilities from 0 to 1"),
    ("#pragma braket noise bit_flip(0.1, 0.2) q[0]", 1, "bit_flip takes 1 parameter, got 2"),
    ("#pragma braket noise bit_flip(0.1) r[0]", 1, "'r' is not declared"),
    ("#pragma braket result state_vector", 1, f"the pragma 'braket result' {NOT_HELD}"),
    ("#pragma braket verbatim\nx q[0];", 1, "'#pragma braket verbatim' stands before a box"),
    ("#pragma braket verbatim", 1, "'#pragma braket verbatim' stands before a box"),
    ("#pragma braket verbatim\nbox[1us] { x q[0]; }", 1, f"a box with a duration {NOT_HELD}"),
    (
        "#pragma braket verbatim\nbox {\n#pragma braket verbatim\nbox { x q[0]; }\n}",
        1,
        "a verbatim box cannot stand inside another block",
    ),
    ("box { x q[0]; }", 1, "a 'box' is held by the circuit form only behind '#pragma braket verbatim'"),
    ("{\n#pragma braket noise bit_flip(0.1) q[0]\n}", 1, "a pragma cannot stand inside a block"),
    # no OpenQASM
    ("x q[0]", 7, "';' is missing before the end of the text"),
    ("x q[0];;", 8, "';' cannot stand here"),
    ("x q[0]; }", 9, "'}' cannot stand here"),
    ("x ? q[0];", 3, "'?' is no part of OpenQASM"),
    ("rx(+1) q[0];", 4, "'+' cannot stand here"),
    ("qreg r[0];", 7, "qreg size must be positive"),
    ("rx(" + "9" * 400 + ") q[0];", 4, "a number of 400 digits is too long; the limit is 300"),
]


@pytest.mark.parametrize(("text", "column", "said"), REFUSED, ids=[text[:50] for text, _, _ in REFUSED])
def test_it_is_refused_with_its_place(text: str, column: int, said: str) -> None:
    with pytest.raises(InvalidCircuit) as caught:
        from_openqasm(HEADER + text)
    assert said in str(caught.value)
    assert caught.value.column == column
    assert caught.value.line in range(5, 6 + text.count("\n"))
    assert str(caught.value).startswith(f"line {caught.value.line}, column {column}: ")


OLD = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\n'


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("if (c > 1) x q[0];", 5, f"the operator '>' in a condition {NOT_HELD}"),
        ("if (c == 4) x q[0];", 10, "2 bits hold 0 to 3, never 4"),
        ("opaque magic(a) b; magic(0.5) q[0];", 20, "gate 'magic' is opaque (declared in line 5): no definition says"),
        ("opaque magic a; gate g b { h b; magic b; }", 33, "gate 'magic' is opaque (declared in line 5)"),
        ("opaque magic;", 1, "an opaque gate is declared so: `opaque magic(a, b) x, y;`"),
        ("opaque magic a", 1, "an opaque gate is declared so"),
        ("opaque magic a; opaque magic b;", 17, "'magic' is declared already"),
        ("opaque magic a; qreg magic[1];", 17, "'magic' is declared already"),
        ("gate g a { g a; }", 12, "gate 'g' is defined through itself, so it cannot be unrolled"),
        (
            "gate g a { k a; } gate k a { g a; }",
            12,
            "gate 'k' is defined only later, in line 5; move it up (gates that are defined through",
        ),
        ("qubit[2] r;", 1, "no gate called 'qubit'"),
        ("input float a;", 13, "'a' cannot stand here"),
        ("rx(arcsin(1)) q[0];", 4, "no function called 'arcsin'; did you mean 'sin'"),
        ("rx(tau) q[0];", 4, "no constant or input called 'tau'"),
        ("x q[1/1];", 5, "a whole number is needed here, got 1.0"),
        ("#pragma braket noise bit_flip(0.1) q[0]", 1, "nor in OpenQASM 2"),
        ("qreg h[2];", 1, "'h' is a gate of the included file"),
    ],
)
def test_version_2_has_its_own_limits(text: str, column: int, said: str) -> None:
    with pytest.raises(InvalidCircuit) as caught:
        from_openqasm(OLD + text)
    assert said in str(caught.value)
    assert (caught.value.line, caught.value.column) == (5, column)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("OPENQASM 4.0;", "line 1, column 10: OpenQASM 4.0 is not known here; 2.0, 3.0 and 3.1 are"),
        ("// nothing", "line 1, column 1: the text holds no statement"),
        ("hello", "line 1, column 6: the end of the text cannot stand here"),
        ('input float t; include "stdgates.inc";', "line 1, column 16: the included file defines the gate 't'"),
        ("x $123456;", "line 1, column 3: $123456 is beyond the limit of 100000 qubits"),
        (
            "// parameter a is x\n// parameter b is x\ninput float a;\ninput float b;",
            "line 4, column 1: two inputs stand for the parameter 'x'",
        ),
        ("gate h2 a { }\n\n  gate2 a;", "line 3, column 3: no gate called 'gate2'"),
    ],
)
def test_programs_that_are_wrong_from_the_start_say_so(text: str, said: str) -> None:
    with pytest.raises(InvalidCircuit) as caught:
        from_openqasm(text)
    assert str(caught.value).startswith(said)


LAUGHS = "gate g0 a { x a; x a; }" + "".join(f"gate g{i} a {{ g{i - 1} a; g{i - 1} a; }}" for i in range(1, 40))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "gate 'g16' unrolls into more than 100000 instructions, which is the limit"),
        ("qubit q; pow(1000000000) @ h q;", "a power of 1000000000 unrolls into more than the limit of 1000000 instructions"),
        (f"qubit q; for int i in [1:{10**30}] {{ x q; }}", f"a range of {10**30} numbers is too long; the limit is 1000000"),
        (
            f"qubit q; for int i in [0:-2:-{2**64}] {{ x q; }}",
            f"a range of {2**63 + 1} numbers is too long; the limit is 1000000",
        ),
        ("for int i in [0:999999] { for int j in [0:999999] { } }", "the loops of the program take more than 1000000 turns"),
    ],
)
def test_a_few_words_cannot_fill_the_memory(text: str, said: str) -> None:
    with pytest.raises(InvalidCircuit) as caught:
        from_openqasm(text)
    assert said in str(caught.value)


WIDE = "qubit[100] q; bit c; "


@pytest.mark.parametrize(
    "text",
    [
        WIDE + "h q;" * 11,
        WIDE + "if (c) { h q; }" * 11,
        WIDE + "if (c) h q;" * 11,
        WIDE + "if (c) {" + "h q;" * 6 + "} else {" + "h q;" * 6 + "}",
        WIDE + "if (c) { if (c) {" + "h q;" * 11 + "} }",
        WIDE + "\n#pragma braket verbatim\nbox { h q; }" * 11,
    ],
)
def test_instructions_count_wherever_they_stand(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_subset(text) == read_reference(text)
    for reader in (qasm_fast, qasm_reference):
        monkeypatch.setattr(reader, "MAX_INSTRUCTIONS", 1000)
    with pytest.raises(NotInSubset, match="more than 1000 instructions"):
        read_subset(text)
    with pytest.raises(InvalidCircuit, match="the program unrolls into more than 1000 instructions, which is the limit"):
        read_reference(text)


def test_nothing_is_left_half_read() -> None:
    with pytest.raises(InvalidCircuit, match="line 5, column 1"):
        from_openqasm(HEADER + "hh q[0];")
    assert from_openqasm(HEADER + "h q[0];") == Circuit(3, num_clbits=3).h(0)
