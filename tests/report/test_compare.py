import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from qloom.report import MetricSeries, job_comparison
from qloom.report.compare import both, differences
from tests.report.test_html import HOSTILE, KNOWN, Page, full_report

JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


def compared(first: dict[str, Any], second: dict[str, Any]) -> Page:
    return Page(job_comparison(full_report(job_id="01aaa", **first), full_report(job_id="01bbb", **second)))


def series(name: str, *values: float) -> MetricSeries:
    return MetricSeries(name, tuple(map(float, range(len(values)))), values)


def test_a_comparison_shows_both_jobs_with_their_states() -> None:
    words = compared({}, {"state": "INTERRUPTED", "reason": "suspended", "error": "stopped by you", "result": None}).text
    for part in ("01aaa", "01bbb", "COMPLETED", "INTERRUPTED (suspended)", "stopped by you", "2025-06-15 15:06:40 UTC"):
        assert part in words


def test_parameters_that_differ_come_first_and_are_marked() -> None:
    page = compared({"parameters": {"seed": 3, "shots": 10}}, {"parameters": {"seed": 3, "shots": 20, "depth": 2}})
    assert "Parameters A B shots 10 20 depth – 2 seed 3 3 2 of 3 differ." in page.text
    assert page.tags.count("mark") == 4


def test_only_settings_that_differ_are_listed_and_the_rest_is_counted() -> None:
    words = compared({"settings": {"seed": "1", "device": "sim"}}, {"settings": {"seed": "2", "device": "sim"}}).text
    assert "Run with A B seed 1 2 2 more are the same." in words


def test_the_value_to_reach_is_in_the_drawing_of_both() -> None:
    page = compared({}, {})
    assert page.text.count("exact −1.137306") == 2  # for wide and for narrow screens
    other = {"result": {"energy_hartree": -0.9, "exact_hartree": -0.95}}
    assert "exact −" not in compared({}, other).text  # of two different problems, neither line belongs to both curves


def test_histograms_stand_side_by_side_and_one_without_counts_says_so() -> None:
    page = compared({"result": {"bell": {"00": 6, "11": 4}}}, {"result": {"bell": {"00": 5, "11": 5}, "other": {"0": 1}}})
    assert "A, bell: 10 shots, 2 different keys." in page.text
    assert "B, bell: 10 shots, 2 different keys." in page.text
    assert "A has none called other." in page.text
    assert [value for name, value in page.attributes if name == "class"].count("bar") == 5


def test_equal_parameters_are_said_to_be_equal() -> None:
    words = compared({}, {}).text
    assert "The parameters are the same." in words
    assert "They ran with the same settings." in words
    assert "The environments are the same." in words


def test_both_curves_of_a_metric_are_in_one_drawing_with_a_legend() -> None:
    page = compared({"metrics": (series("loss", 3.0, 2.0),)}, {"metrics": (series("loss", 3.0, 1.0),)})
    assert page.tags.count("svg") == 2  # for wide and for narrow screens
    assert page.tags.count("path") == 4
    assert ("class", "line second") in page.attributes
    assert "── A last 2 ╌╌ B last 1" in page.text


def test_a_metric_that_one_job_did_not_log_comes_last_and_says_so() -> None:
    here, there = (series("only", 1.0), series("loss", 2.0)), (series("loss", 3.0),)
    assert [first.name for first, _ in both(here, there)] == ["loss", "only"]
    assert "A last 1 ╌╌ B logged none" in compared({"metrics": here}, {"metrics": there}).text


def test_metrics_without_finite_values_leave_an_empty_drawing() -> None:
    empty = {"metrics": (series("loss", float("nan")),)}
    assert "no finite values" in compared(empty, empty).text


def test_what_a_drawing_of_two_leaves_out_is_said() -> None:
    long = MetricSeries("loss", tuple(map(float, range(9000))), (float("inf"), *(float(step % 7) for step in range(8999))))
    words = compared({"metrics": (long,)}, {"metrics": (series("loss", 1.0),)}).text
    assert re.search(r"Drawn are [\d,]+ of 8,999 values of A: the first, lowest, highest and last of each pixel column\.", words)
    assert "Values that are not finite are left out: 1 of A." in words


def test_results_stand_side_by_side_with_the_change_of_numbers() -> None:
    words = compared({"result": {"energy_hartree": -1.0, "note": "a"}}, {"result": {"energy_hartree": -1.5, "note": "b"}}).text
    assert "energy (hartree) -1.0 -1.5 −0.5" in words
    assert "note a b –" in words


def test_results_of_other_shapes_are_compared_as_well() -> None:
    assert "result 3 4 1" in compared({"result": 3}, {"result": 4}).text
    assert "Neither has one." in compared({"result": None}, {"result": None}).text
    assert "result [ 1 ] –" in compared({"result": [1]}, {"result": None}).text


def test_a_comparison_loads_nothing_runs_nothing_and_escapes_everything() -> None:
    bad = {"program": HOSTILE, "state": HOSTILE, "error": HOSTILE, "parameters": {HOSTILE: HOSTILE}, "result": {HOSTILE: HOSTILE}}
    page = job_comparison(full_report(**bad, metrics=(series(HOSTILE, 1.0),)), full_report(settings={HOSTILE: HOSTILE}))
    read = Page(page)
    assert set(read.tags) <= KNOWN
    assert not {name for name, _ in read.attributes} & {"src", "href", "style", "onerror", "onload"}
    assert not re.search(r"url\(|@import", page)
    page.encode()


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.dictionaries(st.sampled_from("abc"), JSON))
def test_exactly_what_is_not_equal_differs(first: dict[str, Any], second: dict[str, Any]) -> None:
    expected = {name for name in {*first, *second} if name not in first or name not in second or first[name] != second[name]}
    assert {name for name, _, _ in differences(first, second)} == expected
    assert differences(first, first) == []
