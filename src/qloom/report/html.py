"""`job_report`: everything about one job as one HTML file without network, scripts or links outward."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.report.bars import bar_chart, describe_counts, histograms, is_counts
from qloom.report.labels import brief, duration, label, moment, number, split_unit
from qloom.report.markup import Html, element, join
from qloom.report.pictures import as_image
from qloom.report.stages import stage_errors, stages_section
from qloom.report.svg import finite, line_plot, notes
from qloom.report.tables import as_json, section, shortened, table
from qloom.report.values import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.report.pictures import Pictures
    from qloom.report.values import AttemptReport, JobReport, MetricSeries

NARROW = (380, 280)
WIDE = (920, 360)
"""Width and height of plots; text in them keeps its size, so a phone gets a drawing of its own."""
PLOTS = 12
"""How many metrics are drawn; the others are listed with their last value."""
HISTOGRAMS = 8
"""How many histograms of a result are drawn."""
KEY_FIGURES = 4
ATTEMPT = ("Attempt", "Ended", "Why", "Started", "Ran")
"""What is said of each attempt: columns, which a narrow screen gets as lines."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""For the browser: load nothing, run nothing, whatever a job's name or log says."""
TONES = {"COMPLETED": "good", "FAILED": "bad", "INTERRUPTED": "wait", "CANCELLING": "wait"}


def job_report(document: JobReport) -> str:
    """Return the report as the text of one HTML file, to be written as UTF-8.

    The file is complete in itself: style sheet and plots are inside, nothing is loaded, no script runs. It follows the
    reader's light or dark setting, fits a phone, and prints. Every text from the job is escaped.

    >>> from qloom.report import JobReport
    >>> page = job_report(JobReport(job_id="01j", program="<b>coin</b>", state="COMPLETED"))
    >>> "<b>coin" in page, "&lt;b&gt;coin" in page
    (False, True)
    """
    return page(
        f"{document.program} {document.state}: {document.job_id}",
        _header(document),
        _error(document),
        stage_errors(document.stages),
        _problems(document),
        _key_figures(document),
        _plots(document),
        stages_section(document.stages),
        figures(document.pictures),
        _histograms(document),
        element(
            "div",
            element("div", _result(document), _parameters(document), _timing(document)),
            element("div", _run_with(document), _environment(document), _packages(document)),
            class_="columns",
        ),
        _attempts(document),
        _log(document),
    )


def page(title: str, *children: Html) -> str:
    """Return a whole HTML file that shows those parts, one below the other."""
    end = element("footer", "Made by qloom. This file is complete in itself: it loads nothing and runs nothing.")
    head = join(
        [
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", http_equiv="Content-Security-Policy", content=POLICY),
            element("title", title),
            style(),
        ]
    )
    body = element("body", element("main", *children, end))
    return "<!doctype html>\n" + element("html", element("head", head), body, lang="en") + "\n"


@cache
def style(*, page: bool = True) -> Html:
    """Return the style sheet of plots, and of the page round them, as a `<style>` element."""
    here = Path(__file__)
    sheets = [here.with_name(name).read_text(encoding="utf-8") for name in ("plot.css", *(["report.css"] if page else []))]
    return element("style", Html("".join(sheets)))


def _header(document: JobReport) -> Html:
    state = document.state + (f" ({document.reason})" if document.reason else "")
    engine = f" on {document.engine}" if document.engine else ""
    facts = [
        element("span", "job ", element("code", document.job_id)),
        element("span", "created ", moment(document.created_at)),
        element("span", f"ran {duration(document.seconds)}{engine}") if document.seconds is not None else "",
    ]
    return element(
        "header",
        element("p", "qloom job report", class_="overline"),
        element(
            "div",
            element("h1", document.program),
            element("span", state, class_=f"state {TONES.get(document.state, '')}".strip()),
            class_="title",
        ),
        element("p", *facts, class_="facts"),
    )


def _error(document: JobReport) -> Html:
    if not document.error:
        return Html("")
    return element(
        "section",
        element("h2", document.error_type or "Why it ended"),
        element("p", shortened(document.error)),
        element("pre", "\n".join(document.frames)) if document.frames else "",
        element("p", "Go on with ", element("code", f"qloom job resume {document.job_id}"), class_="small soft")
        if document.state in ("INTERRUPTED", "FAILED")
        else "",
        class_="callout bad" if document.state == "FAILED" else "callout",
    )


