import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qloom
from examples.qml_loss import NAMES, QUBITS, all_zero, comparison, learner, qml_loss, way_to_lowest
from qloom.circuits import Instruction
from qloom.convert import from_openqasm
from scripts.make_qml_teacher import compiled_steps, render, wave

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TEACHER = from_openqasm((EXAMPLES / "qml_teacher.qasm").read_text(encoding="utf-8")).instructions
PAULIS = {"rx": [[0, 1], [1, 0]], "ry": [[0, -1j], [1j, 0]], "rz": [[1, 0], [0, -1]]}
SMALL: dict[str, Any] = {"gates": 20, "slice_gates": 10, "patience": 150}

Array = npt.NDArray[Any]


def oracle_state(steps: Sequence[Instruction]) -> Array:
    """The state from matrices alone, no engine of qloom; bit i of an index is qubit i."""
    state = np.zeros((2,) * QUBITS, dtype=complex)
    state[(0,) * QUBITS] = 1
    for step in steps:
        if step.name == "cx":
            flipped = np.flip(state, step.qubits[1])
            control = np.arange(2).reshape([2 if axis == step.qubits[0] else 1 for axis in range(QUBITS)])
            state = np.where(control == 1, flipped, state)
        else:
            half = float(step.parameters[0]) / 2  # type: ignore[arg-type]  # no formulas here
            matrix = np.cos(half) * np.eye(2) - 1j * np.sin(half) * np.array(PAULIS[step.name])
            state = np.moveaxis(np.tensordot(matrix, state, axes=(1, step.qubits[0])), 0, step.qubits[0])
    return np.asarray(state.transpose().ravel())


def overlap(one: Array, two: Array) -> float:
    return float(abs(np.vdot(one, two)) ** 2)


def test_the_teacher_is_the_fourier_transform_of_the_wave() -> None:
    transformed = np.fft.ifft(wave()) * len(wave()) ** 0.5
    assert {step.name for step in TEACHER} == {"rx", "ry", "rz", "cx"}
    assert overlap(oracle_state(TEACHER), transformed) == pytest.approx(1, abs=1e-9)


def test_the_script_makes_the_teacher_of_the_file() -> None:
    made = from_openqasm(render(compiled_steps())).instructions
    assert overlap(oracle_state(made), oracle_state(TEACHER)) == pytest.approx(1, abs=1e-9)


@settings(max_examples=10)
@given(numbers=st.integers(0, 2**32))
def test_the_loss_is_how_far_the_learner_is_from_the_steps(numbers: int) -> None:
    angles = np.random.default_rng(numbers).uniform(-np.pi, np.pi, size=len(NAMES))
    task = qloom.device("sim").prepare(comparison(TEACHER), observables=all_zero())
    expected = overlap(oracle_state(TEACHER), oracle_state(learner(angles.tolist())))
    assert task.estimate(angles).value == pytest.approx(expected, abs=1e-9)


@given(mean=st.floats(0, 1), size=st.floats(0.01, 1), lowest=st.floats(-3, 3))
def test_three_values_of_a_sine_tell_where_it_is_lowest(mean: float, size: float, lowest: float) -> None:
    values = [mean - size * np.cos(angle - lowest) for angle in (0, np.pi / 2, -np.pi / 2)]
    assert way_to_lowest(*values) == pytest.approx(lowest, abs=1e-9)


def test_as_a_job_it_learns_two_slices_and_logs_every_loss() -> None:
    job = qml_loss.with_options(seed=1).submit(**SMALL)
    found = job.result(timeout_s=60)
    assert len(found["losses"]) == 2
    assert found["fidelity"] > 0.98
    copy = oracle_state(learner(found["angles"]))
    assert overlap(copy, oracle_state(TEACHER[: SMALL["gates"]])) == pytest.approx(found["fidelity"], abs=1e-9)
    logged = [metric for metric in job.metrics() if metric["name"] == "loss"]
    assert [metric["step"] for metric in logged] == list(range(found["evaluations"] // 3))
    assert logged[0]["value"] > 0.5
    assert min(found["losses"]) < 0.02


def test_it_learns_from_samples_too() -> None:
    found = qml_loss.with_options(seed=1)(shots=2000, gates=10, patience=150)
    # The loss is the lowest of some hundred samples of it: five standard errors, at a loss of 0.05.
    assert found["losses"][0] == pytest.approx(1 - found["fidelity"], abs=5 * (0.05 / 2000) ** 0.5)
    assert found["fidelity"] > 0.95


def test_training_that_gets_no_better_ends_after_its_patience() -> None:
    # A loss of at most 1 cannot fall by 0.001 more often than that.
    assert qml_loss(gates=10, patience=3, max_updates=1100)["evaluations"] <= 3 * 1001
    assert qml_loss(gates=10, patience=400, max_updates=4)["evaluations"] == 3 * 4


def test_a_slice_without_gates_is_refused() -> None:
    with pytest.raises(ValueError, match="start at 1, got 0, 400, 5000"):
        qml_loss(slice_gates=0)


def test_the_command_line_runs_it(tmp_path: Path) -> None:
    options = [word for name, value in SMALL.items() for word in ("-p", f"{name}={value}")]
    command = [sys.executable, "-m", "qloom", "run", str(EXAMPLES / "qml_loss.py"), "--seed", "2", *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["fidelity"] > 0.98
