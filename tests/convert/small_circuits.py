"""Programs in the manner of QASMBench, 5 to 27 qubits, in OpenQASM 2: gates of their own, registers, conditionals."""

import math
import random
from collections.abc import Iterator, Mapping


def program(*lines: str, qubits: int, bits: int = 0) -> str:
    measured = [f"creg c[{bits}];"] if bits else []
    return "\n".join(["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{qubits}];", *measured, *lines]) + "\n"


def cat_state(n: int) -> str:
    return program(
        "h q[0];", *(f"cx q[{i}], q[{i + 1}];" for i in range(n - 1)), "barrier q;", "measure q -> c;", qubits=n, bits=n
    )


def bernstein_vazirani(n: int) -> str:
    marked = [i for i in range(n - 1) if i % 3]
    return program(
        f"x q[{n - 1}];",
        "h q;",
        *(f"cx q[{i}],q[{n - 1}];" for i in marked),
        *(f"h q[{i}]; measure q[{i}] -> c[{i}];" for i in range(n - 1)),
        qubits=n,
        bits=n - 1,
    )


def fourier(n: int) -> str:
    def rungs() -> Iterator[str]:
        for i in range(n):
            yield f"h q[{i}];"
            yield from (f"rotated(pi/2^{j - i}) q[{j}],q[{i}];" for j in range(i + 1, n))

    own = "gate rotated(a) x,y { u1(a/2) x; cx x,y; u1(-a/2) y; cx x,y; u1(a/2) y; }"
    return program(own, *rungs(), *(f"swap q[{i}],q[{n - 1 - i}];" for i in range(n // 2)), qubits=n)


def ripple_adder(n: int) -> str:
    """Bits 1 to n of `a` and `b` are added, b += a, with one carry in and one out: 2n + 2 qubits."""
    a, b = [f"a[{i}]" for i in range(n)], [f"b[{i}]" for i in range(n)]
    carries = ["carry[0]", *a]
    up = [f"majority {carries[i]},{b[i]},{a[i]};" for i in range(n)]
    down = [f"unmajority {carries[i]},{b[i]},{a[i]};" for i in reversed(range(n))]
    return "\n".join(
        [
            "OPENQASM 2.0;",
            'include "qelib1.inc";',
            "gate majority c,b,a { cx a,b; cx a,c; ccx c,b,a; }",
            "gate unmajority c,b,a { ccx c,b,a; cx a,c; cx c,b; }",
            f"qreg carry[2]; qreg a[{n}]; qreg b[{n}]; creg sum[{n}]; creg over[1];",
            "x a[0];",
            "x b;",
            *up,
            f"cx a[{n - 1}],carry[1];",
            *down,
            "measure b -> sum;",
            "measure carry[1] -> over[0];\n",
        ]
    )


def ising(n: int) -> str:
    steps = [f"bond({0.1 * (i + 1):.3f}) q[{i}],q[{i + 1}];" for start in (0, 1) for i in range(start, n - 1, 2)]
    return program("gate bond(t) a,b { cx a,b; rz(2*t) b; cx a,b; }", "h q;", *[*steps, "rx(sin(0.4)*pi) q;"] * 2, qubits=n)


def variational(n: int, seed: int) -> str:
    angles = random.Random(seed)
    turns = [f"u3({angles.uniform(-math.pi, math.pi)},{angles.uniform(-1, 1)},0) q[{i}];" for i in range(n)]
    links = [f"crz(-{angles.uniform(0, 3)}/4) q[{i}],q[{(i + 1) % n}];" for i in range(n)]
    return program(*turns, *links, *reversed(turns), qubits=n)


def swap_test(n: int) -> str:
    half = (n - 1) // 2
    pairs = [f"cswap q[0],q[{1 + i}],q[{1 + half + i}];" for i in range(half)]
    return program("h q[0];", "ry(0.3) q[1];", *pairs, "h q[0];", "measure q[0] -> c[0];", qubits=n, bits=1)


def knockout(n: int) -> str:
    """Measured halves decide, through a register, what happens to the others."""
    checks = [f"if(c=={value}) mark(pi/{value + 1}) q[{value % n}],q[{(value + 1) % n}];" for value in range(8)]
    return program(
        "gate mark(a) x,y { rx(a) x; cz x,y; }",
        "h q;",
        *(f"measure q[{i}]->c[{i}];" for i in range(3)),
        *checks,
        qubits=n,
        bits=3,
    )


def small_circuits() -> Mapping[str, str]:
    """Return name -> text; the number in a name is that of the qubits."""
    made = {
        "cat_n23": cat_state(23),
        "cat_n27": cat_state(27),
        "bv_n14": bernstein_vazirani(14),
        "bv_n19": bernstein_vazirani(19),
    }
    made |= {"qft_n5": fourier(5), "qft_n18": fourier(18), "adder_n10": ripple_adder(4), "adder_n24": ripple_adder(11)}
    made |= {
        "ising_n6": ising(6),
        "ising_n26": ising(26),
        "variational_n6": variational(6, 1),
        "variational_n13": variational(13, 2),
    }
    return made | {
        "swap_test_n5": swap_test(5),
        "swap_test_n25": swap_test(25),
        "knockout_n6": knockout(6),
        "knockout_n20": knockout(20),
    }
