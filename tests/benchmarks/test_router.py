"""Regret: what counts as one, and that it is measured on circuits that every engine samples alike."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import figures_router, mqt
from benchmarks.figures_router import Regret, Way, counted, judged, listed, opened, regret_of, same_samples, usual, worst
from benchmarks.harness import Bench, Effort
from benchmarks.mqt import Case, cases
from qloom.circuits import Circuit

GHZ = Case("ghz-3", 3, 3, Circuit(3).h(0).cx(0, 1).cx(1, 2))
TILTED = Case("tilted-2", 2, 2, Circuit(2).ry(0.3, 0).cx(0, 1))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("QLOOM_HOME", "")  # a Bench sets it; put back afterwards
    monkeypatch.setattr(mqt, "FAMILIES", {"ghz": (2, 3), "half_adder": (3,), "grover": (12,), "bv": (24,)})
    monkeypatch.setattr(mqt, "MOST_GATES", 1000)
    monkeypatch.setattr(mqt, "MOST_WORK", 1e7)
    with Bench(Effort(), tmp_path) as made:
        yield made
    figures_router.regrets.cache_clear()


@pytest.mark.parametrize(
    ("chosen", "best", "ratio"),
    [(1.2, 1.0, 1.2), (1.09, 1.0, 1.0), (90e-6, 50e-6, 1.0), (150e-6, 50e-6, 3.0), (1.0, 1.0, 1.0), (0.9, 1.0, 1.0)],
)
def test_differences_under_a_tenth_or_fifty_microseconds_are_no_regret(chosen: float, best: float, ratio: float) -> None:
    assert counted(chosen, best) == pytest.approx(ratio)


def test_every_engine_that_can_is_measured() -> None:
    assert set(opened(GHZ)) == {"picked", "lightning", "qulacs", "aer", "stim"}
    assert set(opened(TILTED)) == {"picked", "lightning", "qulacs", "aer"}


def test_engines_that_sample_otherwise_are_refused() -> None:
    ways = opened(TILTED)
    same_samples(ways)
    ways["qulacs"].prepared = ways["qulacs"].device.prepare(Circuit(2).ry(2.0, 0).cx(0, 1))
    with pytest.raises(AssertionError, match="do not do the same"):
        same_samples(ways)


def test_a_circuit_is_measured_on_all_of_them() -> None:
    found = regret_of(GHZ)
    assert found.best == min(found.times, key=lambda name: found.times[name])
    assert found.picked in found.times
    assert found.rounds == 15


def timed(ways: dict[str, Way], seconds: dict[str, float]) -> dict[str, Way]:
    for name, way in ways.items():
        way.prepares, way.runs = [0.1], [seconds[name]] * 3
    return ways


def test_the_pick_is_held_against_the_fastest_with_its_share_of_the_prepare() -> None:
    ways = timed(opened(TILTED), {"picked": 0.004, "lightning": 0.004, "qulacs": 0.001, "aer": 0.009})
    found = judged(TILTED, ways, 3)
    assert (found.picked, found.best) == ("lightning", "qulacs")
    assert found.best_s == pytest.approx(0.1 / 100 + 0.001)
    assert found.ratio == pytest.approx(0.005 / 0.002)


def test_two_timings_of_one_engine_are_no_regret() -> None:
    ways = timed(opened(TILTED), {"picked": 0.009, "lightning": 0.002, "qulacs": 0.01, "aer": 0.09})
    assert judged(TILTED, ways, 3).ratio == 1.0


def test_circuits_are_made_once_and_large_ones_left_out(tmp_path: Path, bench: Bench) -> None:
    names = [case.name for case in cases(bench.build)]
    assert names == ["ghz-2", "half_adder-3", "ghz-3"]
    (folder,) = tmp_path.glob("mqt-bench-*")
    (folder / "ghz-3.qasm").write_text((folder / "ghz-2.qasm").read_text())
    assert [case.num_qubits for case in cases(bench.build) if case.name == "ghz-3"] == [2]


def test_both_rows_come_from_one_measurement_and_each_circuit_stands_in_a_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def regret(case: Case) -> Regret:
        made.append(case.name)
        ratio = 1.5 if case.name == "ghz-3" else 1.0
        return Regret(case.name, case.num_qubits, case.gates, "aer", "stim", ratio, 1.0, ratio, 15, {})

    monkeypatch.setattr(figures_router, "regret_of", regret)
    assert (usual(bench).ratio, worst(bench).ratio) == (1.0, 1.5)
    assert "ghz-3: aer was picked, stim is the fastest" in worst(bench).note
    assert len(made) == 3
    assert [row["circuit"] for row in json.loads((bench.build / "router.json").read_text())] == made


def test_the_circuits_with_regret_are_listed_the_largest_first() -> None:
    found = [Regret(name, 2, 2, "aer", "stim", ratio, 1.0, ratio, 15, {}) for name, ratio in (("a", 1.2), ("b", 1.0), ("c", 2.0))]
    assert listed(found) == "c 2.00, a 1.20"
    assert listed(found[1:2]) == "no circuit has regret"
