import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from qloom.noise import NoiseModel

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module as a user has it: h2_vqe.py, which it imports, stands beside it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module("mitigated_vqe")
    for name in ("mitigated_vqe", "h2_vqe"):
        sys.modules.pop(name, None)


def test_the_noise_is_what_the_text_says(example: ModuleType) -> None:
    noise = NoiseModel.load(example.NOISE)
    assert noise.gate("cx", (0, 1)).errors[0].parameters == (0.005,)
    assert noise.readout(3) == (0.02, 0.02)


def test_the_wholly_mixed_state_has_about_the_energy_that_the_fit_goes_to(example: ModuleType) -> None:
    assert example.read_molecule(0.735)["terms"]["IIII"] == pytest.approx(example.MIXED_HARTREE, abs=0.01)


@pytest.mark.parametrize("seed", range(2))
def test_mitigation_takes_away_nine_tenths_of_the_error(example: ModuleType, seed: int) -> None:
    found = example.mitigated_vqe.with_options(seed=seed)(iterations=8, shots=2000)
    assert 90 < found["unmitigated_error_mhartree"] < 140
    # What is left is the error bar, and what remains of the search, whose slopes are as noisy.
    assert abs(found["error_mhartree"]) < 4 * 1000 * found["standard_error_hartree"] + 5
    assert found["standard_error_hartree"] < 0.005


def test_what_it_calls_unmitigated_is_what_no_pipeline_measures(example: ModuleType) -> None:
    pipelines = ((), example.PIPELINE, ["zne"])
    runs = [example.mitigated_vqe.with_options(seed=3, pipeline=pipeline)(iterations=0, shots=10_000) for pipeline in pipelines]
    plain = runs[0]["energy_hartree"]
    for found in runs:
        assert found["unmitigated_hartree"] == pytest.approx(plain, abs=5 * runs[0]["standard_error_hartree"])
    assert runs[1]["energy_hartree"] < plain - 0.05
    assert runs[2]["energy_hartree"] < plain - 0.02


def test_as_a_job_it_logs_both_energies_draws_them_and_says_what_its_stages_did(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "qloom", "run", str(EXAMPLES / "mitigated_vqe.py"), "--seed", "1", "--json"]
    words = ["-p", "iterations=3", "-p", "shots=500", "--report", str(tmp_path / "report.html")]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    job_id = json.loads(done.stdout)["job_id"]
    asked = subprocess.run(
        [sys.executable, "-m", "qloom", "job", "metrics", job_id, "--json"], capture_output=True, timeout=60, check=True
    )
    metrics = json.loads(asked.stdout)
    for name in ("energy_hartree", "unmitigated_hartree"):
        assert [metric["step"] for metric in metrics if metric["name"] == name] == [0, 1, 2, 3]
    page = (tmp_path / "report.html").read_text()
    for said in ("1. readout (first of 3 places)", "2. zne", "noise scale", 'alt="energies"'):
        assert said in page


def test_the_drawing_has_both_energies_and_the_exact_one(example: ModuleType) -> None:
    measured = [example.Measured(-1.0 - 0.05 * step, 0.01, -0.9 - 0.03 * step, None) for step in range(3)]
    root = ET.fromstring(example.draw_energies(measured, -1.1373))
    lines = [line.attrib["points"].split() for line in root.iter(f"{SVG}polyline")]
    assert [len(points) for points in lines] == [3, 3]
    heights = [[float(point.partition(",")[2]) for point in points] for points in lines]
    assert all(above < below for above, below in zip(*heights, strict=True))
    assert "mitigated -1.100, as measured -0.960 hartree" in (root.findtext(f"{SVG}title") or "")
