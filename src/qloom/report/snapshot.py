"""Where a job stands at one moment, small enough for a notebook's cell: as text, and as HTML without scripts."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from qloom.report.html import shortened, style
from qloom.report.labels import brief, label
from qloom.report.markup import Html, element, join
from qloom.report.svg import line_plot
from qloom.report.values import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.report.values import JobReport

SHOWN_METRICS = 6
WIDTH, HEIGHT, MARGIN = 620, 280, 10


def text_snapshot(document: JobReport, progress: Mapping[str, Any]) -> str:
    r"""Return the job in a few lines: state, how far it is, the last value of each metric.

    >>> from qloom.report import JobReport
    >>> text_snapshot(JobReport(job_id="01j", program="coin", state="RUNNING"), {"done": 3, "total": 10})
    '<Job 01j coin RUNNING>\n3 of 10'
    """
    values = [f"{label(name)} = {value}" for name, value in _last_values(document)]
    lines = [
        f"<Job {document.job_id} {document.program} {_state(document)}>",
        how_far(document, progress),
        *values,
        document.error,
    ]
    return "\n".join(line for line in lines if line)


def html_snapshot(document: JobReport, progress: Mapping[str, Any]) -> Html:
    """Return the job as a `<div>`: state, a progress bar, the last value of each metric, the plot of the leading one.

    The plot is a picture inside the text: its style sheet cannot change the page it stands in.

    >>> from qloom.report import JobReport
    >>> "<progress" in html_snapshot(JobReport(job_id="01j", program="coin", state="RUNNING"), {"done": 3, "total": 10})
    True
    """
    values = [element("tr", element("th", label(name)), element("td", value)) for name, value in _last_values(document)]
    return element(
        "div",
        element("p", element("b", document.program), " ", element("code", document.job_id), f" {_state(document)}"),
        _bar(document, progress),
        element("p", shortened(document.error)) if document.error else "",
        element("table", *values) if values else "",
        _plot(document),
    )


def how_far(document: JobReport, progress: Mapping[str, Any]) -> str:
    """Return how far the program says it is, in words; empty where it says nothing.

    >>> from qloom.report import JobReport
    >>> running = JobReport(job_id="01j", program="coin", state="RUNNING")
    >>> how_far(running, {"done": 30, "rate_per_s": 2.5, "description": "tossing"})
    'tossing: 30 done, 2.5/s'
    """
    done, total = _done_and_total(document, progress)
    if not done and not total:
        return ""
    rate = progress.get("rate_per_s")
    words = f"{progress['description']}: " if progress.get("description") else ""
    speed = f", {rate:,.3g}/s" if document.state == "RUNNING" and is_number(rate) else ""
    return f"{words}{done:,} of {total:,}{speed}" if total else f"{words}{done:,} done{speed}"


# ---- inside ----------------------------------------------------------------------------------------------------------


def _state(document: JobReport) -> str:
    return document.state + (f" ({document.reason})" if document.reason else "")


def _done_and_total(document: JobReport, progress: Mapping[str, Any]) -> tuple[int, int]:
    done, total = (found if type(found) is int else 0 for found in (progress.get("done"), progress.get("total")))
    # A loop that ended early, having converged, is done all the same.
    return (done, done) if document.state == "COMPLETED" else (done, total)


def _bar(document: JobReport, progress: Mapping[str, Any]) -> Html:
    said = how_far(document, progress)
    if not said:
        return Html("")
    done, total = _done_and_total(document, progress)
    return element("p", element("progress", value=done, max=total) if total else "", f" {said}")


def _last_values(document: JobReport) -> list[tuple[str, str]]:
    return [(series.name, brief(series.last)) for series in document.metrics[-SHOWN_METRICS:]]


def _plot(document: JobReport) -> Html:
    if not document.metrics:
        return Html("")
    # As in a report, what has a value to reach comes first.
    series = min(document.metrics, key=lambda series: document.reference(series.name) is None)
    # On a card of its own: a picture follows the system's light or dark setting, which may not be the notebook's.
    card = element("rect", class_="card", x=-MARGIN, y=-MARGIN, width=WIDTH + 2 * MARGIN, height=HEIGHT + 2 * MARGIN, rx=8)
    reference = document.reference(series.name)
    picture = line_plot(series, reference=reference, width=WIDTH, height=HEIGHT, margin=MARGIN, extra=join([style(), card]))
    source = "data:image/svg+xml;base64," + b64encode(picture.encode()).decode()
    return element("img", src=source, alt=label(series.name), width=WIDTH, style="max-width:100%")
