import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qloom
from qloom.circuits import Parameter
from qloom.results.telling import WIDTH, changes, failures, told
from tests.report.test_stages import JSON, answered, every_stage

SKIPPED = [{"stage": "symmetry", "symmetries": ["-Z"], "on_error": "skip"}]


def turned() -> Any:
    return qloom.device("sim", pipeline=SKIPPED).prepare(qloom.Circuit(1).rx(Parameter("a"), 0), {"Z": 1.0})


def test_every_built_in_stage_is_told_in_lines_that_fit_a_terminal() -> None:
    lines = told(every_stage())
    assert {line.partition(":")[0].partition(" (")[0] for line in lines if not line.startswith(" ")} == {
        notes["name"] for notes in every_stage()
    }
    assert max(map(len, lines)) <= WIDTH + 6


def test_values_before_and_after_are_those_of_the_result() -> None:
    result = answered("zne")
    found = changes(answered("zne").to_json()["stages"][0])
    assert [one.after for one in found] == pytest.approx(result.values[0].tolist())
    assert [one.after_error for one in found] == pytest.approx(result.standard_errors[0].tolist())
    assert [one.before for one in found] == pytest.approx(result.stages["zne"]["values"][0][0].tolist())


def test_many_observables_are_counted_and_not_all_told() -> None:
    row = [[0.1] * 40]
    lines = told([{"name": "readout", "model": "full", "method": "inverse", "before": row, "after": row,
                   "confusion": [{"bits": [0], "matrix": [[1, 0], [0, 1]]}]}])  # fmt: skip
    assert lines[-1] == "  ... and 37 more observables"
    assert len(lines) == 5


def test_notes_of_a_stage_that_nobody_knows_are_told_shortly() -> None:
    lines = told([{"name": "mine", "text": "two\nlines " * 100, "depth": 3, **{f"n{number}": number for number in range(20)}}])
    assert lines[0] == "mine"
    assert "  depth: 3" in lines
    assert lines[-1] == "  ... and 14 more notes"
    assert max(map(len, lines)) <= WIDTH


def test_a_failure_that_a_policy_let_pass_comes_first_with_the_plain_value() -> None:
    result = turned().estimate([0.0], shots=100)
    assert result.value == 1.0
    (first, *_) = told(result.stages)
    assert first.startswith("failed: stage symmetry in pipeline symmetry, circuit 0:")


def test_a_failure_of_an_earlier_evaluation_is_forgotten() -> None:
    task = turned()
    assert failures(task.estimate([0.0], shots=100).stages)
    later = task.estimate([3.14159265358979], shots=100)
    assert not failures(later.stages)
    assert later.stages["symmetry"].kept.tolist() == [[1.0]]
    (notes,) = task.estimate([0.0], shots=100).stages
    assert "kept" not in notes


def test_a_failure_in_a_later_circuit_is_told_with_how_many_failed() -> None:
    device = qloom.device("sim", pipeline=SKIPPED)
    result = device.estimate([qloom.Circuit(1).x(0), qloom.Circuit(1).id(0)], {"Z": 1.0}, shots=100)
    assert result.values[:, 0].tolist() == [-1.0, 1.0]
    (line,) = failures(result.stages)
    assert line.endswith("(in 1 of its 2 places)")
    assert result.stages["symmetry"].kept.tolist() == [[1.0]]


def test_a_notebook_shows_what_the_stages_did() -> None:
    page = answered("readout")._repr_html_()
    assert "<pre>readout: correlated, inverse; bits: 3" in page
    assert "observable 0: " in page
    assert "-&gt;" in page


@pytest.mark.parametrize("name", [notes["name"] for notes in every_stage()])
@settings(max_examples=40)
@given(st.data())
def test_whatever_a_stage_noted_it_is_told(name: str, data: st.DataObject) -> None:
    notes = dict(next(notes for notes in every_stage() if notes["name"] == name))
    for note in data.draw(st.lists(st.sampled_from(sorted(set(notes) - {"name"})), min_size=1, max_size=3, unique=True)):
        notes[note] = data.draw(JSON | st.dictionaries(st.text(max_size=3), JSON, max_size=2))
    assert any(name in line for line in told([notes]))
    json.dumps(told([notes]))
