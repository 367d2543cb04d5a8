import re
from base64 import b64decode
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from qloom.report import JobReport, MetricSeries
from qloom.report.snapshot import how_far, html_snapshot, text_snapshot
from tests.report.test_html import HOSTILE, full_report

HALF_WAY = {"done": 20, "total": 40, "description": "optimising", "rate_per_s": 12.5}


def picture(snapshot: str) -> str:
    (found,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', snapshot)
    return b64decode(found).decode()


def test_a_running_job_shows_its_state_its_progress_and_its_last_values() -> None:
    running = full_report(state="RUNNING", result=None)
    for shown in (html_snapshot(running, HALF_WAY), text_snapshot(running, HALF_WAY)):
        for part in ("h2_vqe", "01jzz", "RUNNING", "optimising: 20 of 40, 12.5/s", "energy (hartree)", "−1.1373"):
            assert part in shown
    assert '<progress value="20" max="40">' in html_snapshot(running, HALF_WAY)


def test_the_plot_is_a_picture_of_its_own_with_the_value_to_reach() -> None:
    drawn = picture(html_snapshot(full_report(), {}))
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert "exact −1.137306" in drawn


def test_a_snapshot_leaves_the_notebook_as_it_is_and_runs_nothing() -> None:
    snapshot = html_snapshot(
        full_report(program=HOSTILE, error=HOSTILE, metrics=(MetricSeries(HOSTILE, (0.0,), (1.0,)),)), HALF_WAY
    )
    assert not re.search(r"<(style|script|link|iframe)", snapshot)
    assert "<img src=x" not in snapshot
    ET.fromstring(picture(snapshot))


@pytest.mark.parametrize(
    ("state", "progress", "said"),
    [
        ("COMPLETED", {"done": 12, "total": 40, "rate_per_s": 3.0}, "12 of 12"),
        ("INTERRUPTED", {"done": 12, "total": 40, "rate_per_s": 3.0}, "12 of 40"),
        ("RUNNING", {"done": 3, "total": None}, "3 done"),
        ("RUNNING", {}, ""),
        ("RUNNING", {"done": "many", "total": [1], "rate_per_s": "fast"}, ""),
    ],
    ids=["converged early", "interrupted", "no total", "no word", "nonsense"],
)
def test_how_far_a_job_is_depends_on_what_became_of_it(state: str, progress: dict[str, Any], said: str) -> None:
    assert how_far(full_report(state=state), progress) == said


def test_a_job_without_progress_or_metrics_is_its_state() -> None:
    bare = JobReport(job_id="01j", program="coin", state="QUEUED")
    assert text_snapshot(bare, {}) == "<Job 01j coin QUEUED>"
    assert html_snapshot(bare, {}) == "<div><p><b>coin</b> <code>01j</code> QUEUED</p></div>"
