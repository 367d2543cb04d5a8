"""The tutorial, typed in from its first block to its last."""

import json
import math
from collections.abc import Callable
from pathlib import Path

from qloom.journal import read_journal
from tests.docs.pages import DOCS, Page

TUTORIAL = DOCS / "tutorial.md"


def results(home: Path) -> list[dict[str, float]]:
    """Results of all jobs, oldest first."""
    files = [path / "results" / "results.json" for path in sorted((home / "jobs").glob("0*"))]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def test_the_tutorial_does_what_it_says(open_page: Callable[[Path], Page]) -> None:
    page = open_page(TUTORIAL)
    assert page.run() >= 15
    killed = sorted((page.home / "jobs").glob("0*"))[1]
    assert sorted(path.name for path in (killed / "attempts").iterdir()) == ["1", "2"]
    assert len(read_journal(killed / "checkpoints").metrics) == 200
    assert (page.folder / "report.html").read_text(encoding="utf-8").count("<svg") >= 1
    assert "field" in (page.folder / "both.html").read_text(encoding="utf-8")


def test_the_tutorial_knows_the_lowest_energy_of_its_magnets() -> None:
    # An open chain of six at the critical field: 1 - 1/sin(pi/26) (Pfeuty, Annals of Physics 57, 79 (1970)).
    lowest = 1 - 1 / math.sin(math.pi / 26)
    assert f"lowest possible energy is {lowest:.3f}" in TUTORIAL.read_text(encoding="utf-8")
