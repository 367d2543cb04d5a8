"""Where a map stands at one moment, small enough for a notebook's cell: as text, and as HTML without scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qloom.report.markup import Html, element, join
from qloom.report.pictures import Picture, as_image
from qloom.report.tables import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN_FAILURES = 5
WIDTH, HEIGHT = 620, 12
COLOURS = {"completed": "#5468e0", "failed": "#d03b2f", "left": "#c9ced6"}
"""Of the bar: colours that are seen on a light and on a dark page."""
LONGEST_PARAMETERS, LONGEST_ERROR = 80, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSnapshot:
    """One map at one moment.

    Attributes:
        name: of the map.
        program: of all its jobs.
        counts: how many jobs are `completed`, `failed` and `left`.
        running: how many of those left run at this moment.
        over: whether no more jobs will be started.
        problem: what ended it before all jobs had been run; empty where nothing did.
        failures: index, parameters and error of those that have no result, by index.
    """

    name: str
    program: str
    counts: Mapping[str, int]
    running: int = 0
    over: bool = False
    problem: str = ""
    failures: tuple[tuple[int, Mapping[str, Any], str], ...] = field(default_factory=tuple)


def text_map(shown: MapSnapshot) -> str:
    """Return the map in a few lines: how far it is, the first failures, the way on.

    >>> failures = ((2, {"x": 3}, "job 01j FAILED: 3 is odd"),)
    >>> print(text_map(MapSnapshot(name="scan", program="p", counts={"completed": 2, "failed": 1}, over=True, failures=failures)))
    <Map scan p: 2 completed, 1 failed>
    #2 x=3: job 01j FAILED: 3 is odd
    Run those that have no result: qloom.map(..., name='scan')
    """
    head = f"<Map {shown.name} {shown.program}: {how_many(shown)}>"
    rows = [": ".join(row) for row in _rows(shown)]
    return "\n".join(line for line in (head, *rows, *_below(shown)) if line)


def html_map(shown: MapSnapshot) -> Html:
    """Return the map as a `<div>`: a bar of what is completed, failed and left, the first failures, the way on.

    >>> "<table>" in html_map(MapSnapshot(name="scan", program="p", counts={"completed": 2}))
    False
    """
    rows = [element("tr", *(element("td", cell) for cell in row)) for row in _rows(shown)]
    return element(
        "div",
        element("p", element("b", shown.program), " ", element("code", shown.name), f" {how_many(shown)}"),
        _bar(shown.counts),
        element("table", *rows) if rows else "",
        *(element("p", words) for words in _below(shown) if words),
        class_="qloom-map",
    )


def how_many(shown: MapSnapshot) -> str:
    """Return how many jobs are completed, failed, left and running, in words.

    >>> how_many(MapSnapshot(name="scan", program="p", counts={"completed": 2, "failed": 0, "left": 1200}, running=2))
    '2 completed, 1,200 left (2 running)'
    """
    words = [f"{count:,} {what}" for what, count in shown.counts.items() if count]
    return (", ".join(words) or "no jobs") + (f" ({shown.running} running)" if shown.running else "")


def _bar(counts: Mapping[str, int]) -> Html:
    total, left = sum(counts.values()), 0.0
    if not total:
        return Html("")
    parts = []
    for what, colour in COLOURS.items():
        width = WIDTH * counts.get(what, 0) / total
        parts.append(element("rect", x=f"{left:.1f}", width=f"{width:.1f}", height=HEIGHT, fill=colour) if width else "")
        left += width
    size = {"width": WIDTH, "height": HEIGHT, "viewBox": f"0 0 {WIDTH} {HEIGHT}"}
    drawing = element("svg", join(parts), xmlns="http://www.w3.org/2000/svg", preserveAspectRatio="none", **size)
    words = ", ".join(f"{counts.get(what, 0):,} {what}" for what in COLOURS)
    return as_image(Picture(words, "image/svg+xml", drawing.encode()), width=WIDTH)


def _rows(shown: MapSnapshot) -> list[tuple[str, str]]:
    """Return the first failures: which one, and why, in one line each."""
    found = []
    for index, parameters, error in shown.failures[:SHOWN_FAILURES]:
        words = shortened(", ".join(f"{name}={value!r}" for name, value in parameters.items()), LONGEST_PARAMETERS)
        found.append((f"#{index} {words}".rstrip(), shortened(error.partition("\n")[0], LONGEST_ERROR)))
    return found


def _below(shown: MapSnapshot) -> tuple[str, str, str]:
    """Return how many failures are not listed, what ended the map, and the way on; empty what there is nothing to say of."""
    more = len(shown.failures) - SHOWN_FAILURES
    unfinished = shown.over and (shown.counts.get("left") or shown.counts.get("failed"))
    return (
        f"and {more:,} more without a result" if more > 0 else "",
        shortened(shown.problem, LONGEST_ERROR),
        f"Run those that have no result: qloom.map(..., name={shown.name!r})" if unfinished else "",
    )
