"""What the names in a text stand for: gates of the standard includes and of vendors, reserved words, noise.

Both readers of OpenQASM take every gate known here, with or without an `include`: Braket writes none. Names mean what they mean
in Qiskit and Braket. In particular `U` and `u3` are the gate `u` without a phase in front, although the OpenQASM 3
specification gives them one; it would show only under `ctrl @`, where those two leave it out as well.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import qloom.convert.formulas as formulas
from qloom.circuits.gates import ALIASES, GATES
from qloom.convert.calls import DEFINITION, Meaning, Scope, define

if TYPE_CHECKING:
    from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


INCLUDES: dict[str, frozenset[str]] = {
    "stdgates.inc": _words(
        "p x y z h s sdg t tdg sx rx ry rz cx cy cz cp crx cry crz ch swap ccx cswap cu CX phase cphase id u1 u2 u3"
    ),
    "qelib1.inc": _words(
        "u3 u2 u1 cx id u0 u p x y z h s sdg t tdg rx ry rz sx sxdg cz cy swap ch ccx cswap crx cry crz cu1 cp cu3 csx cu rxx rzz"
        " rccx rc3x c3x c3sqrtx c4x"
    ),
}
"""The files that may be included -> the gates they define."""

RESERVED_3 = _words(
    "OPENQASM include defcalgrammar def cal defcal gate extern box let break continue if else end return for while in switch case"
    " default nop input output const readonly mutable qreg qubit creg bool bit int uint float angle complex array void duration"
    " stretch gphase inv pow ctrl negctrl durationof delay reset measure barrier true false pragma"
)
RESERVED_2 = _words("OPENQASM include qreg creg gate opaque measure reset barrier if")

NOISE = re.compile(r"braket[ \t]+noise[ \t]+(\w+)[ \t]*\((.*)\)[ \t]*([^()]*?)[ \t]*")
"""`braket noise NAME(probabilities) operands`, the text of a pragma."""

NOISE_NAME = re.compile(r"braket[ \t]+noise[ \t]+(\w+)")
VERBATIM = re.compile(r"braket[ \t]+verbatim[ \t]*")

# Gates beyond the table of the circuit form: rccx and rc3x as in qelib1.inc, Braket's own by the matrices that its
# developer guide gives (https://docs.aws.amazon.com/braket/latest/developerguide/braket-openqasm-supported-features.html).
_DEFINITIONS = """
gate u0(gamma) a { id a; }
gate u2(phi, lam) a { u(pi/2, phi, lam) a; }
gate cu3(theta, phi, lam) a, b { cu(theta, phi, lam, 0) a, b; }
gate dcx a, b { cx a, b; cx b, a; }
gate rccx a, b, c { u2(0, pi) c; p(pi/4) c; cx b, c; p(-pi/4) c; cx a, c; p(pi/4) c; cx b, c; p(-pi/4) c; u2(0, pi) c; }
gate rc3x a, b, c, d {
  u2(0, pi) d; p(pi/4) d; cx c, d; p(-pi/4) d; u2(0, pi) d; cx a, d; p(pi/4) d; cx b, d; p(-pi/4) d;
  cx a, d; p(pi/4) d; cx b, d; p(-pi/4) d; u2(0, pi) d; p(pi/4) d; cx c, d; p(-pi/4) d; u2(0, pi) d; }
gate xy(theta) a, b { rxx(-theta/2) a, b; ryy(-theta/2) a, b; }
gate pswap(theta) a, b { swap a, b; rzz(theta) a, b; gphase(theta/2); }
gate cphaseshift00(lam) a, b { x a; x b; cp(lam) a, b; x a; x b; }
gate cphaseshift01(lam) a, b { x a; cp(lam) a, b; x a; }
gate cphaseshift10(lam) a, b { x b; cp(lam) a, b; x b; }
gate gpi(phi) a { r(pi, phi) a; gphase(pi/2); }
gate gpi2(phi) a { r(pi/2, phi) a; }
gate ms(phi0, phi1, theta) a, b { rz(-phi0) a; rz(-phi1) b; rxx(theta) a, b; rz(phi0) a; rz(phi1) b; }
"""


@cache
def meanings() -> Mapping[str, Meaning]:
    """Return every gate name that is known without a definition in the text.

    >>> meanings()["cnot"].name, meanings()["c4x"].controls, len(meanings()["rccx"].body)
    ('cx', 4, 9)
    """
    known = {name: Meaning(row.num_parameters, row.num_qubits, name) for name, row in GATES.items()}
    known |= {alias: known[name] for alias, name in ALIASES.items()}
    known |= {"c3x": Meaning(0, 4, "x", 3), "c4x": Meaning(0, 5, "x", 4), "c3sqrtx": Meaning(0, 4, "sx", 3)}
    scope = Scope(known, formulas.CONSTANTS_2, {}, {}, whole_numbers=False)
    for found in DEFINITION.finditer(_DEFINITIONS):
        known[found["gate"]] = define(found, scope)
    return known


def why_not_a_name(name: str, version: int, included: frozenset[str]) -> str:
    """Return why a register, input or constant cannot be called so; empty where it can.

    >>> why_not_a_name("t", 3, INCLUDES["stdgates.inc"])
    "'t' is a gate of the included file; call it something else, such as 't_'"
    """
    if name in included:
        return f"{name!r} is a gate of the included file; call it something else, such as '{name}_'"
    constants, functions = (
        (formulas.CONSTANTS_2, formulas.FUNCTIONS_2) if version == 2 else (formulas.CONSTANTS_3, formulas.FUNCTIONS_3)
    )
    if name in constants or name in functions or name in (RESERVED_2 if version == 2 else RESERVED_3):
        return f"{name!r} is a word of OpenQASM {version} itself; call it something else, such as '{name}_'"
    return ""
