"""Cards, tables and JSON values of a report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qloom.report.markup import Html, element

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONG_TEXT = 20_000
"""Characters of one value or one log line that are shown."""


def section(title: str, *children: object) -> Html:
    """Return a card with a heading."""
    return element("section", element("h2", title), *children)


def table(rows: Iterable[tuple[str, Any]]) -> Html:
    """Return names with their values, one row each."""
    cells = [element("tr", element("th", name, scope="row"), element("td", cell(value))) for name, value in rows]
    return element("table", element("tbody", *cells))


def cell(value: Any) -> Html | str:
    """Return a JSON value as a table shows it."""
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, dict | list) and value:
        return element("pre", as_json(value))
    return json.dumps(value)


def as_json(value: Mapping[str, Any] | list[Any] | Any) -> str:
    """Return a value as JSON text for people."""
    return shortened(json.dumps(value, indent=1, ensure_ascii=False))


def shortened(value: str, limit: int = LONG_TEXT) -> str:
    """Return a text of at most that many characters and the number of those left out.

    >>> shortened("abcdef", 3)
    'abc ... (3 more characters)'
    """
    return value if len(value) <= limit else f"{value[:limit]} ... ({len(value) - limit:,} more characters)"
