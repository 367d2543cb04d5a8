import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CHEMICAL_ACCURACY_MHARTREE = 1.6


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module as a user has it: h2_vqe.py, which it imports, stands beside it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module("h2_dissociation")
    for name in ("h2_dissociation", "h2_vqe"):
        sys.modules.pop(name, None)


def test_as_a_job_it_logs_both_curves_and_they_agree(example: ModuleType) -> None:
    job = example.h2_dissociation.with_options(seed=1).submit(bonds_angstrom=[0.5, 0.735, 1.5])
    found = job.result(timeout_s=60)
    assert 0 <= found["worst_error_mhartree"] < CHEMICAL_ACCURACY_MHARTREE
    assert found["best_bond_angstrom"] == 0.735
    for name in ("bond_angstrom", "energy_hartree", "exact_hartree"):
        logged = {metric["step"]: metric["value"] for metric in job.metrics() if metric["name"] == name}
        assert logged == dict(enumerate(found["bonds_angstrom" if name == "bond_angstrom" else name]))


@pytest.mark.parametrize("seed", range(3))
def test_every_bond_length_of_the_file_ends_within_chemical_accuracy(example: ModuleType, seed: int) -> None:
    found = example.h2_dissociation.with_options(seed=seed)()
    assert found["bonds_angstrom"] == sorted(found["bonds_angstrom"])
    assert len(found["bonds_angstrom"]) == 22
    assert 0 <= found["worst_error_mhartree"] < CHEMICAL_ACCURACY_MHARTREE
    assert found["best_bond_angstrom"] == 0.735


def test_no_bond_length_at_all_is_refused(example: ModuleType) -> None:
    with pytest.raises(ValueError, match="the list is empty"):
        example.h2_dissociation(bonds_angstrom=[])


def test_the_command_line_ships_the_module_beside_it(tmp_path: Path) -> None:
    file = str(EXAMPLES / "h2_dissociation.py")
    command = [sys.executable, "-m", "qloom", "run", file, "-p", "bonds_angstrom=[0.735, 2.5]", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert abs(json.loads(done.stdout)["result"]["worst_error_mhartree"]) < CHEMICAL_ACCURACY_MHARTREE
