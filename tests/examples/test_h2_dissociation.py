import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

import qloom
from qloom.jobspecs import JobState

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILE = EXAMPLES / "h2_dissociation.py"
CHEMICAL_ACCURACY_MHARTREE = 1.6
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module as a user has it: h2_vqe.py, which it imports, stands beside it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module("h2_dissociation")
    for name in ("h2_dissociation", "h2_vqe"):
        sys.modules.pop(name, None)


def test_its_map_finds_the_energies_and_prints_them_in_order(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    rows = example.curve([0.5, 0.735, 1.5], seed=1)
    assert [row["bond_angstrom"] for row in rows] == [0.5, 0.735, 1.5]
    assert all(0 <= row["error_mhartree"] < CHEMICAL_ACCURACY_MHARTREE for row in rows)
    assert min(rows, key=lambda row: row["energy_hartree"])["bond_angstrom"] == 0.735
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["bond", "0.5", "0.735", "1.5"]
    assert [job.parameters["bond_angstrom"] for job in reversed(qloom.jobs())] == [0.5, 0.735, 1.5]


def test_its_map_goes_on_by_name_and_computes_nothing_twice(example: ModuleType) -> None:
    first = example.curve([0.5, 0.735], name="curve", seed=1)
    ended = {job.id: job.status().ended_at for job in qloom.jobs()}
    assert example.curve([0.5, 0.735], name="curve", seed=1) == first
    assert {job.id: job.status().ended_at for job in qloom.jobs()} == ended


@pytest.mark.parametrize("seed", range(3))
def test_every_one_of_the_20_bond_lengths_ends_within_chemical_accuracy(example: ModuleType, seed: int) -> None:
    bonds = example.BONDS_ANGSTROM
    assert (len(bonds), list(bonds)) == (20, sorted(set(bonds)))
    for bond in bonds:
        found = example.h2_dissociation.with_options(seed=seed)(bond_angstrom=bond)
        assert 0 <= found["error_mhartree"] < CHEMICAL_ACCURACY_MHARTREE, bond


def test_the_drawing_has_a_dot_for_every_energy_found_and_they_lie_on_the_line(example: ModuleType) -> None:
    exact = example.exact_curve()
    root = ET.fromstring(example.draw(exact[3:8], exact))
    dots = [f"{dot.get('cx')} {dot.get('cy')}" for dot in root.iter(f"{SVG}circle")]
    (line,) = [path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]
    assert line.removeprefix("M").split("L")[3:8] == dots
    heights = dict(zip((bond for bond, _ in exact[3:8]), (float(dot.split()[1]) for dot in dots), strict=True))
    assert max(heights, key=heights.__getitem__) == 0.735  # lowest on the page


def test_one_bond_length_is_a_job_and_the_module_beside_it_travels_along(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "qloom", "run", str(FILE), "-p", "bond_angstrom=2.5", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert abs(json.loads(done.stdout)["result"]["error_mhartree"]) < CHEMICAL_ACCURACY_MHARTREE
    (job,) = qloom.jobs()
    energies = [metric["value"] for metric in job.metrics() if metric["name"] == "energy_hartree"]
    assert energies == sorted(energies, reverse=True)


def test_as_a_script_it_prints_and_draws_the_whole_curve_and_a_kill_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(FILE), "--name", "curve", "--seed", "1", "-o", "curve.svg"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as one:
        assert one.stdout is not None
        seen = [one.stdout.readline() for _ in range(4)]  # the head, and three energies
        one.kill()
    done = {job.id: job.status().ended_at for job in qloom.jobs() if job.state() is JobState.COMPLETED}
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path)
    assert again.stdout.splitlines(keepends=True)[:4] == seen
    assert len(again.stdout.splitlines()) == 22
    assert {job.id: job.status().ended_at for job in qloom.jobs() if job.id in done} == done
    assert len(done) >= 3
    assert len(list(ET.parse(tmp_path / "curve.svg").iter(f"{SVG}circle"))) == 20
