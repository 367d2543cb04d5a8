"""Circuits of MQT Bench, made by its package once and kept as OpenQASM text in `build/mqt-bench/`."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.peers import NotRunError
from qloom.convert import from_openqasm, from_qiskit, to_openqasm
from qloom.specs import needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qloom.circuits import Circuit

USUAL_SIZES = (4, 10, 16)
FAMILIES = {
    "ae": (2, *USUAL_SIZES),
    "bmw_quark_cardinality": USUAL_SIZES,
    "bmw_quark_copula": USUAL_SIZES,
    "bv": (*USUAL_SIZES, 20, 24),
    "cdkm_ripple_carry_adder": (*USUAL_SIZES, 22, 24),
    "dj": (*USUAL_SIZES, 22),
    "draper_qft_adder": USUAL_SIZES,
    "full_adder": USUAL_SIZES,
    "ghz": (2, *USUAL_SIZES, 20, 24),
    "graphstate": (*USUAL_SIZES, 20, 24),
    "grover": (4, 8),
    "half_adder": (5, 9, 15),
    "hhl": (*USUAL_SIZES, 20),
    "hrs_cumulative_multiplier": (5, 9),
    "modular_adder": USUAL_SIZES,
    "multiplier": (8, 12),
    "qaoa": USUAL_SIZES,
    "qft": (2, *USUAL_SIZES, 19),
    "qftentangled": USUAL_SIZES,
    "qnn": (*USUAL_SIZES, 20, 24),
    "qpeexact": USUAL_SIZES,
    "qpeinexact": USUAL_SIZES,
    "qwalk": (4, 8),
    "randomcircuit": (*USUAL_SIZES, 18),
    "rg_qft_multiplier": (8, 16),
    "vbe_ripple_carry_adder": (*USUAL_SIZES, 22),
    "vqe_real_amp": (*USUAL_SIZES, 20, 22),
    "vqe_su2": (*USUAL_SIZES, 20),
    "vqe_two_local": USUAL_SIZES,
    "wstate": (*USUAL_SIZES, 20, 24),
}
"""Family -> qubits; those without measurements inside, and the sizes that each has."""
MOST_GATES = 3000
MOST_WORK = 1.7e9
"""Gates times amplitudes: two or three seconds on one thread."""
INSIDE = frozenset({"mid_circuit_measurement", "reset", "conditionals"})


class Case(NamedTuple):
    """One circuit: its name, `family-qubits`, and its size."""

    name: str
    num_qubits: int
    gates: int
    circuit: Circuit


def cases(folder: Path, most_qubits: int | None = None, families: int | None = None) -> list[Case]:
    """Return the circuits, the smallest first.

    Args:
        folder: where the texts are kept.
        most_qubits: larger ones are left out.
        families: the first so many only.

    Raises:
        NotRunError: the package is not installed.
    """
    found = []
    for family, sizes in list(FAMILIES.items())[:families]:
        for size in sizes:
            if most_qubits is None or size <= most_qubits:
                found += list(_case(folder, family, size))
    return sorted(found, key=lambda case: (case.gates * 2**case.num_qubits, case.name))


def _case(folder: Path, family: str, size: int) -> Iterator[Case]:
    """Yield the circuit, unless it measures inside or is too large."""
    circuit = from_openqasm(_text(folder, family, size))
    gates = sum(step.kind == "gate" for step in circuit.every())
    if not INSIDE & set(needs(circuit)) and gates <= MOST_GATES and gates * 2**circuit.num_qubits <= MOST_WORK:
        yield Case(f"{family}-{size}", circuit.num_qubits, gates, circuit)


def _text(folder: Path, family: str, size: int) -> str:
    """Return the text of a circuit, made anew when the package's release is another."""
    try:
        path = folder / f"mqt-bench-{version('mqt-bench')}" / f"{family}-{size}.qasm"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_made(family, size), encoding="utf-8")
    except ImportError as error:  # also the package's metadata
        raise NotRunError(f"mqt-bench is not installed ({error}); `make setup`") from error
    return path.read_text(encoding="utf-8")


def _made(family: str, size: int) -> str:
    from mqt.bench import BenchmarkLevel, get_benchmark

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        return to_openqasm(from_qiskit(get_benchmark(family, BenchmarkLevel.INDEP, size, random_parameters=True)))
