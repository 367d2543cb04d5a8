"""Pictures that a program left among its results: found, looked at, and put into a page so that nothing in them runs."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

from qloom.report.markup import Html, element

if TYPE_CHECKING:
    from collections.abc import Iterator

SAVED = "figures"
"""Folder of those that `ctx.save_figure` saved; they come first."""
MOST = 12
MOST_BYTES = 4 << 20
"""How many pictures a report shows, and how large they may be together."""
LOOKED_AT = 2000
"""Files among the results that are looked at."""
ENDINGS = {".svg", ".png", ".jpg", ".jpeg"}
KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"<", "image/svg+xml"))
"""How a file begins, and what it is then, whatever its name says."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Attributes:
        name: its place among the results, without an ending where `ctx.save_figure` saved it.
        media_type: `image/svg+xml`, `image/png` or `image/jpeg`.
        content: its bytes.
    """

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures that are shown, and a sentence for each reason why others are not."""

    shown: tuple[Picture, ...] = ()
    left_out: tuple[str, ...] = ()


def read_pictures(results: Path, *, most: int = MOST, most_bytes: int = MOST_BYTES) -> Pictures:
    """Return the pictures in a job's results folder: those saved as figures first, then other SVG, PNG and JPEG files by name.

    Links are not followed. Files that are no pictures, whatever their ending, are named in `left_out`.

    >>> read_pictures(Path("no such folder"))
    Pictures(shown=(), left_out=())
    """
    shown: list[Picture] = []
    over: list[str] = []
    strange: list[str] = []
    room = most_bytes
    for path, size in _files(results):
        name = _name(path, results)
        if len(shown) == most or size > room:
            over.append(name)
        elif (picture := _read(path, name, room)) is None:
            strange.append(name)
        else:
            shown.append(picture)
            room -= len(picture.content)
    said = [f"{_listed(over)}: a report shows {most} pictures of {most_bytes / (1 << 20):g} MiB together."] if over else []
    said += [f"{_listed(strange)}: neither SVG nor PNG nor JPEG inside, or not readable."] if strange else []
    return Pictures(tuple(shown), tuple(said))


def as_image(picture: Picture, *, width: int | None = None) -> Html:
    """Return a picture as an `<img>` with its data inside: browsers run no scripts of such a picture and load nothing for it.

    >>> as_image(Picture("dot", "image/png", b"..."))[:43]
    '<img src="data:image/png;base64,Li4u" alt="'
    """
    source = f"data:{picture.media_type};base64,{b64encode(picture.content).decode()}"
    style = "display:block;max-width:100%;margin:0.4em 0" if width else None
    return element("img", src=source, alt=picture.name, width=width, style=style)


def _files(results: Path) -> Iterator[tuple[Path, int]]:
    """Every file with a picture's ending and its size, by name; the saved figures first."""
    looked_at = 0
    found: list[tuple[bool, str, Path, int]] = []
    for folder, folders, names in os.walk(results):
        folders.sort()
        for name in sorted(names):
            looked_at += 1
            path = Path(folder, name)
            if path.suffix.lower() in ENDINGS and not name.startswith(".") and (size := _size(path)) is not None:
                found.append((path.parent != results / SAVED, str(path), path, size))
        if looked_at > LOOKED_AT:
            break
    return ((path, size) for _, _, path, size in sorted(found))


def _size(path: Path) -> int | None:
    """The size of a plain file; None for a link, anything else, and what is gone since."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size if S_ISREG(found.st_mode) else None


def _name(path: Path, results: Path) -> str:
    return path.stem if path.parent == results / SAVED else str(path.relative_to(results))


def _read(path: Path, name: str, room: int) -> Picture | None:
    try:
        with path.open("rb") as file:
            content = file.read(room + 1)  # it may have grown since it was measured
    except OSError:  # gone since, or not ours to read
        return None
    begins = content[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    media_type = next((kind for start, kind in KINDS if begins.startswith(start)), None)
    if media_type is None or len(content) > room or (media_type == "image/svg+xml" and b"<svg" not in content):
        return None
    return Picture(name, media_type, content)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"Not shown: {', '.join(names[:5])}{more}"
