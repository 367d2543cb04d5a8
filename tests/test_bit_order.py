"""Bit order, held against other people's simulators with circuits that no reversal leaves alone."""

import math
import sys
from collections.abc import Mapping
from typing import Any

import pytest

import qloom

SHOTS = 2000
ANGLE = 0.8
"""sin(ANGLE / 2)**2, about 0.15, is the chance of qubit 2 to be 1; qubit 0 is always 1, qubit 1 never."""

TEXT = """OPENQASM 3.0;
include "stdgates.inc";
bit[3] c;
qubit[3] q;
x q[0];
ry(0.8) q[2];
c[0] = measure q[0];
c[1] = measure q[1];
c[2] = measure q[2];
"""


def ours(text: str = TEXT) -> Mapping[str, int]:
    return qloom.device("sim").run(text, shots=SHOTS, seed=1).counts


def assert_alike(first: Mapping[str, int], second: Mapping[str, int]) -> None:
    """Both have the same keys and, within five standard deviations, the same frequencies."""
    assert set(first) == set(second) == {"100", "101"}
    chance = math.sin(ANGLE / 2) ** 2
    slack = 5 * math.sqrt(SHOTS * chance * (1 - chance))
    for counts in (first, second):
        assert abs(counts["101"] - SHOTS * chance) < slack


def braket_devices() -> Any:
    """Braket's devices; the SDK looks into IPython, where that is loaded, for a name that newer ones load when asked for."""
    if (ipython := sys.modules.get("IPython")) is not None:
        vars(ipython)["get_ipython"] = ipython.get_ipython
    return pytest.importorskip("braket.devices", reason="the Braket SDK is in an environment of its own here")


def test_keys_read_as_brakets_do() -> None:
    braket = braket_devices()
    from braket.circuits import Circuit

    circuit = Circuit().x(0).i(1).ry(2, ANGLE)
    theirs = braket.LocalSimulator().run(circuit, shots=SHOTS).result().measurement_counts
    assert_alike(ours(), theirs)


def test_keys_read_as_qiskits_do_from_right_to_left() -> None:
    qiskit: Any = pytest.importorskip("qiskit")
    aer: Any = pytest.importorskip("qiskit_aer")
    circuit = qiskit.QuantumCircuit(3, 3)
    circuit.x(0)
    circuit.ry(ANGLE, 2)
    circuit.measure([0, 1, 2], [0, 1, 2])
    theirs = aer.AerSimulator(seed_simulator=1).run(circuit, shots=SHOTS).result().get_counts()
    assert_alike(qloom.device("sim").run(circuit, shots=SHOTS, seed=1).counts, {key[::-1]: n for key, n in theirs.items()})


def test_bits_crossed_by_a_measurement_are_crossed_in_the_key() -> None:
    text = TEXT.replace("c[0] = measure q[0];", "c[2] = measure q[0];").replace("c[2] = measure q[2];", "c[0] = measure q[2];")
    assert set(ours(text)) == {"001", "101"}


def test_letters_of_an_observable_follow_the_qubits_as_in_braket() -> None:
    braket = braket_devices()
    from braket.circuits import Circuit, Observable

    circuit = Circuit().x(0).i(1).ry(2, ANGLE).expectation(Observable.Z() @ Observable.X(), target=[0, 2])
    theirs = braket.LocalSimulator().run(circuit, shots=0).result().values[0]
    prepared = qloom.device("sim").prepare(qloom.Circuit(3).x(0).ry(ANGLE, 2), observables={"ZIX": 1.0})
    assert prepared.estimate().value == pytest.approx(theirs, abs=1e-10)
    assert prepared.estimate().value == pytest.approx(-math.sin(ANGLE), abs=1e-10)
