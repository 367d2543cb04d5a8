"""The 36 families of MQT Bench, generated here, as live Qiskit circuits and as text; Qiskit says what they mean."""

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import qiskit.qasm2
import qiskit.qasm3
from mqt.bench import BenchmarkLevel, get_benchmark
from mqt.bench.benchmarks import get_available_benchmark_names
from qiskit import QuantumCircuit

from qloom.circuits import Circuit, Instruction
from qloom.convert import from_openqasm, from_qiskit, to_openqasm
from tests.circuits.oracle import Matrix, matrix_of, same_up_to_phase, unitary

SIZES = {  # the smallest that a family has, where it is not 4
    "hrs_cumulative_multiplier": 5,
    "half_adder": 5,
    "multiplier": 8,
    "rg_qft_multiplier": 8,
    "seven_qubit_steane_code": 13,
    "shor": 18,
    "shors_nine_qubit_code": 17,
    "cdkm_ripple_carry_adder": 6,
    "full_adder": 6,
    "qft": 6,
    "vqe_su2": 6,
}
DYNAMIC = ("dynamic_qft", "ghz_dynamic", "iqpe", "seven_qubit_steane_code", "shors_nine_qubit_code")
LARGE = ("shor",)
UNITARY = tuple(name for name in get_available_benchmark_names() if name not in {*DYNAMIC, *LARGE})
NOT_AS_TEXT = ("ae",)
"""Families that Qiskit's exporters stop at, with an error of their own."""


@cache
def benchmark(name: str, level: BenchmarkLevel = BenchmarkLevel.INDEP) -> QuantumCircuit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        return get_benchmark(name, level, SIZES.get(name, 4), random_parameters=True)


@cache
def matrix(name: str) -> Matrix:
    return matrix_of(benchmark(name))


def as_steps(circuit: Circuit) -> list[tuple[object, ...]]:
    """The gates with their qubits, the angles left out: texts round them."""
    return [(step.name, step.qubits, step.controls, step.clbits, step.value) for step in circuit.every()]


def test_there_are_36_families() -> None:
    assert len(get_available_benchmark_names()) == 36
    assert {*DYNAMIC, *LARGE, *NOT_AS_TEXT} < set(get_available_benchmark_names())


@pytest.mark.parametrize("name", UNITARY)
def test_the_live_circuit_has_qiskits_unitary(name: str) -> None:
    circuit = from_qiskit(benchmark(name))
    assert np.allclose(unitary(circuit), matrix(name), atol=1e-7)
    assert unitary(from_openqasm(to_openqasm(circuit))).shape == matrix(name).shape


@pytest.mark.parametrize("name", UNITARY)
def test_the_algorithm_above_the_gates_has_the_same_unitary(name: str) -> None:
    assert same_up_to_phase(
        unitary(from_qiskit(benchmark(name, BenchmarkLevel.ALG))), matrix_of(benchmark(name, BenchmarkLevel.ALG))
    )


@pytest.mark.parametrize("exporter", [qiskit.qasm2, qiskit.qasm3], ids=["qasm2", "qasm3"])
@pytest.mark.parametrize("name", [name for name in UNITARY if name not in NOT_AS_TEXT])
def test_the_text_has_qiskits_unitary(name: str, exporter: Any) -> None:
    circuit = from_openqasm(exporter.dumps(benchmark(name)))
    assert same_up_to_phase(unitary(circuit), matrix(name))
    assert circuit.num_clbits == benchmark(name).num_clbits
