"""Pictures among a job's results: which are shown, in which order, and what is said of the others."""

from pathlib import Path

import pytest

from qloom.report.pictures import Picture, read_pictures

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
PNG = b"\x89PNG\r\n\x1a\n..."
JPEG = b"\xff\xd8\xff\xe0..."


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "figures").mkdir()
    return tmp_path


def names(results: Path, **limits: int) -> list[str]:
    return [picture.name for picture in read_pictures(results, **limits).shown]


def test_saved_figures_come_first_then_every_other_picture_by_its_place(results: Path) -> None:
    (results / "plots").mkdir()
    for place, content in {
        "figures/cut.svg": SVG,
        "b.png": PNG,
        "a.jpg": JPEG,
        "plots/c.SVG": SVG,
        "results.json": b"{}",
    }.items():
        (results / place).write_bytes(content)
    assert names(results) == ["cut", "a.jpg", "b.png", "plots/c.SVG"]


def test_a_picture_is_what_is_in_it_whatever_its_ending(results: Path) -> None:
    (results / "a.png").write_bytes(JPEG)
    (results / "b.svg").write_bytes(b"<html><script>alert(1)</script></html>")
    (results / "c.jpg").write_bytes(b"MZ")
    found = read_pictures(results)
    assert found.shown == (Picture("a.png", "image/jpeg", JPEG),)
    assert found.left_out == ("Not shown: b.svg, c.jpg: neither SVG nor PNG nor JPEG inside, or not readable.",)


def test_what_is_too_much_is_left_out_and_said(results: Path) -> None:
    for number in range(9):
        (results / f"p{number}.png").write_bytes(PNG)
    found = read_pictures(results, most=2)
    assert len(found.shown) == 2
    assert found.left_out == (
        "Not shown: p2.png, p3.png, p4.png, p5.png, p6.png and 2 more: a report shows 2 pictures of 4 MiB together.",
    )


def test_a_large_picture_does_not_keep_smaller_ones_out(results: Path) -> None:
    (results / "a.png").write_bytes(PNG + b"." * 1000)
    (results / "b.png").write_bytes(PNG)
    assert names(results, most_bytes=500) == ["b.png"]


def test_links_are_not_followed(results: Path) -> None:
    outside = results.parent / "outside.png"
    outside.write_bytes(PNG)
    (results / "a.png").symlink_to(outside)
    (results / "up").symlink_to(results.parent)
    assert read_pictures(results).shown == ()
