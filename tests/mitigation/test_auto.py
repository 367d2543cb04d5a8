"""`auto`: what it counts of noise, what it picks, and what it refuses."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Circuit, Observable
from qloom.contracts import Chooser, Stage, Wish
from qloom.contracts.stage import COUNTS, VALUES
from qloom.devices.sim import create
from qloom.errors import InvalidSetting
from qloom.mitigation.auto import Auto, AutoOptions
from qloom.mitigation.choosing import FITS, Candidate, Forecast, Possible, best, forecast
from qloom.mitigation.wear import Course, GateRate, Rates, Wear, rates_of
from qloom.noise import NoiseModel
from qloom.pipelines import read_pipeline
from qloom.specs import DeviceSpec
from tests.circuits.strategies import unitary_circuits
from tests.mitigation.auto_cases import ansatz, ghz

NOISY = {"depolarizing": 0.02, "readout": 0.05}
Z = Observable({"Z": 1.0})


def lab(**facts: Any) -> DeviceSpec:
    return DeviceSpec(name="lab", num_qubits=9, gates=frozenset({"h", "cx"}), **facts)


def wish(circuit: Circuit, observable: Observable, shots: int | None, spec: DeviceSpec) -> Wish:
    return Wish((circuit,), (observable,), (tuple(range(circuit.num_qubits)),), VALUES, shots, spec)


# ---- counting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("string", ["XXXX", "YYXX", "ZZII", "IZZI", "ZIIZ", "ZIII", "XXII"])
def test_what_wears_off_a_clifford_circuits_values_is_counted_exactly(string: str) -> None:
    model = NoiseModel.depolarizing(0.003, 0.01)
    circuit, observable = ghz(4).h(1).cx(1, 2).cz(0, 3).sx(2).s(1).swap(0, 1), Observable({string: 1.0})
    spec = create("", noise=model).spec()
    rates = rates_of(spec)
    assert rates is not None
    (wear,) = Course(circuit, spec, rates).wears(observable, range(4))
    ideal = create("").prepare(circuit, observable).estimate().value
    assert wear.size is not None
    assert wear.size == pytest.approx(abs(ideal), abs=1e-9)
    noisy = create("", noise=model).prepare(circuit, observable).estimate().value
    assert abs(noisy) == pytest.approx(wear.size * math.exp(-wear.decay), abs=2e-3)


@given(unitary_circuits(), st.data())
def test_a_value_that_is_known_is_the_value(circuit: Circuit, data: st.DataObject) -> None:
    string = data.draw(st.text("IXYZ", min_size=circuit.num_qubits, max_size=circuit.num_qubits))
    observable = Observable({string: 1.0})
    circuit = circuit.bind(dict.fromkeys(circuit.parameters, 0.3))
    for wear in Course(circuit, lab(), Rates()).wears(observable, ()):
        if wear.size is not None:
            value = create("").prepare(circuit, observable).estimate().value
            assert abs(value) == pytest.approx(wear.size, abs=1e-9)


def test_misread_bits_count_where_they_are_read() -> None:
    rates = Rates(readout=(0.1, 0.2))
    wears = Course(Circuit(3), lab(), rates).wears(Observable({"ZZI": 1.0, "IIZ": 0.5, "III": 3.0}), (0, 1))
    assert [wear.seen for wear in wears] == [pytest.approx(0.49), 1.0]


def test_waiting_counts_by_gate_times() -> None:
    times = {"default:1": 1e-7, "default:2": 3e-7, "default": 0.0}
    rates = Rates(t1_s=1e-4, t2_s=5e-5, slow_dephasing_rad_per_s=1e5)
    circuit = Circuit(1).h(0).delay(1e-5, 0).h(0)
    (wear,) = Course(circuit, lab(durations_s=times), rates).wears(Z, (0,))
    # Behind the first h the qubit is X, and the last h ends as Z: 10 us and 0.1 us of T2, 0.1 us of T1.
    assert wear.decay == wear.relaxed == pytest.approx(10.1e-6 / 5e-5 + 0.1e-6 / 1e-4, rel=1e-2)
    assert wear.drift == pytest.approx(1.0)
    assert Course(circuit, lab(), rates).wears(Z, (0,))[0].drift == 0


def test_coherent_errors_are_counted_apart() -> None:
    rates = Rates(gates={"cx": GateRate(coherent_rad=0.2)})
    (wear,) = Course(ghz(3), lab(), rates).wears(Observable({"XXX": 1.0}), ())
    assert (wear.decay, wear.gates) == (0, 2)
    assert wear.swing == pytest.approx(0.08)


def test_rates_come_from_the_largest_ones_where_no_others_are_stated() -> None:
    found = rates_of(lab(noise=NOISY))
    assert found is not None
    assert [found.gates[name].random for name in ("default:1", "default:2")] == pytest.approx([0.002, 0.02])
    assert found.readout == (0.05, 0.05)


@pytest.mark.parametrize("stated", [{"readout": [0.1]}, {"gates": {"cx": {"random": 2}}}, {"t1_s": -1}, 3])
def test_rates_that_cannot_be_are_refused_with_the_device(stated: object) -> None:
    with pytest.raises(InvalidSetting, match=r"device lab, notes\.error_rates"):
        rates_of(lab(notes={"error_rates": stated}))


# ---- forecasting -----------------------------------------------------------------------------------------------------


def test_the_variance_of_an_extrapolation_is_that_of_its_cost_model() -> None:
    from qloom.mitigation.zne import Zne, ZneOptions

    unknown = [[Wear(1.0, 0.0)]]
    plain = forecast(Candidate(), unknown, 1000).variance
    for fit in FITS:
        if fit.name != "exponential":
            cost = Zne().cost(ZneOptions(scales=fit.scales, fit=fit.name)).shots
            assert forecast(Candidate(fit=fit), unknown, 1000).variance == pytest.approx(cost * plain)


@given(decay=st.floats(0, 3), size=st.floats(0, 1), shots=st.none() | st.integers(1, 10**6), seen=st.floats(0.1, 1))
def test_forecasts_are_numbers_and_no_shots_no_variance(decay: float, size: float, shots: int | None, seen: float) -> None:
    wears = [[Wear(1.0, size, decay=decay, seen=seen), Wear(0.5, None, decay=decay / 2, swing=0.1, gates=3, twirled=0.02)]]
    possible = Possible(budget=60, shots=shots, readout=shots is not None, ddd=True, twirling=True, zne=True)
    for candidate in possible.candidates():
        found = forecast(candidate, wears, shots)
        assert found.bias >= 0 <= found.variance
        if shots is None and not candidate.twirls and not math.isnan(found.variance):
            assert found.variance == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=9))
def test_what_is_picked_is_about_as_good_as_the_best(figures: list[tuple[float, float]]) -> None:
    forecasts = [Forecast(Candidate(twirls=number), *each) for number, each in enumerate(figures)]
    found = best(forecasts)
    assert found.squared_error <= 1.1 * min(one.squared_error for one in forecasts) + 1e-8


@given(st.integers(1, 70), st.none() | st.integers(1, 100), st.booleans())
def test_no_candidate_is_above_the_budget_or_the_shots(budget: int, shots: int | None, zne: bool) -> None:
    possible = Possible(budget=budget, shots=shots, readout=True, ddd=False, twirling=True, zne=zne)
    found = list(possible.candidates())
    assert found[0] == Candidate()
    assert max(one.circuits for one in found) <= max(1, min(budget, shots or budget))
    for one in found:
        read_pipeline(one.pipeline())


# ---- picking ---------------------------------------------------------------------------------------------------------


def test_it_is_a_stage_that_picks_and_leaves_circuits_as_they_are() -> None:
    assert isinstance(Auto(), Stage)
    assert isinstance(Auto(), Chooser)


@pytest.mark.parametrize(
    ("facts", "said"),
    [({}, "none: lab states nothing of its errors"), ({"noise": {}}, "none: lab has no errors")],
)
def test_a_device_without_errors_or_without_word_of_them_gets_none_and_says_why(facts: dict[str, Any], said: str) -> None:
    found = Auto().choose(AutoOptions(), wish(Circuit(1).h(0), Z, 100, lab(**facts)))
    assert (found.pipeline, found.circuits, found.notes["message"]) == ([], 1, said)


def test_what_it_picks_is_within_the_budget_and_explained() -> None:
    observable = Observable({"XXXX": 1.0})
    for budget in (1, 2, 3, 60):
        found = Auto().choose(AutoOptions(circuits=budget), wish(ghz(4), observable, 20_000, lab(noise=NOISY)))
        assert found.circuits <= budget
        assert found.notes["pipeline"] == found.pipeline != []
        assert found.notes["shots_each"] * found.circuits >= 20_000
        shown = {row["pipeline"]: row for row in found.notes["candidates"]}
        assert found.notes["message"].partition(" (")[0] in shown
        for row in shown.values():
            assert row["error"] == pytest.approx(math.hypot(row["bias"], row["variance"] ** 0.5), 1e-3)


def test_exact_values_know_no_misread_bits_and_counts_no_extrapolation() -> None:
    assert Auto().choose(AutoOptions(), wish(ghz(3), Observable({"XXX": 1.0}), None, lab(noise={"readout": 0.1}))).pipeline == []
    counts = wish(ghz(3), Observable({"XXX": 1.0}), 9000, lab(noise=NOISY))._replace(observables=(), wanted=COUNTS)
    assert Auto().choose(AutoOptions(), counts).pipeline == ["readout"]


def test_an_exponential_goes_to_the_identitys_coefficient_and_is_left_out_where_there_are_several() -> None:
    spec = lab(noise={"depolarizing": 0.02})
    one, other = Observable({"XXXX": 1.0, "IIII": 0.5}), Observable({"XXXX": 1.0, "IIII": -2.0})
    alone = wish(ghz(4), one, None, spec)
    assert Auto().choose(AutoOptions(), alone).pipeline[0]["asymptote"] == 0.5
    both = Auto().choose(AutoOptions(), alone._replace(observables=(one, other)))
    assert both.pipeline[0]["fit"] == "richardson"


def test_the_same_is_picked_whatever_the_angles() -> None:
    spec, observable = lab(noise=NOISY), Observable({"ZZZZ": 1.0})
    picked = [Auto().choose(AutoOptions(), wish(ansatz(4, 2, seed), observable, 5000, spec)) for seed in (1, 2)]
    assert picked[0] == picked[1]
    assert np.isfinite([row["error"] for row in picked[0].notes["candidates"]]).all()
