"""Growth: exponents of known curves, and both sides of a point in processes of their own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import figures_growth, growing
from benchmarks.figures_growth import Axis, grown, run_point, slope
from benchmarks.harness import Bench, Effort
from benchmarks.peers import NotRunError
from benchmarks.workload import count_parameters


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("QLOOM_HOME", "")  # a Bench sets it; put back afterwards
    with Bench(Effort(), tmp_path) as made:
        yield made


def test_an_exponent_is_that_of_the_upper_half() -> None:
    sizes = [1, 10, 100, 1000, 10_000]
    assert slope(sizes, [7, 7, 2e-3, 2e-1, 2e1]) == pytest.approx(2)
    assert slope([2, 8, 16, 20, 24], [1, 1, 2.0**16, 2.0**20, 2.0**24], qubits=True) == pytest.approx(1)


@pytest.mark.parametrize(
    ("axis", "size", "shape"), [("qubits", 6, (6, 17, 1, 1000)), ("gates", 25, (4, 25, 1, 1000)), ("sets", 3, (4, 44, 3, 1000))]
)
def test_one_thing_grows_and_the_rest_stays(axis: str, size: int, shape: tuple[int, ...]) -> None:
    work = growing.point(axis, size)
    assert (work.num_qubits, len(work.gates), work.sets, work.shots) == shape


def test_each_rotation_of_a_long_circuit_has_a_parameter_of_its_own() -> None:
    gates = growing.long_circuit(100)
    turning = [gate.parameter for gate in gates if gate.parameter >= 0]
    assert turning == list(range(count_parameters(gates)))
    assert len(turning) == 73


def test_an_unknown_axis_is_a_fault() -> None:
    with pytest.raises(ValueError, match="no axis 'time'"):
        growing.point("time", 1)


def test_what_a_process_keeps_is_seen() -> None:
    before = growing.memory("VmRSS")
    kept = np.ones(4 * 2**20)
    assert growing.memory("VmRSS") - before > 0.9 * kept.nbytes
    assert growing.memory("VmHWM") >= growing.memory("VmRSS")


def test_both_sides_of_a_point_are_measured_and_sample_the_same(bench: Bench) -> None:
    found = grown(bench, Axis("sets", (1, 10), 1))
    (points,) = json.loads((bench.build / "growth.json").read_text()).values()
    assert [point["size"] for point in points] == [1, 10]
    assert found.ratio == max(point["ours_s"] / point["theirs_s"] for point in points)
    assert "time grows as sets^" in found.note


def test_sides_that_sample_otherwise_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    answer: dict[str, Any] = {"seconds": 1.0, "prepare_s": 1.0, "extra_bytes": 0}
    counts = {"ours": {"0": 1000}, "theirs": {"1": 1000}}
    monkeypatch.setattr(figures_growth, "run_point", lambda _b, _a, side, _s: answer | {"counts": counts[side]})
    with pytest.raises(AssertionError, match="do not do the same"):
        grown(bench, Axis("shots", (1000,), 1))


def test_a_point_that_fails_says_why(bench: Bench) -> None:
    with pytest.raises(NotRunError, match="no axis 'time'"):
        run_point(bench, "time", "ours", 3)
