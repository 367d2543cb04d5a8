"""JSON documents: exact both ways, and nothing else is taken for one."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.errors import CorruptRecord
from qloom.results import Result
from tests.results.helpers import ENGINE, json_values, random_bits, results, rows, texts, wide, words

BELL = Result(engine=ENGINE, shots=10, key_lengths=(2,), samples=words([{0: 4, 3: 6}]), metadata={"host": "a"})
EXACT = Result(engine=ENGINE, shots=None, values=np.array([[0.5, np.nan, -np.inf]]), gradients=np.zeros((1, 3, 2)))


@given(results())
def test_a_document_is_read_as_it_was_written(result: Result) -> None:
    text = json.dumps(result.to_json())
    assert Result.from_json(json.loads(text)) == result


def test_a_document_says_in_people_s_words_what_was_measured() -> None:
    document = BELL.to_json()
    assert document["counts"] == {"00": 4, "11": 6}
    assert (document["shots"], document["items"], document["engine"]["name"]) == (10, 1, "stim")
    assert document["metadata"] == {"host": "a"}
    several = Result(engine=ENGINE, shots=1, sets=2, key_lengths=(1,), samples=words([{0: 1}, {1: 1}])).to_json()
    assert several["counts"] == [{"0": 1}, {"1": 1}]


def test_a_wide_result_lists_its_shots_in_their_order() -> None:
    bits = random_bits(4, 80)
    assert wide(bits).to_json()["measurements"] == texts(bits)
    several = Result(engine=ENGINE, shots=4, key_lengths=(80, 2), samples=rows([bits, bits[:, :2]])).to_json()
    assert several["measurements"] == [texts(bits), texts(bits[:, :2])]


def test_exact_values_have_no_standard_errors_and_what_is_no_number_is_text() -> None:
    document = EXACT.to_json()
    assert document["standard_errors"] is None
    assert document["values"] == [[0.5, "nan", "-inf"]]
    json.dumps(document, allow_nan=False)
    assert np.array_equal(Result.from_json(document).values, EXACT.values, equal_nan=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "qloom-result-99"}, "this qloom reads 'qloom-result-1'"),
        ({"colour": 1}, "'colour' is no field"),
        ({"measurements": ["00"]}, "counts and measurements"),
        ({"counts": {"0": 4, "11": 6}}, "not 2 characters"),
        ({"counts": {"0x": 4}}, "other characters"),
        ({"counts": {"11": 4, "00": 6}}, "not ascending"),
        ({"counts": {"00": 4.0, "11": 6}}, "a count is no number"),
        ({"counts": {"00": -4}}, "counts below 0"),
        ({"counts": [{"00": 4}, {"00": 4}]}, "no result"),
        ({"order_seed": -1}, "order seed -1"),
        ({"key_lengths": [70]}, "not 70 characters"),
        ({"key_lengths": []}, "key_lengths"),
        ({"sets": 0}, "sets 0"),
        ({"shots": "10"}, "shots '10'"),
        ({"engine": {"name": "stim"}}, "the field 'version' is missing"),
        ({"engine": {"name": "stim", "version": "1", "threads": 1, "reason": 1}}, "engine .* is none"),
        ({"values": [[1.0, 2.0], [1.0]]}, r"\[1.0, 2.0\] stands where a number should"),
        ({"values": [[1.0], [2.0]]}, r"not \(1, observables\)"),
        ({"values": [[None]]}, "None stands where a number should"),
        ({"values": [[1.0]], "standard_errors": [[1.0, 2.0]]}, "do not fit the values"),
        ({"gradients": [[1.0]]}, "not .1, observables, parameters"),
        ({"stages": 3}, "no result"),
    ],
)
def test_what_is_no_result_is_refused_with_the_reason(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CorruptRecord, match=said):
        Result.from_json(BELL.to_json() | changes)


@given(st.dictionaries(st.sampled_from([*BELL.to_json(), *EXACT.to_json(), "rows", "measurements"]), json_values))
def test_anything_else_is_refused_and_breaks_nothing(changes: dict[str, Any]) -> None:
    document = BELL.to_json() | changes
    for broken in (document, changes):
        try:
            Result.from_json(broken)
        except CorruptRecord as error:
            assert "no result" in str(error) or "format" in str(error)  # noqa: PT017  it may also be right
