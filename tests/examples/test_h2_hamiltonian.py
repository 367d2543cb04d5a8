"""The data of examples/h2_vqe.py against an oracle that shares nothing with it: integrals over Gaussians in closed form."""

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from qloom.circuits import Observable
from scripts.make_h2_hamiltonian import make_document, render

DATA = Path(__file__).resolve().parents[2] / "examples" / "h2_sto3g.json"
BONDS: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))["bonds"]
BOHR_ANGSTROM = 0.529177210903

# The STO-3G basis of hydrogen (Hehre, Stewart, Pople 1969): three Gaussians, exponents per square bohr, weights.
EXPONENTS = (3.425250914, 0.6239137298, 0.1688554040)
WEIGHTS = (0.1543289673, 0.5353281423, 0.4446345422)
GAUSSIANS = [(a, weight * (2 * a / math.pi) ** 0.75) for a, weight in zip(EXPONENTS, WEIGHTS, strict=True)]


def boys(t: float) -> float:
    return 1.0 - t / 3 if t < 1e-12 else 0.5 * math.sqrt(math.pi / t) * math.erf(math.sqrt(t))


def pair_of(a: float, x: float, b: float, y: float) -> tuple[float, float, float]:
    """Two Gaussians on a line make one: its exponent, place and weight."""
    return a + b, (a * x + b * y) / (a + b), math.exp(-a * b / (a + b) * (x - y) ** 2)


def one_electron(x: float, y: float, nuclei: tuple[float, float]) -> tuple[float, float]:
    """Overlap, and kinetic energy plus attraction by the nuclei, of the two atoms' functions at x and y."""
    overlap = energy = 0.0
    for (a, ca), (b, cb) in product(GAUSSIANS, repeat=2):
        p, place, weight = pair_of(a, x, b, y)
        share = ca * cb * weight * (math.pi / p) ** 1.5
        overlap += share
        energy += share * a * b / p * (3 - 2 * a * b / p * (x - y) ** 2)
        energy -= sum(ca * cb * weight * 2 * math.pi / p * boys(p * (place - nucleus) ** 2) for nucleus in nuclei)
    return overlap, energy


def two_electrons(x: float, y: float, u: float, v: float) -> float:
    total = 0.0
    for (a, ca), (b, cb), (c, cc), (d, cd) in product(GAUSSIANS, repeat=4):
        p, left, first = pair_of(a, x, b, y)
        q, right, second = pair_of(c, u, d, v)
        total += (
            ca * cb * cc * cd * first * second * 2 * math.pi**2.5 / (p * q * math.sqrt(p + q))
            * boys(p * q / (p + q) * (left - right) ** 2)
        )  # fmt: skip
    return total


def energies(bond_angstrom: float) -> tuple[float, float]:
    """Hartree-Fock and exact ground-state energy in hartree; symmetry fixes both orbitals, so two configurations are all."""
    bond = bond_angstrom / BOHR_ANGSTROM
    atoms = (0.0, bond)
    overlap, off_diagonal = one_electron(atoms[0], atoms[1], atoms)
    _, diagonal = one_electron(atoms[0], atoms[0], atoms)
    repulsion = np.array([two_electrons(*places) for places in product(atoms, repeat=4)]).reshape(2, 2, 2, 2)
    orbitals = np.array([[1, 1], [1, -1]]) / np.sqrt(2 * (1 + overlap * np.array([[1], [-1]])))
    inside = np.einsum("pi,qj,rk,sl,ijkl->pqrs", orbitals, orbitals, orbitals, orbitals, repulsion)
    bonding = 2 * (diagonal + off_diagonal) / (1 + overlap) + inside[0, 0, 0, 0]
    antibonding = 2 * (diagonal - off_diagonal) / (1 - overlap) + inside[1, 1, 1, 1]
    mixed = inside[0, 1, 0, 1]
    return bonding + 1 / bond, float(np.linalg.eigvalsh([[bonding, mixed], [mixed, antibonding]])[0]) + 1 / bond


def matrix(bond: str) -> npt.NDArray[np.complex128]:
    return Observable(BONDS[bond]["terms"]).matrix()


@pytest.mark.parametrize("bond", BONDS)
def test_energies_are_those_of_integrals_in_closed_form(bond: str) -> None:
    hartree_fock, exact = energies(float(bond))
    assert BONDS[bond]["hartree_fock_hartree"] == pytest.approx(hartree_fock, abs=1e-7)
    assert BONDS[bond]["exact_hartree"] == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("bond", BONDS)
def test_the_exact_energy_is_the_lowest_of_the_terms(bond: str) -> None:
    values = np.linalg.eigvalsh(matrix(bond))
    assert values[0] == pytest.approx(BONDS[bond]["exact_hartree"], abs=1e-9)
    assert values.sum() == pytest.approx(16 * BONDS[bond]["terms"]["IIII"], abs=1e-9)


@pytest.mark.parametrize("bond", ["0.3", "0.735", "2.5"])
def test_electrons_of_either_spin_are_conserved_and_the_ground_state_has_one_of_each(bond: str) -> None:
    hamiltonian = matrix(bond)
    _, states = np.linalg.eigh(hamiltonian)
    for spin in ((0, 2), (1, 3)):
        number = np.diag([float(sum(index >> (3 - qubit) & 1 for qubit in spin)) for index in range(16)])
        assert np.abs(hamiltonian @ number - number @ hamiltonian).max() < 1e-12
        assert (states[:, 0].conj() @ number @ states[:, 0]).real == pytest.approx(1.0)
    assert np.array_equal(hamiltonian, hamiltonian.conj().T)


def test_the_coefficients_at_the_usual_bond_length_are_the_published_ones() -> None:
    # Electronic part, as found in tutorials of several packages for 0.735 angstrom, whatever their order of orbitals.
    published = [-0.81054798, -0.22575349, -0.22575349, 0.12091263, 0.12091263, 0.16614543, 0.16614543, 0.16892754]
    published += [0.17218393, 0.17218393, 0.17464343, 0.04523280, 0.04523280, -0.04523280, -0.04523280]
    terms = BONDS["0.735"]["terms"]
    ours = {**terms, "IIII": terms["IIII"] - BOHR_ANGSTROM / 0.735}
    assert sorted(ours.values()) == pytest.approx(sorted(published), abs=1e-7)
    assert BONDS["0.735"]["exact_hartree"] == pytest.approx(-1.137306, abs=1e-6)


def test_the_script_makes_what_is_committed() -> None:
    made = make_document((0.735,))["bonds"]["0.735"]
    kept = BONDS["0.735"]
    assert list(made["terms"]) == list(kept["terms"])
    assert made["terms"] == pytest.approx(kept["terms"], abs=2e-9)
    assert made["exact_hartree"] == pytest.approx(kept["exact_hartree"], abs=2e-9)


def test_the_file_is_as_the_script_writes_it() -> None:
    text = DATA.read_text(encoding="utf-8")
    assert render(json.loads(text)) == text
