import re
from pathlib import Path

import pytest

from examples.bell_sweep import bell_sweep

REPOSITORY = Path(__file__).resolve().parents[2]
SHOTS = 4000
# Four measured products, each with a variance of at most 1; five standard errors, and the grid misses the top by 0.2 %.
SLACK = 5 * (4 / SHOTS) ** 0.5 + 0.01


def test_the_sweep_breaks_the_classical_limit_and_reaches_the_quantum_one() -> None:
    found = bell_sweep.with_options(seed=1)(points=25, shots=SHOTS)
    assert found["highest"] == pytest.approx(found["quantum_limit"], abs=SLACK)
    assert found["highest"] > found["classical_limit"] + SLACK


def test_as_a_job_every_point_is_a_metric() -> None:
    job = bell_sweep.with_options(seed=1).submit(points=5, shots=100)
    result = job.result(timeout_s=60)
    sums = [metric["value"] for metric in job.metrics()]
    assert len(sums) == 5
    assert max(sums) == result["highest"]


def test_the_readme_shows_this_very_program() -> None:
    shown = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert (REPOSITORY / "examples" / "bell_sweep.py").read_text(encoding="utf-8") in shown
