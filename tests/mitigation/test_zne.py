"""The stage `zne`: what it asks for, what it makes of the answers, and that it brings values nearer to the truth."""

import json
from collections.abc import Callable
from math import exp, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from qloom.circuits import Circuit, Observable, Parameter
from qloom.contracts import Answer, Expansion, More, StageContext
from qloom.convert.intake import from_openqasm
from qloom.devices.sim import create
from qloom.errors import Unsupported
from qloom.mitigation.zne import Zne, ZneOptions
from qloom.noise import NoiseModel
from qloom.pipelines.curves import fit_curve
from qloom.specs import DeviceSpec

FloatArray = npt.NDArray[np.float64]
SPEC = DeviceSpec(name="lab", num_qubits=4, gates=frozenset({"x", "rx", "cx"}))
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "circuits" / "x10_1q.qasm"
Z = Observable({"Z": 1.0})
SIGMAS = 5.0


def context(wanted: str = "values", seed: int = 0) -> StageContext:
    return StageContext(spec=SPEC, observables=(Z,), measured=(0,), wanted=wanted, seed=seed)


def flips(count: int) -> Circuit:
    circuit = Circuit(1)
    for _ in range(count):
        circuit = circuit.x(0)
    return circuit


def answered(scales: list[float], value: Callable[[float], Any], error: float = 0.01) -> list[Answer]:
    found = [np.atleast_2d(np.asarray(value(scale), dtype=float)) for scale in scales]
    return [Answer(each, np.full_like(each, error)) for each in found]


def run(options: ZneOptions, circuit: Circuit, value: Callable[[float], Any]) -> tuple[Answer, StageContext, int]:
    """Play the rounds against a function of the scale; the answer, the context and how many rounds it took."""
    stage, around = Zne(), context()
    step: Expansion | More = stage.expand(circuit, options, around)
    answers: list[Answer] = []
    for rounds in range(1, Zne.max_rounds + 1):
        recipe = json.loads(json.dumps(step.recipe))
        answers += answered(recipe["scales"][len(answers) :], value)
        made = stage.combine(recipe, answers, options, around)
        if isinstance(made, Answer):
            return made, around, rounds
        assert len(made.circuits) == 1
        step = made
    pytest.fail("too many rounds")


