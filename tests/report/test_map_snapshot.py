"""A map in a few lines, and in a notebook's cell."""

import base64
import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from qloom.report.map_snapshot import SHOWN_FAILURES, WIDTH, MapSnapshot, html_map, text_map

COUNTS = st.fixed_dictionaries({what: st.integers(0, 2000) for what in ("completed", "failed", "left")})


def bar(page: str) -> ET.Element | None:
    found = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    return None if found is None else ET.fromstring(base64.b64decode(found[1]))


@given(COUNTS)
def test_the_bar_is_as_long_as_all_jobs_and_each_part_as_its_share(counts: dict[str, int]) -> None:
    drawn = bar(html_map(MapSnapshot(name="scan", program="p", counts=counts)))
    widths = [] if drawn is None else [float(part.attrib["width"]) for part in drawn]
    total = sum(counts.values())
    shares = [WIDTH * counts[what] / total for what in ("completed", "failed", "left") if counts[what]]
    assert len(widths) == len(shares)
    assert all(abs(width - share) <= 0.05 + 1e-9 for width, share in zip(widths, shares, strict=True))


def test_only_the_first_failures_are_listed_and_the_others_counted() -> None:
    failures = tuple((index, {"x": index}, f"job FAILED: {index}\n  file.py:3") for index in range(SHOWN_FAILURES + 1200))
    shown = MapSnapshot(name="scan", program="p", counts={"failed": len(failures)}, over=True, failures=failures)
    for text in (text_map(shown), html_map(shown)):
        assert "job FAILED: 4" in text
        assert "job FAILED: 5" not in text
        assert "file.py" not in text
        assert "and 1,200 more without a result" in text


def test_the_way_on_is_told_once_it_is_over_and_something_is_missing() -> None:
    def said(*, over: bool, **counts: int) -> bool:
        return "name='scan'" in text_map(MapSnapshot(name="scan", program="p", counts=counts, over=over))

    assert (said(over=True, left=1), said(over=True, failed=1)) == (True, True)
    assert (said(over=False, left=1), said(over=True, completed=3)) == (False, False)


def test_what_a_program_says_is_shown_and_never_run() -> None:
    evil = "<script>alert(1)</script>"
    page = html_map(
        MapSnapshot(name="scan", program=evil, counts={"failed": 1}, failures=((0, {evil: evil}, evil),), problem=evil)
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4


def test_what_ended_a_map_stands_in_it() -> None:
    shown = MapSnapshot(name="scan", program="p", counts={"left": 3}, over=True, problem="the disk is full")
    assert "the disk is full" in text_map(shown)
    assert "the disk is full" in html_map(shown)
