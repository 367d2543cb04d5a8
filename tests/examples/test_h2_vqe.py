import json
import re
import subprocess
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qloom
from examples.h2_vqe import ROTATIONS, energy_and_slope, h2_vqe, read_molecule, trial_state

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CHEMICAL_ACCURACY_MHARTREE = 1.6
PAULIS = {"I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1])}
ANGLES = st.lists(st.floats(-np.pi, np.pi), min_size=3, max_size=3).map(np.array)

Array = npt.NDArray[Any]


def pauli(string: str) -> Array:
    return reduce(np.kron, [PAULIS[letter] for letter in string])


def oracle_energy(angles: Array) -> float:
    """The energy at 0.735 angstrom from matrices alone: no circuit, no engine of qloom."""
    state = np.zeros(16, dtype=complex)
    state[0b1100] = 1
    for angle, string in zip(angles, ROTATIONS.values(), strict=True):
        state = np.cos(angle / 2) * state - 1j * np.sin(angle / 2) * pauli(string) @ state
    hamiltonian = sum(value * pauli(string) for string, value in read_molecule(0.735)["terms"].items())
    return float((state.conj() @ hamiltonian @ state).real)


@pytest.fixture(scope="module")
def energy() -> Any:
    observable = qloom.Observable(read_molecule(0.735)["terms"])
    return qloom.device("sim").prepare(trial_state(), observables=observable)


@settings(max_examples=25, deadline=None)
@given(angles=ANGLES)
def test_the_circuit_turns_about_its_pauli_strings(energy: Any, angles: Array) -> None:
    value, _ = energy_and_slope(energy, angles)
    assert value == pytest.approx(oracle_energy(angles), abs=1e-10)


@settings(max_examples=10, deadline=None)
@given(angles=ANGLES)
def test_the_slope_is_the_derivative_of_the_energy(energy: Any, angles: Array) -> None:
    _, slope = energy_and_slope(energy, angles)
    steps = 1e-5 * np.eye(3)
    differences = [(oracle_energy(angles + step) - oracle_energy(angles - step)) / 2e-5 for step in steps]
    assert slope == pytest.approx(differences, abs=1e-8)


@pytest.mark.parametrize("bond", [0.3, 0.735, 1.5, 2.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_search_ends_within_chemical_accuracy(bond: float, seed: int) -> None:
    found = h2_vqe.with_options(seed=seed)(bond_angstrom=bond)
    assert 0 <= found["error_mhartree"] < CHEMICAL_ACCURACY_MHARTREE
    assert 5 <= found["iterations"] <= 200


def test_at_the_usual_bond_length_the_error_is_far_below_chemical_accuracy() -> None:
    found = h2_vqe(bond_angstrom=0.735)
    assert found["exact_hartree"] == pytest.approx(-1.137306, abs=1e-6)
    assert 0 <= found["error_mhartree"] < 0.01


def test_equal_seeds_give_equal_energies() -> None:
    runs = [h2_vqe.with_options(seed=seed)(max_iterations=5)["energy_hartree"] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_no_step_at_all_gives_the_energy_it_starts_from() -> None:
    found = h2_vqe.with_options(seed=3)(max_iterations=0)
    assert found["iterations"] == 0
    assert found["error_mhartree"] > CHEMICAL_ACCURACY_MHARTREE


def test_a_bond_length_that_is_not_in_the_file_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no bond of 0\.77 angstrom; the nearest are 0\.75 and 0\.8"):
        h2_vqe(bond_angstrom=0.77)


def test_as_a_job_it_logs_an_energy_that_only_falls_toward_the_exact_one() -> None:
    job = h2_vqe.with_options(seed=3).submit(bond_angstrom=0.735)
    result = job.result(timeout_s=60)
    energies = [metric["value"] for metric in job.metrics() if metric["name"] == "energy_hartree"]
    assert len(energies) == result["iterations"] + 1
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] == result["energy_hartree"] > result["exact_hartree"]


def test_the_file_runs_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "h2_vqe.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"'energy_hartree': -1\.1373\d+", done.stdout)


def test_the_command_line_runs_it_with_a_bond_length(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "qloom", "run", str(EXAMPLES / "h2_vqe.py"), "-p", "bond_angstrom=1.5", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["result"]
    assert abs(result["error_mhartree"]) < CHEMICAL_ACCURACY_MHARTREE
