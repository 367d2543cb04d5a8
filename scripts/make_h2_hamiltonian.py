"""Make the qubit Hamiltonian of H2 at some bond lengths, for examples/h2_vqe.py.

PennyLane's differentiable Hartree-Fock solves the molecule in the STO-3G basis, and the Jordan-Wigner mapping writes the
electrons' Hamiltonian, with the repulsion of the nuclei, as a sum of Pauli strings on four qubits: one for each spin
orbital, in the order bonding up, bonding down, antibonding up, antibonding down.

Run from the repository's root (a minute): `.venv/bin/python scripts/make_h2_hamiltonian.py`
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

TARGET = Path(__file__).resolve().parents[1] / "examples" / "h2_sto3g.json"
BONDS_ANGSTROM = (
    0.3,
    0.4,
    0.5,
    0.6,
    0.65,
    0.7,
    0.735,
    0.75,
    0.8,
    0.85,
    0.9,
    1.0,
    1.1,
    1.2,
    1.3,
    1.4,
    1.5,
    1.6,
    1.8,
    2.0,
    2.2,
    2.5,
)
DECIMALS = 10
"""What is kept of a coefficient: 1e-10 hartree, so that every machine writes the same file."""

PAULIS = {"I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1])}
ELECTRONS = 2
QUBITS = 4


def main() -> None:
    """Write the file that the options ask for."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--output", type=Path, default=TARGET, help="the JSON file to write (default: %(default)s)")
    options.add_argument("--bond", type=float, action="append", metavar="ANGSTROM", help="a bond length; repeat for more")
    chosen = options.parse_args()
    document = make_document(tuple(chosen.bond or BONDS_ANGSTROM))
    chosen.output.write_text(render(document), encoding="utf-8")
    print(f"wrote {chosen.output}: {len(document['bonds'])} bond lengths")


def make_document(bonds_angstrom: tuple[float, ...]) -> dict[str, Any]:
    """Return the file's content: where it comes from, then one Hamiltonian for each bond length."""
    import pennylane

    return {
        "molecule": "H2",
        "basis": "STO-3G: Hehre, Stewart, Pople, J. Chem. Phys. 51, 2657 (1969)",
        "mapping": "Jordan-Wigner; letter i of a string acts on qubit i; qubits are the spin orbitals bonding up, bonding down, "
        "antibonding up, antibonding down",
        "made_by": f"scripts/make_h2_hamiltonian.py with PennyLane {pennylane.__version__}, differentiable Hartree-Fock",
        "unit": "hartree, with the repulsion of the nuclei",
        "bonds": {f"{bond:g}": one_bond(bond) for bond in sorted(bonds_angstrom)},
    }


def one_bond(bond_angstrom: float) -> dict[str, Any]:
    """Return the terms at one bond length, with the energies that a variational search starts from and ends at."""
    terms = hamiltonian(bond_angstrom)
    energies = matrix(terms)
    hartree_fock = int("1" * ELECTRONS + "0" * (QUBITS - ELECTRONS), 2)
    return {
        "exact_hartree": round(float(np.linalg.eigvalsh(energies)[0]), DECIMALS),
        "hartree_fock_hartree": round(float(energies[hartree_fock, hartree_fock].real), DECIMALS),
        "terms": terms,
    }


def hamiltonian(bond_angstrom: float) -> dict[str, float]:
    """Return dense Pauli string -> coefficient in hartree, fewest letters first."""
    from pennylane import qchem

    places = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, bond_angstrom]])
    molecule = qchem.Molecule(["H", "H"], places, basis_name="sto-3g", unit="angstrom")
    operator, qubits = qchem.molecular_hamiltonian(molecule, method="dhf", mapping="jordan_wigner")
    assert qubits == QUBITS, f"H2 in STO-3G has {QUBITS} spin orbitals, PennyLane found {qubits}"  # noqa: S101  not user input
    terms = {dense(word): round(float(np.real(value)), DECIMALS) for word, value in operator.pauli_rep.items()}
    return dict(sorted(terms.items(), key=lambda term: (QUBITS - term[0].count("I"), term[0])))


def dense(word: Any) -> str:
    """Return a sparse Pauli word (qubit -> letter) with one letter for each qubit.

    >>> dense({0: "Z", 3: "Z"})
    'ZIIZ'
    """
    return "".join(word.get(qubit, "I") for qubit in range(QUBITS))


def matrix(terms: dict[str, float]) -> Any:
    """Return the sum's matrix, shape (16, 16), qubit 0 most significant."""
    total = np.zeros((2**QUBITS,) * 2, dtype=np.complex128)
    for string, value in terms.items():
        product = np.eye(1)
        for letter in string:
            product = np.kron(product, PAULIS[letter])
        total += value * product
    return total


def render(document: dict[str, Any]) -> str:
    """Return the file's text, the terms of one bond length on one line.

    >>> print(render({"unit": "hartree", "bonds": {"1": {"terms": {"Z": 0.5}}}}), end="")
    {
      "unit": "hartree",
      "bonds": {
        "1": {
          "terms": {"Z": 0.5}
        }
      }
    }
    """
    text = json.dumps(document, indent=2)
    for bond in document["bonds"].values():
        text = text.replace(json.dumps(bond["terms"], indent=2).replace("\n", "\n      "), json.dumps(bond["terms"]))
    return text + "\n"


if __name__ == "__main__":
    main()
