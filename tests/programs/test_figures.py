"""`ctx.save_figure`: what is a picture, what is refused, where it lies, and that drawing again replaces it."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from qloom.errors import Misuse, StorageFailed
from qloom.programs.context import Context
from qloom.programs.figures import LARGEST_FIGURE, MOST_FIGURES, read_figure, save_figure

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><circle cx="2" cy="2" r="2"/></svg>'


def png(width: int = 1, height: int = 1) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress((b"\0" + b"\0\0\0" * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


class Drawing:
    """Anything with `savefig`, as matplotlib's figures have it."""

    def __init__(self, svg_bytes: int = 0) -> None:
        self._svg_bytes = svg_bytes

    def savefig(self, target: BytesIO, *, format: str) -> None:
        target.write(png() if format == "png" else f"<!--{'x' * self._svg_bytes}-->{SVG}".encode())


@pytest.mark.parametrize(
    ("figure", "kind"),
    [
        (SVG, "svg"),
        (f'<?xml version="1.0"?>\n<!-- drawn by hand -->\n{SVG}', "svg"),
        (SVG.encode(), "svg"),
        (png(), "png"),
        (bytearray(png()), "png"),
        (Drawing(), "svg"),
        (Drawing(LARGEST_FIGURE), "png"),
    ],
    ids=["text", "with a head", "bytes of an SVG", "PNG", "bytearray", "savefig", "savefig, too many points for SVG"],
)
def test_a_figure_is_kept_as_what_it_is(tmp_path: Path, figure: Any, kind: str) -> None:
    save_figure(tmp_path / "figures", "cut", figure)
    assert [path.name for path in (tmp_path / "figures").iterdir()] == [f"cut.{kind}"]


@pytest.mark.parametrize("make", [str, Path])
def test_a_file_is_read_where_it_lies(tmp_path: Path, make: type) -> None:
    (tmp_path / "plot.any").write_bytes(png(2, 2))
    assert read_figure("plot", make(tmp_path / "plot.any")) == ("png", png(2, 2))


def test_matplotlib_figures_are_drawn_as_svg() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    figure.add_subplot().plot([1, 2, 4])
    assert read_figure("curve", figure).kind == "svg"


def test_drawing_again_replaces_the_figure_whatever_it_was(tmp_path: Path) -> None:
    for figure in (SVG, png()):
        save_figure(tmp_path, "cut", figure)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.png"]


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ("<svg", "no well-formed SVG"),
        ("<html></html>", "has <html> where an SVG element"),
        ("<svg viewBox='0 0 1 1'></svg>", "xmlns"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG, "entities of its own"),
        (png()[:-5], "its end is missing"),
        (b"GIF89a", "neither a PNG nor an SVG"),
        (b"", "neither a PNG nor an SVG"),
        ("no-such-file.svg", "neither SVG text nor a file that can be read"),
        ("x" * 5000, "neither SVG text nor a file"),
        ("a\0b", "neither SVG text nor a file"),
        (SVG.replace("<circle", f"<!--{'x' * LARGEST_FIGURE}--><circle"), "the limit is 2,097,152"),
        (3.5, "got a float"),
        (None, "got a NoneType"),
    ],
)
def test_what_no_report_could_show_is_refused_at_once(tmp_path: Path, figure: Any, said: str) -> None:
    with pytest.raises(Misuse, match="figure 'cut'") as refused:
        save_figure(tmp_path / "figures", "cut", figure)
    assert said in str(refused.value)
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("name", ["", "..", "a/b", "a.svg", "-a", "ü", "a" * 65, 7, None])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: Any) -> None:
    with pytest.raises(Misuse, match="a figure's name is 1 to 64 letters"):
        save_figure(tmp_path, name, SVG)


def test_there_is_room_for_so_many_figures_and_for_drawing_them_again(tmp_path: Path) -> None:
    for number in range(MOST_FIGURES):
        save_figure(tmp_path, f"f{number}", SVG)
    save_figure(tmp_path, "f0", png())
    with pytest.raises(Misuse, match="'more' is one too many: a job keeps 32"):
        save_figure(tmp_path, "more", SVG)


def test_a_place_that_cannot_be_written_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(StorageFailed, match="figures"):
        save_figure(tmp_path / "figures", "cut", SVG)


def test_a_plain_call_looks_at_a_figure_and_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ctx = Context.local(devices={})
    ctx.save_figure("cut", SVG)
    with pytest.raises(Misuse):
        ctx.save_figure("cut", "<svg")
    assert list(tmp_path.iterdir()) == []