# ---- options -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scales": [0.5, 3, 5]}, "scales: 0.5 is below 1"),
        ({"scales": [1, 3, 3]}, "scales ascend and are distinct"),
        ({"scales": [3, 1, 5]}, "scales ascend and are distinct"),
        ({"scales": [1]}, "scales: fit=richardson has 2 parameters and needs as many scales, got 1"),
        ({"scales": []}, "needs as many scales, got 0"),
        ({"scales": [1, 3], "fit": "polynomial"}, "fit=polynomial has 3 parameters"),
        ({"fit": "polynomial", "order": 3}, "has 4 parameters and needs as many scales, got 3"),
        ({"scales": [1, 3], "fit": "exponential"}, "fit=exponential has 3 parameters"),
        ({"scales": [1, 3], "fit": "exponential", "order": 2, "asymptote": 0}, "has 3 parameters"),
        ({"scales": [1, 3], "fit": "adaptive"}, "fit=adaptive has 3 parameters"),
        ({"order": 2}, "order belongs to fit=polynomial and fit=exponential, and the fit is richardson"),
        ({"asymptote": 0.0, "fit": "linear"}, "asymptote belongs to"),
        ({"steps": 5}, "steps belongs to fit=adaptive"),
        ({"max_scale": 5}, "max_scale belongs to fit=adaptive"),
        ({"fit": "adaptive", "steps": 3}, "so with these it is 4 to 18, got 3"),
        ({"fit": "adaptive", "steps": 19}, "got 19"),
        ({"scales": [1, float("nan"), 3]}, "finite number"),
        ({"scales": [1, 3, float("inf")]}, "finite number"),
        ({"fold": "half"}, "'global', 'gates'"),
        ({"fit": "cubic"}, "'linear', 'polynomial'"),
        ({"scale": [1, 3]}, "scale\n  Extra inputs"),
    ],
)
def test_options_that_cannot_be_are_refused_with_stage_and_option(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ZneOptions(**options)
    assert said in str(caught.value)
    assert "for zne" in str(caught.value)


def test_counts_are_refused() -> None:
    assert not Zne.gives_counts
    with pytest.raises(Unsupported, match="stage zne extrapolates expectation values, and counts are asked for"):
        Zne().expand(flips(2), ZneOptions(), context(wanted="counts"))


def test_a_circuit_too_short_for_the_scales_is_refused_with_what_it_reaches() -> None:
    with pytest.raises(Unsupported, match=r"stage zne, option scales: with fold=gates .* only 1, 3, and fit=richardson needs 3"):
        Zne().expand(flips(10), ZneOptions(scales=(1, 2, 3), fold="gates"), context())
    with pytest.raises(Unsupported, match="stage zne, option scales"):
        Zne().expand(flips(1), ZneOptions(scales=(1, 1.5), fit="linear"), context())


# ---- expansion -------------------------------------------------------------------------------------------------------------


def test_expanding_is_pure_and_its_recipe_is_json_with_the_scales_reached() -> None:
    circuit, options = Circuit(1), ZneOptions(scales=(1, 1.7, 2.6, 4), fold="random", fit="linear")
    for number in range(7):
        circuit = circuit.rx(number, 0)
    one, two = (Zne().expand(circuit, options, context(seed=4)) for _ in range(2))
    assert one == two
    assert json.loads(json.dumps(one.recipe)) == one.recipe
    assert one.recipe["scales"] == [len(each.instructions) / 7 for each in one.circuits]
    assert Zne().expand(circuit, options, context(seed=5)).circuits != one.circuits


def test_parameters_stay_symbolic_in_their_order() -> None:
    circuit = Circuit(2, parameters=("b", "a", "unused")).rx(Parameter("a"), 0).cx(0, 1).rx(2 * Parameter("b"), 1)
    expansion = Zne().expand(circuit, ZneOptions(), context())
    assert {each.parameters for each in expansion.circuits} == {("b", "a", "unused")}
    assert [len(each.instructions) for each in expansion.circuits] == [3, 9, 15]


# ---- extrapolation ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.floats(1e-4, 0.1))
def test_richardson_of_the_default_scales_is_the_textbook_sum_with_its_error(values: list[float], error: float) -> None:
    answers = [Answer(np.array([[value]]), np.array([[error * scale]])) for scale, value in enumerate(values, 1)]
    expansion = Zne().expand(flips(2), ZneOptions(), context())
    answer = Zne().combine(expansion.recipe, answers, ZneOptions(), context())
    assert isinstance(answer, Answer)
    assert answer.values is not None
    assert answer.standard_errors is not None
    assert abs(answer.values[0, 0] - (15 * values[0] - 10 * values[1] + 3 * values[2]) / 8) < 1e-14
    assert answer.standard_errors[0, 0] == pytest.approx(error * sqrt(15**2 + 20**2 + 9**2) / 8)


FITS: list[tuple[dict[str, Any], Callable[[float], Any]]] = [
    ({"fit": "linear"}, lambda x: [[0.9 - 0.1 * x, 0.2 * x], [0.5, 0.1 + 0.02 * x]]),
    ({"fit": "polynomial", "scales": (1, 2, 3, 4)}, lambda x: [[1 - 0.1 * x + 0.02 * x * x, x * x / 20]]),
    ({"fit": "richardson", "scales": (1, 2, 3, 5)}, lambda x: [[1 - 0.1 * x + 0.02 * x**2 - 0.001 * x**3]]),
    ({"fit": "exponential"}, lambda x: [[0.1 + 0.8 * exp(-0.2 * x), 0.3 - 0.9 * exp(-0.1 * x)], [0.4, 0.9 * exp(-0.5 * x)]]),
    ({"fit": "exponential", "asymptote": 0.25}, lambda x: [[0.25 + 0.7 * exp(-0.3 * x), 0.25 - 0.4 * exp(-0.2 * x)]]),
    (
        {"fit": "exponential", "order": 2, "scales": (1, 2, 3, 4, 5), "asymptote": 0},
        lambda x: [[exp(-0.1 * x - 0.01 * x**2)]],
    ),
    ({"fit": "exponential", "order": 2, "scales": (1, 2, 3, 4, 5)}, lambda x: [[0.1 + exp(-0.1 * x - 0.03 * x**2)]]),
    ({"fit": "adaptive"}, lambda x: [[0.1 + 0.8 * exp(-0.4 * x), 0.3 - 0.9 * exp(-0.5 * x)]]),
    ({"fit": "adaptive", "scales": (1, 2), "asymptote": 0.1, "steps": 4}, lambda x: [[0.1 + 0.8 * exp(-0.4 * x)]]),
]


@pytest.mark.parametrize(("given", "value"), FITS)
def test_every_fit_is_exact_for_its_own_form_and_its_curve_goes_through_the_values(
    given: dict[str, Any], value: Callable[[float], Any]
) -> None:
    answer, around, rounds = run(options := ZneOptions(**given), flips(20), value)
    assert answer.values is not None
    assert answer.standard_errors is not None
    assert np.allclose(answer.values, value(0.0), atol=1e-7)
    assert (answer.standard_errors > 0).all()
    assert rounds == Zne().cost(options).rounds
    x, y = fit_curve(around.notes, points=7)
    assert (x[0], x[-1]) == (0, max(around.notes["scales"]))
    assert np.allclose(y, [value(float(scale)) for scale in x], atol=1e-7)


@pytest.mark.parametrize(("given", "value"), FITS)
def test_the_notes_have_the_same_keys_and_the_data_of_the_fit(given: dict[str, Any], value: Callable[[float], Any]) -> None:
    answer, around, _ = run(ZneOptions(**given), flips(20), value)
    notes = around.notes
    assert list(notes) == [
        *("asked", "scales", "values", "standard_errors", "fit", "form", "coefficients", "extrapolated", "extrapolated_errors"),
    ]
    shape = np.shape(value(1.0))
    assert notes["values"].shape == notes["standard_errors"].shape == (len(notes["scales"]), *shape)
    assert notes["coefficients"].shape[1:] == shape
    assert np.array_equal(notes["extrapolated"], answer.values)  # type: ignore[arg-type]
    assert len(notes["asked"]) == len(notes["scales"])


def test_an_adaptive_fit_asks_for_one_scale_a_round_where_the_decay_shows_most() -> None:
    _, around, rounds = run(ZneOptions(fit="adaptive", steps=6), flips(40), lambda x: [[0.1 + 0.8 * exp(-0.5 * x)]])
    assert rounds == 4
    assert np.allclose(around.notes["asked"][3:], 1 + 1.27846 / 0.5)
    assert np.allclose(around.notes["scales"], around.notes["asked"], atol=1 / 40)
    _, flat, _ = run(ZneOptions(fit="adaptive", steps=4, max_scale=7), flips(40), lambda x: [[0.3]])
    assert flat.notes["asked"] == [1, 3, 5, 7]


# ---- answers that cannot be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [ZneOptions(), ZneOptions(fit="exponential"), ZneOptions(fit="adaptive")])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_answer_that_is_no_number_is_named_with_its_scale(options: ZneOptions, bad: float) -> None:
    def value(scale: float) -> list[list[float]]:
        return [[0.5, bad if scale == 3 else 0.4]]

    with pytest.raises(Unsupported, match=r"stage zne: the answer at scale 3 is .* for parameter set 0, observable 1"):
        run(options, flips(4), value)


def test_a_fit_that_runs_away_is_an_error_and_no_value() -> None:
    wild = {1.0: 0.9, 3.0: 0.5, 5.0: 0.6}
    with pytest.raises(
        Unsupported, match=r"stage zne, option fit: .* set 1, observable 0: the values 0.9, 0.5, 0.6 at .* 1, 3, 5"
    ):
        run(ZneOptions(fit="exponential"), flips(4), lambda x: [[0.9 * exp(-x)], [wild[x]]])


# ---- cost --------------------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.integers(2, 20), min_size=1, max_size=4, unique=True), st.sampled_from(["linear", "richardson"]))
def test_the_cost_is_the_shots_that_bring_the_error_back(more: list[int], fit: str) -> None:
    options = ZneOptions.model_validate({"scales": [1, *sorted(more)], "fit": fit})
    cost = Zne().cost(options)
    expansion = Zne().expand(flips(40), options, context())
    answers = answered(expansion.recipe["scales"], lambda _: [[0.0]], error=1.0)
    answer = Zne().combine(expansion.recipe, answers, options, context())
    assert isinstance(answer, Answer)
    assert answer.standard_errors is not None
    # For the error that one circuit had each of the circuits needs so many times its shots.
    assert cost.shots == pytest.approx(answer.standard_errors[0, 0] ** 2 * len(options.scales))
    assert (cost.circuits, cost.rounds) == (len(expansion.circuits), 1)


def test_exponential_fits_cost_what_they_do_at_weak_noise() -> None:
    for asymptote in (None, 0.0):
        options = ZneOptions(fit="exponential", asymptote=asymptote)
        answer, _, _ = run(options, flips(10), lambda x: [[exp(-0.01 * x)]])
        assert answer.standard_errors is not None
        assert 3 * (answer.standard_errors[0, 0] / 0.01) ** 2 == pytest.approx(Zne().cost(options).shots, rel=0.1)


# ---- it works ----------------------------------------------------------------------------------------------------------------


def ten_flips() -> Circuit:
    """The published case: ten X gates, which leave |0>."""
    if not SHARED.exists():
        return flips(10)
    whole = from_openqasm(SHARED.read_text(encoding="utf-8"))
    return Circuit(1, [step for step in whole.instructions if step.name != "measure"])


@pytest.mark.parametrize("fold", ["global", "gates", "gates_left", "gates_right", "random"])
def test_ten_flips_with_one_percent_of_noise_come_back_to_one(fold: Any) -> None:
    """Published: the probability of 0 went from 0.955 to 1.006."""
    shots, options, around = 200_000, ZneOptions(fold=fold), context()
    zero = Observable({"I": 0.5, "Z": 0.5})
    device = create(noise=NoiseModel.depolarizing(0.01 * 3 / 4, 0.0))
    expansion = Zne().expand(ten_flips(), options, around)
    results = [device.prepare(circuit, [zero]).estimate(shots=shots, seed=7) for circuit in expansion.circuits]
    answers = [Answer(result.values, result.standard_errors) for result in results]
    answer = Zne().combine(expansion.recipe, answers, options, around)
    assert isinstance(answer, Answer)
    assert answer.values is not None
    assert answer.standard_errors is not None
    raw, mitigated, error = around.notes["values"][0, 0, 0], answer.values[0, 0], answer.standard_errors[0, 0]
    assert abs(raw - 0.5 - 0.99**10 / 2) < SIGMAS * sqrt(0.25 / shots)
    # What is left is the cubic term of the decay, which a parabola through three points does not see.
    left = sum(weight * 0.99 ** (10 * scale) for weight, scale in zip((1.875, -1.25, 0.375), (1, 3, 5), strict=True)) / 2
    assert abs(mitigated - 0.5 - left) < SIGMAS * error
    assert abs(mitigated - 1) < abs(raw - 1) * (1.006 - 1) / (1 - 0.955)


def test_an_exponential_fit_of_ten_flips_has_no_bias() -> None:
    device = create(noise=NoiseModel.depolarizing(0.01 * 3 / 4, 0.0))

    def value(scale: float) -> FloatArray:
        found = device.prepare(flips(round(10 * scale)), [Z]).estimate(shots=100_000, seed=round(scale)).values
        assert found is not None
        return np.asarray(found)

    for options in (
        ZneOptions(fit="exponential", asymptote=0.0),
        ZneOptions(fit="adaptive", asymptote=0.0, scales=(1, 3), steps=4),
    ):
        answer, _, _ = run(options, flips(10), value)
        assert answer.values is not None
        assert abs(answer.values[0, 0] - 1) < SIGMAS * 0.005


def test_a_rotation_on_two_qubits_comes_nearer_to_the_truth_for_every_angle() -> None:
    angle = Parameter("a")
    circuit = Circuit(2).rx(angle, 0).cx(0, 1).rx(0.4, 1).cx(0, 1)
    observable = Observable({"ZI": 1.0})
    device = create(noise=NoiseModel.depolarizing(0.002, 0.01))
    options = ZneOptions()
    expansion = Zne().expand(circuit, options, context())
    angles = np.array([[0.0], [0.5], [1.0], [2.5]])
    results = [device.prepare(each, [observable]).estimate(angles, shots=200_000, seed=1) for each in expansion.circuits]
    around = context()
    answer = Zne().combine(expansion.recipe, [Answer(r.values, r.standard_errors) for r in results], options, around)
    assert isinstance(answer, Answer)
    assert answer.values is not None
    truth = np.cos(angles)
    assert np.abs(answer.values - truth).max() < np.abs(around.notes["values"][0] - truth).max() / 2
