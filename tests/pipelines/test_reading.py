"""Pipelines as people write them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.errors import InvalidSetting, QloomError, UnknownName
from qloom.pipelines import StageCall, calls_of, chain_to_json, read_pipeline, with_options

NAMES = st.sampled_from(["ddd", "zne", "readout"])
OPTIONS = st.dictionaries(
    st.sampled_from(["scales", "fit", "shots"]), st.integers() | st.text() | st.lists(st.floats(0, 9)), max_size=2
)
POLICIES = st.sampled_from(["fail", "skip", "retry"])
CALLS = NAMES | st.builds(lambda name, policy, options: {"stage": name, "on_error": policy, **options}, NAMES, POLICIES, OPTIONS)
PIPELINES = st.recursive(
    st.lists(CALLS, max_size=3),
    lambda inner: st.builds(
        lambda branches: [{"parallel": branches, "combine": "average"}], st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=4,
)


@given(PIPELINES)
def test_a_pipeline_reads_back_from_its_json_and_from_its_text(given_pipeline: list[Any]) -> None:
    chain = read_pipeline(given_pipeline)
    assert read_pipeline(chain_to_json(chain)) == chain
    assert read_pipeline(json.dumps(chain_to_json(chain))) == chain


@pytest.mark.parametrize("written", ["ddd,zne", " ddd , zne,", '["ddd", "zne"]', ("ddd", "zne"), [{"stage": "ddd"}, "zne"]])
def test_every_way_of_writing_two_stages_is_the_same_pipeline(written: object) -> None:
    assert chain_to_json(read_pipeline(written)) == ["ddd", "zne"]


def test_a_technique_behind_a_colon_is_an_option() -> None:
    assert read_pipeline("mitiq:pec") == (StageCall("mitiq", {"technique": "pec"}),)


def test_options_of_a_call_are_merged_into_every_stage_of_that_name() -> None:
    chain = read_pipeline([{"stage": "zne", "fit": "linear", "scales": [1, 3]}, {"parallel": [["zne"], ["ddd"]]}])
    changed = with_options(chain, {"zne": {"fit": "richardson"}})
    assert [call.options.get("fit") for call in calls_of(changed)] == ["richardson", "richardson", None, None]
    assert changed[0].options["scales"] == [1, 3]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("written", "kind", "said"),
    [
        (3, InvalidSetting, "must be a list of stages"),
        ('["ddd"', InvalidSetting, "no JSON"),
        ([""], InvalidSetting, r"pipeline\[0\] must be a stage's name"),
        ([["ddd"]], InvalidSetting, r"pipeline\[0\] must be a stage's name"),
        ([{"scales": [1]}], InvalidSetting, r"pipeline\[0\] must be a stage's name"),
        ([{"stage": "zne", "on_error": "skipp"}], UnknownName, "did you mean 'skip'"),
        ([{"stage": "zne", "scales": {1, 3}}], InvalidSetting, "JSON values"),
        ([{"stage": "zne", "scales": [float("nan")]}], InvalidSetting, "JSON values"),
        ([{"parallel": []}], InvalidSetting, "must be a list of pipelines"),
        ([{"parallel": "ddd"}], InvalidSetting, "must be a list of pipelines"),
        ([{"parallel": [["ddd"]], "combin": "average"}], UnknownName, "did you mean 'combine'"),
        (["zne"] * 33, InvalidSetting, "33 stages, the limit is 32"),
    ],
)
def test_what_is_no_pipeline_is_refused_with_its_place(written: object, kind: type[QloomError], said: str) -> None:
    with pytest.raises(kind, match=said):
        read_pipeline(written)


def test_branches_inside_branches_end_somewhere() -> None:
    deep: list[Any] = ["zne"]
    for _ in range(10):
        deep = [{"parallel": [deep]}]
    with pytest.raises(InvalidSetting, match="the limit is 8"):
        read_pipeline(deep)


def test_options_for_a_stage_that_is_not_there_are_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'zne'"):
        with_options(read_pipeline("zne"), {"zn": {}})
