"""`job_comparison`: two jobs side by side as one HTML file, what differs first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qloom.report.bars import bar_chart, describe_counts, histograms
from qloom.report.html import HISTOGRAMS, NARROW, PLOTS, TONES, WIDE, figures, page, timing_rows
from qloom.report.labels import brief, label, moment
from qloom.report.markup import Html, element
from qloom.report.overlay import overlay_notes, overlay_plot
from qloom.report.tables import cell, section, shortened
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
        _inputs(first, second),
        _plots(first, second),
        _histograms(first, second),
        _results(first, second),
        figures(first.pictures, "Figures of A"),
        figures(second.pictures, "Figures of B"),
        section("Timing and cost", _table(_timings(first, second))),
        _differences("Run with", _run_with(first), _run_with(second), "They ran with the same settings."),
        _differences("Environment", _environment(first), _environment(second), "The environments are the same."),
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


def _inputs(first: JobReport, second: JobReport) -> Html:
    """All parameters, those that differ marked and first."""
    rows = sorted(pairs(first.parameters, second.parameters), key=lambda row: row[1] == row[2])
    if not rows:
        return section("Parameters", element("p", "The programs take none.", class_="soft"))
    different = sum(here != there for _, here, there in rows)
    said = "The parameters are the same." if not different else f"{different:,} of {len(rows):,} differ."
    marked = [(label(name), *(_marked(value, differs=here != there) for value in (here, there))) for name, here, there in rows]
    return section("Parameters", _table(marked), element("p", said, class_="small soft"))


def _marked(value: Any, *, differs: bool) -> Any:
    shown = value if isinstance(value, Html) else cell(value)
    return element("mark", shown) if differs else shown


def _histograms(first: JobReport, second: JobReport) -> Html:
    """The counts of both, side by side, on one scale of keys where both measured them."""
    here, there = dict(histograms(first.result)), dict(histograms(second.result))
    names = list(dict.fromkeys([*here, *there]))
    drawn = [element("div", _counts("A", name, here), _counts("B", name, there), class_="plots") for name in names[:HISTOGRAMS]]
    if not drawn:
        return Html("")
    rest = f"{len(names) - HISTOGRAMS:,} more are not drawn." if len(names) > HISTOGRAMS else ""
    return section("Measured", *drawn, element("p", rest, class_="small soft") if rest else "")


def _counts(side: str, name: str, found: Mapping[str, Mapping[str, int]]) -> Html:
    if name not in found:
        return element("figure", element("figcaption", f"{side} has none called {label(name)}."), class_="histogram")
    words = f"{side}{f', {label(name)}' if name else ''}: {describe_counts(found[name])}"
    chart = bar_chart(f"{side} {name}".strip(), found[name], width=NARROW[0])
    return element("figure", chart, element("figcaption", words), class_="histogram")


def _environment(document: JobReport) -> dict[str, Any]:
    built = {name: value for name, value in document.built_from.items() if name != "packages"}
    return {**document.environment, **document.packages, **built}


def _plots(first: JobReport, second: JobReport) -> Html:
    found = both(first.metrics, second.metrics)
    if not found:
        return Html("")
    drawn = [
        _figure(here, there, _reference(first, second, here.name), large=place == 0)
        for place, (here, there) in enumerate(found[:PLOTS])
    ]
    rest = f"{len(found) - PLOTS:,} more metrics are not drawn." if len(found) > PLOTS else ""
    return element(
        "section",
        element("h2", "Convergence"),
        element("div", *drawn, class_="plots"),
        element("p", rest, class_="small soft") if rest else "",
        class_="convergence",
    )


def _reference(first: JobReport, second: JobReport, metric: str) -> tuple[str, float] | None:
    """The value that both are to reach; none where they are to reach different ones, of different problems."""
    here, there = first.reference(metric), second.reference(metric)
    if here and there and here[1] != there[1]:
        return None
    return here or there


def _figure(first: MetricSeries, second: MetricSeries, reference: tuple[str, float] | None, *, large: bool) -> Html:
    sizes = [(WIDE, "wide"), (NARROW, "narrow")] if large else [(NARROW, None)]
    drawings = [
        overlay_plot(first, second, width=width, height=height, reference=reference, css_class=name)
        for (width, height), name in sizes
    ]
    legend = [
        element("span", "── A", class_="legend"),
        f" {_last(first)}   ",
        element("span", "╌╌ B", class_="legend second"),
        ". ".join([f" {_last(second)}", *overlay_notes(first, second, *sizes[0][0], reference)]),
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
    return [("attempts", len(first.attempts), len(second.attempts)), *pairs(timing_rows(first), timing_rows(second))]


def _run_with(document: JobReport) -> dict[str, str]:
    return {**document.settings, "engine": document.engine or "–"}


def _table(rows: Iterable[tuple[Any, ...]], heads: tuple[str, ...] = ("", "A", "B")) -> Html:
    lines = [
        element("tr", element("th", name, scope="row"), *(element("td", v if isinstance(v, Html) else cell(v)) for v in values))
        for name, *values in rows
    ]
    top = element("tr", *(element("th", words, scope="col") for words in heads))
    return element("table", element("thead", top), element("tbody", *lines), class_="compared")
