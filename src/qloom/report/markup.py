"""HTML and SVG that cannot be broken by what they show: every text is escaped unless it was made here."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Control characters but tab and line feed, and code points that no encoding may hold."""
VOID = frozenset({"meta", "br", "hr", "img"})


class Html(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


def text(value: object) -> Html:
    r"""Return any value as text that a browser shows and never runs; colours of terminals are dropped.

    >>> text("<b>\x1b[31mred\x1b[0m\x00")
    '&lt;b&gt;red�'
    """
    if isinstance(value, Html):
        return value
    plain = TERMINAL_SEQUENCE.sub("", str(value)).replace("\r\n", "\n")
    return Html(escape(UNPRINTABLE.sub("\ufffd", plain), quote=True))


def element(name: str, /, *children: object, **attributes: object) -> Html:
    """Return one element with its children; children and attributes are escaped, attributes that are None left out.

    An underscore at the end of an attribute's name is dropped (`class_`), one inside becomes a hyphen (`text_anchor`).

    >>> element("p", "1 < 2", element("b", "!"), class_="note", id=None)
    '<p class="note">1 &lt; 2<b>!</b></p>'
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items() if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{shown}>")
    return Html(f"<{name}{shown}>{join(children)}</{name}>")


def join(parts: Iterable[object], separator: str = "") -> Html:
    """Return several parts as one, each escaped unless it is markup.

    >>> join(["a&b", Html("<br>")])
    'a&amp;b<br>'
    """
    return Html(separator.join(text(part) for part in parts))
