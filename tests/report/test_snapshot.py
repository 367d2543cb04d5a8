import re
from base64 import b64decode
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from qloom.report import JobReport, MetricSeries
from qloom.report.pictures import Picture, Pictures
from qloom.report.snapshot import SHOWN_PLOTS, how_far, html_snapshot, text_snapshot
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
    way_on = "<p>End it: <code>qloom job cancel 01j</code></p>"
    assert html_snapshot(bare, {}) == f'<div class="qloom-job"><p><b>coin</b> <code>01j</code> QUEUED</p>{way_on}</div>'


@pytest.mark.parametrize(
    ("state", "line"),
    [("RUNNING", "qloom job cancel 01jzz"), ("INTERRUPTED", "qloom job resume 01jzz"), ("FAILED", "qloom job resume 01jzz")],
)
def test_a_snapshot_has_the_command_line_that_a_page_without_buttons_needs(state: str, line: str) -> None:
    assert f"<code>{line}</code>" in html_snapshot(full_report(state=state), {})
    assert "<code>qloom job" not in html_snapshot(full_report(), {})


def test_every_metric_counts_and_figures_are_pictures_up_to_a_limit() -> None:
    metrics = tuple(MetricSeries(f"m{number}", (0.0, 1.0), (1.0, 2.0)) for number in range(SHOWN_PLOTS + 3))
    drawn = Pictures((Picture("best_cut", "image/png", b"..."),))
    shown = html_snapshot(full_report(metrics=metrics, result={"counts": {"0": 3, "1": 4}}, pictures=drawn), {}, "said by hand")
    assert shown.count("<img") == SHOWN_PLOTS + 2
    assert 'alt="best_cut"' in shown
    assert "7 shots, 2 different keys" in shown
    assert "said by hand" in shown