def _problems(document: JobReport) -> Html:
    if not document.problems:
        return Html("")
    lines = [element("p", shortened(problem)) for problem in document.problems]
    return element("section", element("h2", "Noted while running"), *lines, class_="callout")


def _key_figures(document: JobReport) -> Html:
    result = document.result if isinstance(document.result, dict) and not is_counts(document.result) else {}
    scalars = [(str(name), value) for name, value in result.items() if is_number(value)][:KEY_FIGURES]
    boxes = [_key_figure(name, value) for name, value in scalars]
    return element("dl", *boxes, class_="figures") if boxes else Html("")


def _key_figure(name: str, value: float) -> Html:
    words, unit = split_unit(name)
    shown = brief(value) if isinstance(value, float) else f"{value:,}"
    return element("div", element("dt", words), element("dd", shown, element("span", f" {unit}", class_="unit") if unit else ""))


def _plots(document: JobReport) -> Html:
    if not document.metrics:
        return Html("")
    # What has a value to reach comes first and large.
    order = sorted(document.metrics, key=lambda series: document.reference(series.name) is None)
    drawn, rest = order[:PLOTS], order[PLOTS:]
    # The first and, where it would stand alone in its row, the last are as wide as the page; others stand in pairs.
    alone = {0} if len(drawn) % 2 else {0, len(drawn) - 1}
    figures = [_figure(document, series, large=place in alone) for place, series in enumerate(drawn)]
    return element(
        "section",
        element("h2", "Convergence"),
        element("div", *figures, class_="plots"),
        element("p", f"{len(rest)} more metrics, with their last values:", class_="small soft") if rest else "",
        table((label(series.name), number(series.last)) for series in rest) if rest else "",
        class_="convergence",
    )


def _figure(document: JobReport, series: MetricSeries, *, large: bool) -> Html:
    reference = document.reference(series.name)
    width, height = WIDE if large else NARROW
    drawings = [line_plot(series, reference=reference, width=width, height=height, css_class="wide" if large else None)]
    if large:
        drawings.append(line_plot(series, reference=reference, width=NARROW[0], height=NARROW[1], css_class="narrow"))
    said = " ".join([_extremes(series), *notes(series, reference, width, height)])
    return element("figure", *drawings, element("figcaption", said), class_="whole" if large else None)


def _extremes(series: MetricSeries) -> str:
    """Return the lowest and highest value with their steps, a sentence for the caption."""
    points = finite(series)
    if not len(points):
        return ""
    (low_step, low), (high_step, high) = points[points[:, 1].argmin()].tolist(), points[points[:, 1].argmax()].tolist()
    return f"Lowest {number(low)} at step {number(low_step)}, highest {number(high)} at step {number(high_step)}."


def _histograms(document: JobReport) -> Html:
    found = histograms(document.result)
    if not found:
        return Html("")
    figures = [_histogram(name, counts) for name, counts in found[:HISTOGRAMS]]
    rest = f"{len(found) - HISTOGRAMS:,} more are not drawn." if len(found) > HISTOGRAMS else ""
    return section("Measured", *figures, element("p", rest, class_="small soft") if rest else Html(""))


def _histogram(name: str, counts: Mapping[str, int]) -> Html:
    drawings = [
        bar_chart(name, counts, width=width, css_class=css_class)
        for (width, _), css_class in ((WIDE, "wide"), (NARROW, "narrow"))
    ]
    caption = f"{label(name)}: {describe_counts(counts)}" if name else describe_counts(counts)
    return element("figure", *drawings, element("figcaption", caption), class_="histogram")


def _result(document: JobReport) -> Html:
    if document.result is None:
        words = "None yet." if document.state in ("CREATED", "QUEUED", "RUNNING") else "None."
        return section("Result", element("p", words, class_="soft"))
    if isinstance(document.result, dict) and document.result and not is_counts(document.result):
        return section("Result", table((label(str(name)), value) for name, value in document.result.items()))
    return section("Result", element("pre", as_json(document.result)))


