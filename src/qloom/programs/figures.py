"""`ctx.save_figure`: what counts as a figure, and where it is kept for the report."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import Misuse
from qloom.kit.files import raise_storage, write_atomically

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST_FIGURE = 2 << 20
"""Bytes of one figure: a report carries them all."""
MOST_FIGURES = 32
"""Figures of one job."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
SVG_ROOT = "{http://www.w3.org/2000/svg}svg"
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


class Figure(NamedTuple):
    """A picture that was looked at: `svg` or `png`, and its bytes."""

    kind: str
    content: bytes


def save_figure(folder: Path | None, name: str, figure: Any) -> None:
    """Check a figure and keep it as `folder/<name>.svg` or `.png`, in one step; one of the same name is replaced.

    Args:
        folder: where figures are kept; None keeps nothing.
        name: see `check_name`.
        figure: see `read_figure`.

    Raises:
        Misuse: a name or a figure that is none, a figure that is too large, one too many.
        StorageFailed: it cannot be written; an older figure of that name is intact.
    """
    check_name(name)
    kind, content = read_figure(name, figure)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = {path.stem for path in folder.iterdir() if path.suffix in (".svg", ".png")} - {name}
    except OSError as error:
        raise_storage(error, folder)
    if len(others) >= MOST_FIGURES:
        raise Misuse(f"figure {name!r} is one too many: a job keeps {MOST_FIGURES}; save under a name that is used already")
    write_atomically(folder / f"{name}.{kind}", content, durable=False)
    (folder / f"{name}.{'png' if kind == 'svg' else 'svg'}").unlink(missing_ok=True)


def check_name(name: object) -> None:
    """Refuse what cannot be the name of a figure, and of its file.

    Raises:
        Misuse: not 1 to 64 letters, digits, `_` or `-`, a letter or digit first.

    >>> check_name("best_cut")
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        rule = "1 to 64 letters, digits, '_' or '-', a letter or digit first; without an ending, which the figure decides"
        raise Misuse(f"a figure's name is {rule}; got {name!r}")


def read_figure(name: str, figure: Any) -> Figure:
    """Return a figure's kind and bytes.

    Args:
        name: what it is called in an error.
        figure: SVG text; bytes of a PNG or an SVG; the path of such a file; or anything with matplotlib's `savefig`.

    Raises:
        Misuse: something else, or more than `LARGEST_FIGURE` bytes.

    >>> read_figure("dot", '<svg xmlns="http://www.w3.org/2000/svg"><circle r="2"/></svg>').kind
    'svg'
    """
    if callable(getattr(figure, "savefig", None)):
        return _drawn(name, figure)
    if isinstance(figure, str) and figure.lstrip("\ufeff \t\r\n").startswith("<"):
        return _looked_at(name, figure.encode())
    if isinstance(figure, str | Path):
        return _looked_at(name, _read(name, Path(figure)))
    if isinstance(figure, bytes | bytearray | memoryview):
        return _looked_at(name, bytes(figure))
    kinds = "SVG text, bytes of a PNG or an SVG, the path of such a file, or an object with savefig"
    raise Misuse(f"figure {name!r} must be {kinds}; got a {type(figure).__qualname__}")


def _drawn(name: str, figure: Any) -> Figure:
    """As SVG, which stays sharp; as PNG where so many points are drawn that it would be too large."""
    content = _saved(figure, "svg")
    return _looked_at(name, content if len(content) <= LARGEST_FIGURE else _saved(figure, "png"))


def _saved(figure: Any, kind: str) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()


def _read(name: str, path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_FIGURE:
            raise _too_large(name, path.stat().st_size)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise Misuse(f"figure {name!r}: {str(path)[:200]!r} is neither SVG text nor a file that can be read: {error}") from error


def _looked_at(name: str, content: bytes) -> Figure:
    if len(content) > LARGEST_FIGURE:
        raise _too_large(name, len(content))
    if content.startswith(PNG_START):
        if not content.endswith(PNG_END):
            raise Misuse(f"figure {name!r} is the beginning of a PNG: its end is missing; save it when it is complete")
        return Figure("png", content)
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        _check_svg(name, content)
        return Figure("svg", content)
    raise Misuse(f"figure {name!r} is neither a PNG nor an SVG: it begins with {content[:12]!r}")


def _check_svg(name: str, content: bytes) -> None:
    """A broken picture would only be seen when the report is read, so what a browser refuses is refused here."""
    from xml.etree import ElementTree as ET  # late: few programs draw

    if b"<!ENTITY" in content:
        raise Misuse(f"figure {name!r}: SVG with entities of its own is not kept; write their text out")
    try:
        root: Element = ET.fromstring(content)  # noqa: S314  no entities, and a bounded size
    except (ET.ParseError, ValueError) as error:
        raise Misuse(f"figure {name!r} is no well-formed SVG: {error}") from error
    if root.tag != SVG_ROOT:
        step = 'begin it with <svg xmlns="http://www.w3.org/2000/svg" viewBox="...">'
        raise Misuse(f"figure {name!r} has <{root.tag}> where an SVG element of SVG's namespace should be; {step}")


def _too_large(name: str, size: int) -> Misuse:
    way = "draw fewer points, or save it as a PNG of fewer pixels"
    return Misuse(f"figure {name!r} has {size:,} bytes, the limit is {LARGEST_FIGURE:,}: a report carries it; {way}")


__all__ = ["LARGEST_FIGURE", "MOST_FIGURES", "Figure", "check_name", "read_figure", "save_figure"]
