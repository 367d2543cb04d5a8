"""`job_comparison`: two jobs side by side as one HTML file, what differs first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qloom.report.html import NARROW, PLOTS, TONES, WIDE, cell, page, section, shortened
from qloom.report.labels import brief, duration, label, moment
from qloom.report.markup import Html, element
from qloom.report.overlay import overlay_notes, overlay_plot
from qloom.report.values import MetricSeries, is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qloom.report.values import JobReport

ABSENT = element("span", "–", class_="soft")
Row = tuple[str, Any, Any]


def job_comparison(first: JobReport, second: JobReport) -> str:
    """Return two jobs side by side, called A and B, as the text of one HTML file: as complete and as safe as a job's report.

    >>> from qloom.report import JobReport
    >>> one = JobReport(job_id="01a", program="coin", state="COMPLETED", parameters={"shots": 10})
    >>> two = JobReport(job_id="01b", program="coin", state="FAILED", parameters={"shots": 20})
    >>> [state in job_comparison(one, two) for state in ("COMPLETED", "FAILED", "INTERRUPTED")]
    [True, True, False]
    """
    programs = " and ".join(dict.fromkeys([first.program, second.program]))
    return page(
        f"{programs}: {first.job_id} and {second.job_id}",
        _header(programs, first, second),
        _differences("Parameters", first.parameters, second.parameters, "The parameters are the same."),
        _plots(first, second),
        _results(first, second),
        section("Timing", _table(_timings(first, second))),
        _differences("Run with", _run_with(first), _run_with(second), "They ran with the same settings."),
        _differences("Environment", first.environment, second.environment, "The environments are the same."),
    )


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Row]:
    """Return name, value here, value there of what is not the same; what one side lacks is a dash.

    >>> differences({"shots": 10, "seed": 1}, {"shots": 20, "seed": 1})
    [('shots', 10, 20)]
    """
    return [row for row in pairs(first, second) if row[1] != row[2]]


def pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Row]:
    """Return name, value here, value there of everything that one of the two has, in their order.

    >>> pairs({"a": 1}, {"a": 2})
    [('a', 1, 2)]
    """
    return [(name, first.get(name, ABSENT), second.get(name, ABSENT)) for name in dict.fromkeys([*first, *second])]


def both(first: Iterable[MetricSeries], second: Iterable[MetricSeries]) -> list[tuple[MetricSeries, MetricSeries]]:
    """Return the series of each metric; one that a job did not log has no values there. Those that both logged come first.

    >>> [b.values for a, b in both([MetricSeries("x", (0.0,), (1.0,))], [])]
    [()]
    """
    here, there = ({series.name: series for series in side} for side in (first, second))
    names = sorted(dict.fromkeys([*here, *there]), key=lambda name: not (name in here and name in there))
    return [(here.get(name, MetricSeries(name, (), ())), there.get(name, MetricSeries(name, (), ()))) for name in names]


# ---- inside ----------------------------------------------------------------------------------------------------------


def _header(programs: str, first: JobReport, second: JobReport) -> Html:
    rows: list[Row] = [
        ("job", element("code", first.job_id), element("code", second.job_id)),
        ("program", first.program, second.program),
        ("state", _state(first), _state(second)),
        ("created", moment(first.created_at), moment(second.created_at)),
    ]
    if first.error or second.error:
        rows.append(("why", shortened(first.error) or ABSENT, shortened(second.error) or ABSENT))
    title = element("header", element("p", "qloom: two jobs compared", class_="overline"), element("h1", programs))
    return Html(title + section("Jobs", _table(rows)))


def _state(document: JobReport) -> Html:
    words = document.state + (f" ({document.reason})" if document.reason else "")
    return element("span", words, class_=f"state {TONES.get(document.state, '')}".strip())


def _differences(title: str, first: Mapping[str, Any], second: Mapping[str, Any], none: str) -> Html:
    rows = differences(first, second)
    if not rows:
        return section(title, element("p", none, class_="soft"))
    same = len(pairs(first, second)) - len(rows)
    said = element("p", f"{same:,} more {'is' if same == 1 else 'are'} the same.", class_="small soft") if same else Html("")
    return section(title, _table((label(name), here, there) for name, here, there in rows), said)


def _plots(first: JobReport, second: JobReport) -> Html:
    found = both(first.metrics, second.metrics)
    if not found:
        return Html("")
    figures = [_figure(here, there, large=place == 0) for place, (here, there) in enumerate(found[:PLOTS])]
    rest = f"{len(found) - PLOTS:,} more metrics are not drawn." if len(found) > PLOTS else ""
    return element(
        "section",
        element("h2", "Convergence"),
        element("div", *figures, class_="plots"),
        element("p", rest, class_="small soft") if rest else "",
        class_="convergence",
    )


def _figure(first: MetricSeries, second: MetricSeries, *, large: bool) -> Html:
    sizes = [(WIDE, "wide"), (NARROW, "narrow")] if large else [(NARROW, None)]
    drawings = [overlay_plot(first, second, width=width, height=height, css_class=name) for (width, height), name in sizes]
    legend = [
        element("span", "── A", class_="legend"),
        f" {_last(first)}   ",
        element("span", "╌╌ B", class_="legend second"),
        ". ".join([f" {_last(second)}", *overlay_notes(first, second, *sizes[0][0])]),
    ]
    return element("figure", *drawings, element("figcaption", *legend), class_="whole" if large else None)


def _last(series: MetricSeries) -> str:
    return f"last {brief(series.last)}" if series.values else "logged none"


def _results(first: JobReport, second: JobReport) -> Html:
    here, there = _named(first.result), _named(second.result)
    if not here and not there:
        return section("Result", element("p", "Neither has one.", class_="soft"))
    rows = [(label(name), one, other, _change(one, other)) for name, one, other in pairs(here, there)]
    return section("Result", _table(rows, heads=("", "A", "B", "B − A")))


def _named(result: Any) -> Mapping[str, Any]:
    if result is None:
        return {}
    return result if isinstance(result, dict) else {"result": result}


def _change(first: Any, second: Any) -> Any:
    return brief(second - first) if is_number(first) and is_number(second) else ABSENT


def _timings(first: JobReport, second: JobReport) -> list[Row]:
    return [
        ("latest attempt ran", duration(first.seconds), duration(second.seconds)),
        ("attempts", len(first.attempts), len(second.attempts)),
        ("quantum tasks computed", f"{first.executed:,}", f"{second.executed:,}"),
        ("... replayed from the journal", f"{first.replayed:,}", f"{second.replayed:,}"),
    ]


def _run_with(document: JobReport) -> dict[str, str]:
    return {**document.settings, "engine": document.engine or "–"}


def _table(rows: Iterable[tuple[Any, ...]], heads: tuple[str, ...] = ("", "A", "B")) -> Html:
    lines = [
        element("tr", element("th", name, scope="row"), *(element("td", v if isinstance(v, Html) else cell(v)) for v in values))
        for name, *values in rows
    ]
    top = element("tr", *(element("th", words, scope="col") for words in heads))
    return element("table", element("thead", top), element("tbody", *lines), class_="compared")
