import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from scripts.demo import conclude

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_leaves_a_report_and_a_result_within_chemical_accuracy(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "demo.py"), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert set(result) == {"energy_hartree", "exact_hartree", "error_mhartree", "iterations", "seconds"}
    assert abs(result["error_mhartree"]) < 1.6
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"{result['energy_hartree']:.6f}".replace("-", "−") in report
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["home", "report.html", "result.json"]


def test_the_demo_fails_outside_chemical_accuracy(tmp_path: Path) -> None:
    result = {"energy_hartree": -1.1, "exact_hartree": -1.137306, "error_mhartree": 37.3, "iterations": 3}
    assert conclude(tmp_path, {"result": result, "seconds": 1.0}) == 1


def test_the_committed_picture_is_whole() -> None:
    picture = ET.fromstring((ROOT / "docs" / "images" / "h2_convergence.svg").read_text(encoding="utf-8"))
    words = [node.text or "" for node in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"energy (hartree)", "exact −1.137306"} <= set(words)
