"""Where a job stands at one moment, small enough for a notebook's cell: as text, and as HTML without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qloom.report.bars import bar_chart, describe_counts, histograms
from qloom.report.html import style
from qloom.report.labels import brief, label
from qloom.report.markup import Html, element
from qloom.report.pictures import Picture, as_image
from qloom.report.svg import line_plot
from qloom.report.tables import shortened
from qloom.report.values import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.report.values import JobReport, MetricSeries

SHOWN_METRICS = 6
SHOWN_PLOTS = 4
"""How many metrics are drawn, the leading one large."""
SHOWN_HISTOGRAMS = 2
PICTURES, PICTURE_BYTES = 4, 1 << 20
"""Of the pictures that the program drew: how many are shown, and how large they may be together."""
LARGE, SMALL = (620, 280), (380, 220)
MARGIN = 10


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


def html_snapshot(document: JobReport, progress: Mapping[str, Any], said: str = "") -> Html:
    """Return the job as a `<div>`: state, a progress bar, last values and plots of its metrics, counts, figures, the way on.

    Every plot is a picture inside the text: its style sheet cannot change the page it stands in. It fits a narrow page.

    Args:
        document: the job.
        progress: how far it says it is.
        said: a sentence to stand below it.

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
        *_plots(document),
        *_histograms(document),
        *(as_image(picture, width=SMALL[0]) for picture in document.pictures.shown),
        _way_on(document),
        element("p", shortened(said)) if said else "",
        class_="qloom-job",
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


def _plots(document: JobReport) -> list[Html]:
    # As in a report, what has a value to reach comes first, and large.
    order = sorted(document.metrics, key=lambda series: document.reference(series.name) is None)
    return [_plot(document, series, LARGE if place == 0 else SMALL) for place, series in enumerate(order[:SHOWN_PLOTS])]


def _plot(document: JobReport, series: MetricSeries, size: tuple[int, int]) -> Html:
    reference, (width, height) = document.reference(series.name), size
    drawing = line_plot(series, reference=reference, width=width, height=height, margin=MARGIN, style=style(page=False))
    return _image(drawing, label(series.name), width)


def _histograms(document: JobReport) -> list[Html]:
    return [
        _image(bar_chart(name, counts, width=SMALL[0], margin=MARGIN, style=style(page=False)), describe_counts(counts), SMALL[0])
        for name, counts in histograms(document.result)[:SHOWN_HISTOGRAMS]
    ]


def _image(drawing: Html, words: str, width: int) -> Html:
    return as_image(Picture(words, "image/svg+xml", drawing.encode()), width=width)


def _way_on(document: JobReport) -> Html:
    """The command line that ends a job or goes on with it: what a page without buttons needs."""
    if document.state in ("QUEUED", "RUNNING"):
        return element("p", "End it: ", element("code", f"qloom job cancel {document.job_id}"))
    if document.state in ("INTERRUPTED", "FAILED"):
        return element("p", "Go on: ", element("code", f"qloom job resume {document.job_id}"))
    return Html("")
