"""What a notebook shows of a result."""

import numpy as np
import pytest
from hypothesis import given, settings

from qloom.results import Engine, Result, SampleTable
from tests.report.test_html import Page
from tests.results.helpers import random_bits, results, texts, wide

ENGINE = Engine("<qulacs>", "1")


def sampled(width: int, counts: list[int], items: int = 1) -> Result:
    keys = np.tile(np.arange(len(counts), dtype=np.uint64), items)
    splits = tuple(len(counts) * item for item in range(items + 1))
    table = SampleTable(keys, np.tile(np.array(counts, dtype=np.int64), items), splits)
    return Result(engine=ENGINE, shots=sum(counts), sets=items, key_lengths=(width,), samples=table)


def page(result: Result) -> Page:
    return Page(result._repr_html_())


def test_counts_are_shown_as_bars_the_longest_for_the_most_frequent() -> None:
    shown = page(sampled(2, [600, 0, 0, 300]))
    assert "00 600" in shown.text
    assert "11 300" in shown.text
    widths = [value.split("width:")[1].split("px")[0] for name, value in shown.attributes if value and "background" in value]
    assert widths == ["240", "0", "0", "120"]


def test_only_the_most_frequent_keys_are_shown_in_their_order() -> None:
    shown = page(sampled(6, list(range(1, 41))))
    assert shown.tags.count("tr") == 32
    assert "... and 8 keys that were measured less often" in shown.text
    assert shown.text.index("001000") < shown.text.index("100111")


def test_many_items_are_numbered_and_not_all_shown() -> None:
    shown = page(sampled(1, [5, 5], items=11))
    assert "item 7" in shown.text
    assert "item 8" not in shown.text
    assert "... and 3 items" in shown.text


def test_values_are_shown_with_their_standard_errors() -> None:
    values, errors = np.array([[0.5, -1.0]]), np.array([[0.01, 0.0]])
    shown = page(Result(engine=ENGINE, shots=100, values=values, standard_errors=errors))
    assert "item observable 0 observable 1 0 0.5 ± 0.01 -1" in shown.text


def test_long_values_are_cut_and_gradients_are_named() -> None:
    result = Result(engine=ENGINE, shots=None, sets=40, values=np.zeros((40, 10)), gradients=np.zeros((40, 10, 3)))
    shown = page(result).text
    for part in ("... and 8 items", "... and 2 observables", "gradients: 40 items x 10 observables x 3 parameters"):
        assert part in shown


def test_a_result_of_circuits_without_bits_or_shots_is_shown() -> None:
    assert "10" in page(sampled(0, [10])).text
    empty = SampleTable(np.array([], dtype=np.uint64), np.array([], dtype=np.int64), (0, 0))
    assert page(Result(engine=ENGINE, shots=0, key_lengths=(2,), samples=empty)).tags.count("tr") == 0


def test_names_of_engines_are_escaped() -> None:
    assert "engine=<qulacs>" in page(sampled(1, [1, 1])).text


def test_a_wide_result_is_shown_by_its_most_frequent_rows_and_long_keys_are_cut() -> None:
    bits = random_bits(1, 200)[[0] * 7]
    bits[3, 100] ^= 1
    shown = page(wide(bits)).text
    begin, end = texts(bits[:1])[0][:40], texts(bits[:1])[0][-16:]
    assert f"{begin}...{end} (200 bits) 6" in shown
    assert f"{begin}...{end} (200 bits) 1" in shown


def test_a_wide_result_of_many_shots_does_not_hold_up_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qloom.results.html.COUNTED_ROWS", 99)
    assert "100 shots of 70 bits, in the order of measurement; too many for a picture" in page(wide(random_bits(100, 70))).text


@given(results())
@settings(max_examples=30)
def test_every_result_is_shown(result: Result) -> None:
    assert "Result:" in page(result).text