def _parameters(document: JobReport) -> Html:
    if not document.parameters:
        return section("Parameters", element("p", "The program takes none.", class_="soft"))
    return section("Parameters", table((label(name), value) for name, value in document.parameters.items()))


def timing_rows(document: JobReport) -> dict[str, str]:
    """Return where a job's time and money went, in words."""
    took, budget = document.timings, document.budget_usd
    return {
        "waited for its first start": duration(took.queue_s),
        "ran, all attempts": duration(took.running_s),
        "... quantum": duration(took.quantum_s),
        "... classical": duration(took.classical_s),
        "quantum tasks computed": f"{document.executed:,}",
        "... replayed from the journal": f"{document.replayed:,}",
        "cost": "–" if document.cost_usd is None else f"{document.cost_usd:.2f} USD" + (f" of {budget:g}" if budget else ""),
    }


def _timing(document: JobReport) -> Html:
    took = document.timings
    said = [
        "Quantum is the time from asking a device to its answer, a wait in the device's queue included. Classical is the rest.",
        "Lanes asked at the same time: their quantum times add up to more than the running time."
        if took.quantum_s and took.running_s is not None and took.quantum_s > took.running_s
        else "",
    ]
    return section("Timing and cost", table(timing_rows(document).items()), element("p", " ".join(said), class_="small soft"))


def _run_with(document: JobReport) -> Html:
    return section("Run with", table(document.settings.items())) if document.settings else Html("")


def _environment(document: JobReport) -> Html:
    built = document.built_from
    rows = {**document.environment, **{label(str(name)): value for name, value in built.items() if name != "packages" and value}}
    return section("Environment", table(rows.items())) if rows else Html("")


def _packages(document: JobReport) -> Html:
    """What the program had loaded; of a built environment also what was there besides."""
    loaded, built = document.packages, document.built_from.get("packages") or {}
    said = "What the program had loaded when it ended."
    if not loaded:
        waiting = document.state in ("CREATED", "QUEUED", "RUNNING")
        said = "Recorded when the program ends." if waiting else "The program left no word of what it had loaded."
    others = {name: version for name, version in built.items() if name not in loaded} if isinstance(built, dict) else {}
    if not loaded and not others and not document.environment:
        return Html("")
    return section(
        "Packages",
        table(loaded.items()) if loaded else "",
        element("p", said, class_="small soft"),
        element("details", element("summary", f"{len(others):,} more in its environment"), table(others.items()))
        if others
        else "",
    )


def figures(pictures: Pictures, title: str = "Figures") -> Html:
    """Return what a program drew, with what is left out; nothing where it drew nothing."""
    if not pictures.shown and not pictures.left_out:
        return Html("")
    drawn = [
        element("figure", as_image(picture), element("figcaption", picture.name.replace("_", " "))) for picture in pictures.shown
    ]
    notes_ = [element("p", words, class_="small soft") for words in pictures.left_out]
    return element("section", element("h2", title), *drawn, *notes_, class_="pictures")


def _attempts(document: JobReport) -> Html:
    if not document.attempts:
        return Html("")
    rows = [
        element("tr", *(element("td", shown, data_name=name) for name, shown in zip(ATTEMPT, _attempt(attempt), strict=True)))
        for attempt in document.attempts
    ]
    heads = element("tr", *(element("th", words, scope="col") for words in ATTEMPT))
    return section("Attempts", element("table", element("thead", heads), element("tbody", *rows), class_="stacked"))


def _attempt(attempt: AttemptReport) -> tuple[object, ...]:
    ended = attempt.ended + (f" ({attempt.reason})" if attempt.reason else "")
    why = shortened(attempt.error) or "–"
    return attempt.number, ended, why, moment(attempt.started_at), duration(attempt.seconds)


def _log(document: JobReport) -> Html:
    if not document.log:
        return Html("")
    before = element("p", f"{document.log_left_out:,} earlier lines are left out.", class_="small soft")
    # What a terminal would show: a line that was rewritten in place is its last version.
    lines = [shortened(line.rstrip("\r").rpartition("\r")[2]) for line in document.log]
    return element(
        "section",
        element("h2", "End of the log" if document.log_left_out else "Log"),
        before if document.log_left_out else "",
        element("pre", "\n".join(lines)),
        class_="log",
    )
