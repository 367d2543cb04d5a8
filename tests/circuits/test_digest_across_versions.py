"""Digests are equal on every Python that qloom supports: they name things in journals that travel."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qloom.circuits import Circuit, Observable, Parameter

SOURCE = Path(__file__).parents[2] / "src"
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from qloom.circuits import Circuit, Observable, Parameter
theta = Parameter("theta")
circuit = Circuit(3).h(0).rx(2 * theta + 0.3, 1).gate("ry", 0, 1, 2, angles=[theta.sin()], controls=2).measure([0, 2], [1, 0])
print(circuit.digest, circuit.structure_digest, Observable({"ZIX": 0.1, "III": -1.5}).digest)
"""


def interpreter(version: str) -> str:
    """A Python of that version that really starts: a shim on PATH may be there without one, pyenv's own hold one each."""
    kept = sorted(str(path) for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for found in filter(None, [shutil.which(f"python{version}"), *kept]):
        if subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    pytest.skip(f"no python{version} here")


@pytest.mark.parametrize("version", ["3.11", "3.12"])
def test_digests_are_the_same_on(version: str) -> None:
    command = [sys.executable if sys.version.startswith(version) else interpreter(version), "-c", SCRIPT, str(SOURCE)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    theta = Parameter("theta")
    circuit = Circuit(3).h(0).rx(2 * theta + 0.3, 1).gate("ry", 0, 1, 2, angles=[theta.sin()], controls=2)
    circuit = circuit.measure([0, 2], [1, 0])
    assert printed == [circuit.digest, circuit.structure_digest, Observable({"ZIX": 0.1, "III": -1.5}).digest]
