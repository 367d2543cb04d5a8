from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from qloom.report import job_report
from qloom.report.bars import BARS, bar_chart, describe_counts, histograms, is_counts, largest
from tests.report.test_html import Page, full_report

COUNTS = st.dictionaries(st.text("01", min_size=7, max_size=7), st.integers(0, 10**9), min_size=1, max_size=100)


def shown(result: Any) -> Page:
    return Page(job_report(full_report(result=result, metrics=())))


def test_a_result_that_is_counts_is_drawn_a_bar_for_each_key() -> None:
    page = shown({"00": 600, "11": 400})
    assert page.tags.count("rect") == 4  # twice: for wide and for narrow screens
    assert "1,000 shots, 2 different keys." in page.text


def test_a_result_that_holds_counts_is_drawn_with_their_places() -> None:
    assert [name for name, _ in histograms({"a": {"0": 1}, "sweep": [{"b": {"1": 2}}, 3]})] == ["a", "sweep 0 b"]
    assert "bell: 10 shots" in shown({"bell": {"00": 10}, "energy": -1.0}).text


def test_counts_are_no_key_figures() -> None:
    assert "dd" not in shown({"00": 600, "11": 400}).tags


def test_what_is_no_histogram_is_not_drawn_as_one() -> None:
    for value in ({"00": 0.5}, {"00": True}, {"0": 1, "10": 2}, {"ab": 1}, {"00": -1}, {}, [1], "01", None, {1: 2}):
        assert not is_counts(value)
        assert "rect" not in shown(value if value != {1: 2} else None).tags


def test_only_the_most_frequent_keys_are_drawn_and_the_rest_is_said() -> None:
    counts = {f"{key:06b}": key + 1 for key in range(40)}
    page = shown(counts)
    assert page.tags.count("rect") == 2 * BARS
    assert "The 32 most frequent are drawn; the other 8 hold 36 shots." in page.text


def test_many_histograms_are_not_all_drawn() -> None:
    assert "3 more are not drawn." in shown([{"0": 1}] * 11).text


def test_a_long_key_loses_its_middle_and_is_told_whole_under_the_pointer() -> None:
    key = "0" * 30 + "1" * 30
    chart = bar_chart("", {key: 5}, width=380)
    assert "0000000000…1111111111" in chart
    assert f"<title>{key}: 5</title>" in chart


@given(COUNTS)
def test_no_shot_is_lost_between_the_drawn_and_the_said(counts: dict[str, int]) -> None:
    drawn = largest(counts)
    assert len(drawn) == min(BARS, len(counts))
    assert [key for key, _ in drawn] == sorted(key for key, _ in drawn)
    left = sum(counts.values()) - sum(count for _, count in drawn)
    assert len(drawn) == len(counts) or f"hold {left:,} shots" in describe_counts(counts)


@given(COUNTS, st.sampled_from([380, 920]))
def test_every_bar_stays_inside_the_drawing(counts: dict[str, int], width: int) -> None:
    bars = _rectangles(bar_chart("x", counts, width=width))
    assert all(float(bar["width"]) > 0 and float(bar["x"]) + float(bar["width"]) < width for bar in bars)


def _rectangles(chart: str) -> list[dict[str, str]]:
    return [dict(found.attrib) for found in ET.fromstring(chart).iter("{http://www.w3.org/2000/svg}rect")]
