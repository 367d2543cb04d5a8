"""The cost table: what it counts, what it reads, and which engine it picks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Circuit
from qloom.devices import choosing
from qloom.devices.calibrating import calibrate
from qloom.devices.choosing import choose_state_vector, library
from qloom.devices.costs import KINDS, LAYER, Costs, Work, current, keep, layer, measure, together
from qloom.devices.engines import usable_cores
from qloom.errors import InvalidSetting, QloomError

if TYPE_CHECKING:
    from pathlib import Path


def flat(seconds: dict[str, float]) -> Costs:
    """A table in which every operation takes an engine the same at all sizes."""
    rows = {key: (value, value) for key, value in seconds.items()}
    return Costs((2, 30), {key: dict.fromkeys(KINDS, row) for key, row in rows.items()}, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_holds_operations_of_its_kind_only_and_none_is_fused_away(kind: str) -> None:
    work = Work.of(layer(kind, 30))
    assert work.plain == {kind: LAYER}
    assert work.fused == {kind: LAYER}


def test_runs_on_one_qubit_count_once_for_lightning_and_each_for_qulacs() -> None:
    work = Work.of(Circuit(2).h(0).t(0).h(0).cz(0, 1).measure_all())
    assert work.counts("lightning") == {"turn": 1, "phase": 1}
    assert work.counts("qulacs") == {"turn": 2, "diagonal": 1, "phase": 1}


def test_what_came_with_qloom_knows_both_engines_with_one_and_two_threads(tmp_path: Path) -> None:
    costs = current(tmp_path / "none.json")
    assert all(costs.knows(name, threads) for name in ("lightning", "qulacs") for threads in (1, 2))
    work = Work.of(layer("turn", 20))
    assert costs.of(work, "lightning", 1) < costs.of(work, "qulacs", 1)


@given(st.integers(2, 30), st.floats(1e-9, 1.0))
def test_between_and_beyond_the_measured_sizes_a_straight_line_is_taken(qubits: int, seconds: float) -> None:
    work = Work.of(Circuit(qubits).h(0).h(1))
    assert flat({"lightning/1": seconds}).of(work, "lightning", 1) == pytest.approx(3 * seconds)
    doubling = Costs((2, 4), {"x/1": dict.fromkeys(KINDS, (1.0, 4.0))}, {"x/1": (1e-12, 1e-12)})
    assert doubling.of(work, "x", 1) == pytest.approx(2 * 2.0 ** (qubits - 2))


def test_it_is_kept_as_a_file_and_read_again(tmp_path: Path) -> None:
    costs = flat({"lightning/1": 1.0, "qulacs/1": 2.0})
    path = keep(costs, tmp_path / "home" / "sim.json")
    assert current(path) == costs
    keep(flat({"lightning/1": 3.0}), path)
    assert current(path) == flat({"lightning/1": 3.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "has format 9, this qloom reads 1; calibrate anew"),
        ({"sizes": [4, 2]}, r"its sizes are \[4, 2\]"),
        ({"sizes": [2]}, "2 sizes|1 sizes"),
        ({"seconds": {"lightning/1": {}}}, "run `qloom device calibrate sim`"),
        ({"overheads": {"lightning/1": [1.0, -1.0]}}, "numbers above 0"),
        ({"overheads": {"lightning/1": [1.0, float("nan")]}}, "numbers above 0"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_next_step(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "sim.json"
    path.write_text(json.dumps(flat({"lightning/1": 1.0}).to_json() | change))
    with pytest.raises(InvalidSetting, match=message):
        current(path)


def test_an_engine_is_measured_in_this_process() -> None:
    found = measure(library("lightning"), 1, sizes=(2, 4))
    assert found.knows("lightning", 1)
    assert found.of(Work.of(layer("turn", 4)), "lightning", 1) > 0
    assert together([found, measure(library("qulacs"), 1, sizes=(2, 4))]).knows("qulacs", 1)


def test_the_cheaper_engine_runs_large_circuits_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = [layer("flip", 18)]
    dear = flat({"lightning/1": 2e-3, "qulacs/1": 1e-3})
    found = choose_state_vector(circuit, 1, lambda: dear)
    assert (found.library.name, found.reason) == (
        "qulacs",
        "by what operations cost here a run takes 0.013 s, with lightning 0.026 s",
    )
    alike = choose_state_vector(circuit, 1, lambda: flat({"lightning/1": 1e-3, "qulacs/1": 0.95e-3}))
    assert (alike.library.name, alike.reason[-34:]) == ("lightning", "takes 0.013 s, with qulacs 0.012 s")
    unknown = choose_state_vector(circuit, 1, lambda: flat({"lightning/1": 1.0}))  # qulacs was not measured
    assert (unknown.library.name, "was not measured" in unknown.reason) == ("lightning", True)


def test_small_circuits_go_to_lightning_without_a_look_at_the_table() -> None:
    def never() -> Costs:
        raise AssertionError("not asked")

    assert choose_state_vector([layer("flip", 16)], 1, never).library.name == "lightning"
    assert choosing.library("qulacs").name == "qulacs"


def test_calibrating_measures_each_number_of_threads_in_a_process_of_its_own_and_keeps_the_table(own_home: Path) -> None:
    *_, last = calibrate(sizes=(2, 4))
    assert last["file"] == str(own_home / "calibration" / "sim.json")
    measured = current(own_home / "calibration" / "sim.json")
    assert measured.to_json() == last["calibration"]
    assert all(measured.knows(engine, threads) for engine in ("lightning", "qulacs") for threads in {1, usable_cores()})
    assert len(last["examples"]) == len(measured.seconds)


def test_a_measurement_that_fails_leaves_the_table_as_it_was(own_home: Path) -> None:
    before = keep(flat({"lightning/1": 1.0}))
    with pytest.raises(QloomError, match="measuring with 1 threads failed"):
        list(calibrate(sizes=(0, 2)))
    assert before.parent.parent == own_home
    assert current() == flat({"lightning/1": 1.0})
