"""How often each key was measured, as horizontal bars: found in a result, drawn as SVG text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qloom.report.markup import Html, element, join
from qloom.report.svg import CHARACTER, drawing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BARS = 32
"""How many keys are drawn, those measured most often."""
ROW = 20
KEY_CHARACTERS = 20
"""Longer keys lose their middle; the bar tells the whole key under the pointer."""
BITS = re.compile(r"[01]+")

Counts = dict[str, int]


def is_counts(value: Any) -> bool:
    """Return whether a value says how often each key was measured: bit strings of one length -> whole numbers.

    >>> is_counts({"00": 51, "11": 49}), is_counts({"00": 0.51}), is_counts({"0": 1, "11": 1}), is_counts({})
    (True, False, False, False)
    """
    if not isinstance(value, dict) or not value or len({len(str(key)) for key in value}) > 1:
        return False
    return all(_is_key(key) and type(count) is int and count >= 0 for key, count in value.items())


def histograms(result: Any, name: str = "") -> list[tuple[str, Counts]]:
    """Return all counts inside a JSON value, each with its place as its name.

    >>> histograms({"bell": {"00": 5, "11": 5}, "energy": 1.0})
    [('bell', {'00': 5, '11': 5})]
    """
    return list(_found(result, name))


def largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the keys that are drawn with their counts: the most frequent ones, in the order of the keys.

    >>> largest({"11": 4, "00": 6})
    [('00', 6), ('11', 4)]
    """
    return sorted(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:BARS])


def describe_counts(counts: Mapping[str, int]) -> str:
    """Return the histogram in words, with what is not drawn.

    >>> describe_counts({"00": 600, "11": 400})
    '1,000 shots, 2 different keys.'
    """
    drawn, shots = largest(counts), sum(counts.values())
    said = f"{shots:,} shots, {len(counts):,} different key{'s' * (len(counts) != 1)}."
    if len(drawn) == len(counts):
        return said
    left = shots - sum(count for _, count in drawn)
    return f"{said} The {len(drawn)} most frequent are drawn; the other {len(counts) - len(drawn):,} hold {left:,} shots."


def bar_chart(
    name: str,
    counts: Mapping[str, int],
    *,
    width: int,
    margin: int = 0,
    css_class: str | None = None,
    style: Html | None = None,
) -> Html:
    """Return the most frequent keys as an `<svg>` element, a bar and its count for each.

    Args:
        name: what was counted.
        counts: key -> how often.
        width: of the drawing; it scales to the page.
        margin: free space round it, as a picture that stands alone needs.
        css_class: class of the element, besides `plot`.
        style: the style sheet of a picture that stands alone, on a card of its own.

    >>> bar_chart("bell", {"00": 6, "11": 4}, width=380).count("<rect")
    2
    """
    drawn = largest(counts)
    left = 16 + CHARACTER * min(KEY_CHARACTERS + 1, max(len(key) for key, _ in drawn))
    room = width - left - 16 - CHARACTER * len(f"{max(count for _, count in drawn):,}")
    height = ROW * len(drawn) + 4
    scale = room / max(1, *(count for _, count in drawn))
    bars = [_bar(key, count, left, row * ROW, count * scale) for row, (key, count) in enumerate(drawn)]
    title = f"{name}: {describe_counts(counts)}" if name else describe_counts(counts)
    return drawing(title, bars, width, height, margin=margin, css_class=css_class, style=style)


# ---- inside ----------------------------------------------------------------------------------------------------------


def _is_key(key: object) -> bool:
    return isinstance(key, str) and BITS.fullmatch(key) is not None


def _found(value: Any, name: str) -> Iterator[tuple[str, Counts]]:
    if is_counts(value):
        yield name, value
    elif isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            yield from _found(item, f"{name} {key}".strip())


def _bar(key: str, count: int, left: float, top: int, length: float) -> Html:
    middle = top + ROW / 2
    half = KEY_CHARACTERS // 2
    shown = key if len(key) <= KEY_CHARACTERS else f"{key[:half]}…{key[-half:]}"
    return join(
        [
            element("text", shown, class_="key", x=f"{left - 8:.1f}", y=middle, dy="0.33em", text_anchor="end"),
            element(
                "rect",
                element("title", f"{key}: {count:,}"),
                class_="bar",
                x=f"{left:.1f}",
                y=top + 3,
                width=f"{max(length, 0.5):.1f}",
                height=ROW - 6,
            ),
            element("text", f"{count:,}", class_="tick", x=f"{left + length + 6:.1f}", y=middle, dy="0.33em"),
        ]
    )
