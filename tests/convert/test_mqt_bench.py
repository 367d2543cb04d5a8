"""The 36 families of MQT Bench, generated here, as live Qiskit circuits and as text; Qiskit says what they mean."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
import qiskit.qasm2
import qiskit.qasm3
from mqt.bench import BenchmarkLevel, get_benchmark
from mqt.bench.benchmarks import get_available_benchmark_names
from qiskit import QuantumCircuit
from qiskit.circuit import Clbit

from qloom.circuits import Circuit
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


def asked(circuit: QuantumCircuit, condition: Any) -> tuple[list[int], int]:
    """The bits and the value of a condition of a Qiskit circuit."""
    bits, value = condition if isinstance(condition, tuple) else (condition.left.var, condition.right.value)
    return [circuit.find_bit(bit).index for bit in ([bits] if isinstance(bits, Clbit) else bits)], value


def test_there_are_36_families() -> None:
    assert len(get_available_benchmark_names()) == 36
    assert {*DYNAMIC, *LARGE, *NOT_AS_TEXT} < set(get_available_benchmark_names())


@pytest.mark.parametrize("name", UNITARY)
def test_the_live_circuit_has_qiskits_unitary(name: str) -> None:
    circuit = from_qiskit(benchmark(name))
    assert np.allclose(unitary(circuit), matrix(name), atol=1e-7)
    assert from_openqasm(to_openqasm(circuit)) == circuit


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


@pytest.mark.parametrize("name", DYNAMIC)
def test_feed_forward_keeps_its_conditions_live_and_as_text(name: str) -> None:
    theirs = benchmark(name)
    ours = from_qiskit(theirs)
    conditions = [asked(theirs, step.operation.condition) for step in theirs.data if step.operation.name == "if_else"]
    assert [(list(step.clbits), step.value) for step in ours.instructions if step.name == "if"] == conditions != []
    kept = sum(count for kind, count in theirs.count_ops().items() if kind in {"measure", "if_else", "reset"})
    assert sum(step.name in {"measure", "if", "reset"} for step in ours.instructions) == kept
    assert from_openqasm(qiskit.qasm3.dumps(theirs)) == ours
    assert from_openqasm(to_openqasm(ours)) == ours


@pytest.mark.parametrize("name", [name for name in DYNAMIC if name.endswith("code")])
def test_feed_forward_on_whole_registers_goes_through_version_2(name: str) -> None:
    assert from_openqasm(qiskit.qasm2.dumps(benchmark(name))) == from_qiskit(benchmark(name))


def test_a_family_of_twenty_thousand_gates_has_the_same_entanglers_live_and_as_text() -> None:
    (theirs,) = map(benchmark, LARGE)
    ours, text = from_qiskit(theirs), from_openqasm(qiskit.qasm2.dumps(theirs))
    for circuit in (ours, text):
        assert circuit.measured() == {bit: bit for bit in range(18)}
        assert (
            sum(len(step.qubits) == 2 for step in circuit.instructions if step.name == "cx") >= theirs.count_ops()["cx"] == 10340
        )
    assert entanglers(ours) == entanglers(text)


def entanglers(circuit: Circuit) -> list[tuple[str, tuple[int, ...]]]:
    return [(step.name, step.qubits) for step in circuit.instructions if len(step.qubits) > 1]
