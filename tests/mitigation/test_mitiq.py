"""The stage `mitiq`: what Mitiq's own functions give on the same values, on circuits that Cirq wrote itself."""

import json
import math
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from qloom.circuits import Circuit, Expression, Observable, Parameter
from qloom.contracts.stage import COUNTS, Answer, Expansion, StageContext
from qloom.errors import MissingExtra, UnknownName, Unsupported
from qloom.mitigation.cirq_bridge import from_cirq, seeded, to_cirq
from qloom.mitigation.mitiq import Mitiq
from qloom.mitigation.mitiq_options import MitiqOptions
from qloom.specs import DeviceSpec
from tests.circuits.strategies import unitary_circuits
from tests.devices.dense import distribution, expectation, mixture

cirq = pytest.importorskip("cirq")
mitiq = pytest.importorskip("mitiq")

SIM = DeviceSpec(name="sim", num_qubits=20, gates=frozenset({"h", "cx", "rz"}))
Z0, ZZ = Observable({"ZI": 1.0}), Observable({"ZZ": 0.5, "XX": 0.25, "II": 0.125})
A, B = cirq.LineQubit.range(2)
PLAIN = Circuit(2).h(0).rz(0.7, 0).h(0).cx(0, 1).h(1).rz(-1.1, 1).h(1).cx(1, 0).rz(0.4, 0).h(0).rz(0.9, 0).h(0)
CIRQ = cirq.Circuit(
    [cirq.H(A), cirq.rz(0.7)(A), cirq.H(A), cirq.CNOT(A, B), cirq.H(B), cirq.rz(-1.1)(B), cirq.H(B), cirq.CNOT(B, A)],
    [cirq.rz(0.4)(A), cirq.H(A), cirq.rz(0.9)(A), cirq.H(A)],
)


def noisy(circuit: Circuit, observable: Observable = Z0) -> float:
    """The exact value with depolarizing noise of 1 % after each gate, 2 % after those on two qubits."""
    steps = []
    for step in circuit.flat():
        name = "depolarizing" if len(step.qubits) == 1 else "two_qubit_depolarizing"
        steps += [
            step,
            *Circuit(circuit.num_qubits).channel(name, *step.qubits, probabilities=[0.01 * len(step.qubits)]).instructions,
        ]
    return expectation(Circuit(circuit.num_qubits, steps), observable)


def noisy_cirq(circuit: Any) -> float:
    """The same, by Cirq."""
    loud = cirq.Circuit()
    for operation in circuit.all_operations():
        if not cirq.is_measurement(operation):
            size = len(operation.qubits)
            loud.append([operation, cirq.depolarize(0.01 * size, size)(*operation.qubits)], cirq.InsertStrategy.NEW)
    state = cirq.DensityMatrixSimulator(dtype=np.complex128).simulate(loud, qubit_order=[A, B]).final_density_matrix
    return float(np.trace(state @ Z0.matrix()).real)


def ideal_cirq(circuit: Any) -> float:
    state = cirq.Simulator(dtype=np.complex128).simulate(circuit, qubit_order=[A, B]).final_state_vector
    return float((np.abs(state) ** 2) @ [1, 1, -1, -1])


def options(technique: str, **given: Any) -> MitiqOptions:
    return MitiqOptions.model_validate({"technique": technique, "options": given})


def context(**known: Any) -> StageContext:
    return StageContext(**{"spec": SIM, "seed": 7, "observables": (Z0,), **known})


def expanded(circuit: Circuit, technique: str, **given: Any) -> Expansion:
    return Mitiq().expand(circuit, options(technique, **given), context())


def combined(found: Expansion, values: npt.ArrayLike, technique: str, errors: npt.ArrayLike = 0.0, **given: Any) -> Answer:
    table = np.asarray(values, dtype=float)
    spread = np.broadcast_to(np.asarray(errors, dtype=float), table.shape)
    answers = [Answer(value.reshape(1, -1), error.reshape(1, -1)) for value, error in zip(table, spread, strict=True)]
    recipe = json.loads(json.dumps(found.recipe))
    answer = Mitiq().combine(recipe, answers, options(technique, **given), context())
    assert isinstance(answer, Answer)
    return answer


def value(answer: Answer) -> float:
    assert answer.values is not None
    assert answer.values.shape == (1, 1)
    return float(answer.values[0, 0])


def run(technique: str, circuit: Circuit = PLAIN, **given: Any) -> float:
    found = expanded(circuit, technique, **given)
    return value(combined(found, [noisy(one) for one in found.circuits], technique, **given))


# ---- as Mitiq itself -------------------------------------------------------------------------------------------------


FOLD = partial(mitiq.zne.scaling.fold_gates_at_random, seed=7)
SCALES = [1.0, 2.0, 3.0, 4.0]
FACTORIES: list[tuple[dict[str, Any], Any]] = [
    ({"fit": "linear"}, mitiq.zne.LinearFactory(SCALES)),
    ({"fit": "richardson"}, mitiq.zne.RichardsonFactory(SCALES)),
    ({"fit": "polynomial", "order": 2}, mitiq.zne.PolyFactory(SCALES, order=2)),
    ({"fit": "fake_nodes"}, mitiq.zne.inference.FakeNodesFactory(SCALES)),
    ({"fit": "exponential", "asymptote": 0.1}, mitiq.zne.ExpFactory(SCALES, asymptote=0.1)),
    ({"fit": "poly_exponential", "order": 1, "asymptote": 0.1}, mitiq.zne.PolyExpFactory(SCALES, 1, asymptote=0.1)),
]


@pytest.mark.parametrize(("given", "factory"), FACTORIES)
def test_zne_gives_what_mitiq_gives(given: dict[str, Any], factory: Any) -> None:
    theirs = mitiq.zne.execute_with_zne(CIRQ, noisy_cirq, factory=factory, scale_noise=FOLD)
    assert run("zne", scales=SCALES, **given) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("scaling", ["global", "all", "random"])
def test_lre_gives_what_mitiq_gives(scaling: str) -> None:
    method = {"global": mitiq.zne.scaling.fold_global, "all": mitiq.zne.scaling.fold_all, "random": FOLD}[scaling]
    theirs = mitiq.lre.execute_with_lre(CIRQ, noisy_cirq, 2, 2, folding_method=method, num_chunks=2)
    assert run("lre", degree=2, chunks=2, scaling=scaling) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("noise", ["global", "local"])
@pytest.mark.parametrize("each_once", [False, True])
def test_pec_gives_what_mitiq_gives(noise: str, each_once: bool) -> None:
    represent = getattr(mitiq.pec, f"represent_operation_with_{noise}_depolarizing_noise")
    operations = dict.fromkeys(CIRQ.all_operations())
    known = [represent(cirq.Circuit(one), 0.01 * len(one.qubits)) for one in operations]
    theirs, data = mitiq.pec.execute_with_pec(
        CIRQ, noisy_cirq, representations=known, num_samples=30, random_state=7, full_output=True
    )
    given: dict[str, Any] = {"one_qubit_error": 0.01, "two_qubit_error": 0.02, "samples": 30, "noise": noise}
    given["each_once"] = each_once
    found = expanded(PLAIN, "pec", **given)
    answer = combined(found, [noisy(one) for one in found.circuits], "pec", **given)
    assert value(answer) == pytest.approx(theirs, abs=1e-9)
    assert answer.standard_errors is not None
    assert answer.standard_errors[0, 0] == pytest.approx(data["pec_error"], abs=1e-9)
    assert (len(found.circuits) < 30) == each_once


@pytest.mark.parametrize(
    "given", [{}, {"intercept": False}, {"select": "gaussian", "replace": "uniform"}, {"scales": (1, 3), "replace": "uniform"}]
)
def test_cdr_gives_what_mitiq_gives(given: dict[str, Any]) -> None:
    fit = mitiq.cdr.linear_fit_function if given.get("intercept", True) else mitiq.cdr.linear_fit_function_no_intercept
    how = {f"method_{name}": given[name] for name in ("select", "replace") if name in given}
    theirs = mitiq.cdr.execute_with_cdr(
        CIRQ,
        noisy_cirq,
        simulator=ideal_cirq,
        num_training_circuits=12,
        fraction_non_clifford=0.6,
        fit_function=fit,
        scale_factors=given.get("scales", (1,)),
        scale_noise=FOLD,
        random_state=7,
        **how,
    )
    assert run("cdr", training_circuits=12, fraction_non_clifford=0.6, **given) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("rule", ["xx", "yy", "xyxy"])
def test_ddd_puts_in_what_mitiq_puts_in(rule: str) -> None:
    idle = Circuit(2).h(0).h(1).h(0).h(0).h(0).h(0).h(0).cx(0, 1)
    theirs = mitiq.ddd.insert_ddd_sequences(
        cirq.Circuit([cirq.H(A), cirq.H(B), *[cirq.H(A)] * 5, cirq.CNOT(A, B)]), getattr(mitiq.ddd.rules, rule)
    )
    found = expanded(idle, "ddd", rule=rule)
    names = {cirq.H: "h", cirq.CNOT: "cx", cirq.X: "x", cirq.Y: "y", cirq.I: "id"}
    wanted = [(names[one.gate], tuple(qubit.x for qubit in one.qubits)) for one in theirs.all_operations()]
    assert [(step.name, step.qubits) for step in found.circuits[0].instructions] == wanted
    assert found.recipe["inserted"] == len(wanted) - 8 > 0


def vd_answer(found: Expansion, chances: dict[str, float]) -> Answer:
    """What the stage makes of the values that these chances of keys give."""
    signs = np.array([[1.0 - 2.0 * int(bit) for bit in key] for key in chances])
    weights = np.array(list(chances.values()))
    row = []
    for observable in found.observables or ():
        terms = [
            factor * signs[:, [place for place, letter in enumerate(string) if letter == "Z"]].prod(axis=1) @ weights
            for string, factor in observable.terms.items()
        ]
        row.append(sum(terms))
    answer = Mitiq().combine(found.recipe, [Answer(np.array([row]), np.full((1, len(row)), 0.01))], options("vd"), context())
    assert isinstance(answer, Answer)
    return answer


def test_vd_gives_what_mitiq_gives_from_the_same_shots() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from mitiq.experimental import vd
    circuit = Circuit(2).h(0).ry(0.4, 1).cx(0, 1).ry(0.8, 0)
    found = Mitiq().expand(circuit, options("vd"), context(observables=(Z0, Observable({"IZ": 2.0, "II": 0.5}))))
    (doubled,) = found.circuits
    chances = distribution(doubled.channel("depolarizing", 0, probabilities=[0.1]))
    shots = np.random.default_rng(3).multinomial(2001, list(chances.values()))
    rows = [[int(bit) for bit in key] for key, count in zip(chances, shots, strict=True) for _ in range(count)]
    first, second = vd.combine_results(mitiq.MeasurementResult(rows))
    answer = vd_answer(found, dict(zip(chances, shots / 2001, strict=True)))
    assert answer.values == pytest.approx(np.array([[first, 2 * second + 0.5]]), abs=1e-9)
    assert answer.standard_errors is not None
    assert (answer.standard_errors > 0.01).all()


def test_vd_of_exact_chances_is_the_value_of_the_squared_state() -> None:
    state = Circuit(3).ry(0.9, 0).cx(0, 1).ry(0.5, 1)
    noise = [("depolarizing", 0, 0.2), ("amplitude_damping", 1, 0.3)]
    observable = Observable({"ZII": 1.0, "IZI": -0.5, "III": 0.25})
    found = Mitiq().expand(state, options("vd"), context(observables=(observable,)))
    steps = found.circuits[0].instructions
    joining = [step for step in steps if len(step.qubits) == 2 and abs(step.qubits[0] - step.qubits[1]) == 3]
    # The noise of both copies stands before the gates that join them, three for each qubit.
    loud, copies = state, Circuit(6, [step for step in steps if step not in joining])
    assert len(joining) == 9
    for name, qubit, rate in noise:
        loud = loud.channel(name, qubit, probabilities=[rate])
        copies = copies.channel(name, qubit, probabilities=[rate]).channel(name, qubit + 3, probabilities=[rate])
    squared = mixture(loud) @ mixture(loud)
    wanted = np.trace(squared @ observable.matrix()).real / np.trace(squared).real
    whole = copies.extend(joining)
    purity, value_of = (expectation(whole, one) for one in found.observables or ())
    answer = Mitiq().combine({}, [Answer(np.array([[purity, value_of]]), np.zeros((1, 2)))], options("vd"), context())
    assert isinstance(answer, Answer)
    assert value(answer) == pytest.approx(wanted, abs=1e-9)


# ---- at the door -----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(unitary_circuits())
def test_a_circuit_comes_back_from_cirq_as_it_went(circuit: Circuit) -> None:
    kept = [step for step in circuit.instructions if step.qubits]
    if kept:
        back = from_cirq(to_cirq(circuit, "test"), circuit, "test")
        for qubit in range(circuit.num_qubits):
            of = [[step for step in steps if qubit in step.qubits] for steps in (kept, back.instructions)]
            assert of[0] == of[1]


def test_cirq_sees_the_matrices_of_the_gates_it_carries() -> None:
    circuit = Circuit(2).u(0.1, 0.2, 0.3, 0).cx(1, 0).gate("ry", 0, 1, angles=[0.4], controls=1).rzz(0.5, 0, 1)
    ours = [expectation(circuit, Observable({string: 1.0})) for string in ("XZ", "YI", "ZZ")]
    state = cirq.Simulator(dtype=np.complex128).simulate(to_cirq(circuit, "test"), qubit_order=[A, B]).final_state_vector
    theirs = [float((state.conj() @ Observable({string: 1.0}).matrix() @ state).real) for string in ("XZ", "YI", "ZZ")]
    assert ours == pytest.approx(theirs, abs=1e-12)


SYMBOLIC = Circuit(
    2,
    Circuit(2).ry(2 * Parameter("b") + 0.1, 0).cx(0, 1).rz(Parameter("a").sin(), 1).cx(0, 1).instructions,
    parameters=["a", "b", "c"],
)
KEEPING: list[tuple[str, dict[str, Any]]] = [
    ("zne", {"scaling": "random"}),
    ("zne", {"scaling": "global"}),
    ("zne", {"scaling": "identity"}),
    ("lre", {"chunks": 2}),
    ("pec", {"two_qubit_error": 0.1, "one_qubit_error": 0.05, "samples": 20}),
    ("ddd", {}),
    ("vd", {}),
]


@pytest.mark.parametrize(("technique", "given"), KEEPING)
def test_parameters_stay_symbolic_and_binding_before_or_after_is_the_same(technique: str, given: dict[str, Any]) -> None:
    values = {"a": 0.3, "b": -1.2, "c": 0.0}
    kept, bound = expanded(SYMBOLIC, technique, **given), expanded(SYMBOLIC.bind(values), technique, **given)
    assert all(one.parameters == ("a", "b", "c") for one in kept.circuits)
    assert any(isinstance(angle, Expression) for step in kept.circuits[0].instructions for angle in step.parameters)
    for one, other in zip(kept.circuits, bound.circuits, strict=True):
        for string in ("ZZ", "XI"):
            wide = Observable({string + "I" * (one.num_qubits - 2): 1.0})
            assert expectation(one.bind(values), wide) == pytest.approx(expectation(other, wide), abs=1e-9)


@pytest.mark.parametrize(("technique", "given"), [one for one in KEEPING if one[0] in ("zne", "lre", "ddd")])
def test_without_noise_the_value_is_that_of_the_given_circuit(technique: str, given: dict[str, Any]) -> None:
    circuit = SYMBOLIC.bind({"a": 0.3, "b": -1.2})
    found = expanded(circuit, technique, **given)
    exact = [expectation(one, ZZ) for one in found.circuits]
    assert value(combined(found, exact, technique, **given)) == pytest.approx(expectation(circuit, ZZ), abs=1e-9)


def test_the_seed_decides_what_is_drawn_and_global_generators_stay_as_they_were() -> None:
    np.random.seed(5)  # noqa: NPY002  what Mitiq draws from
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    given = {"one_qubit_error": 0.2, "samples": 8}
    first, again = expanded(PLAIN, "pec", **given), expanded(PLAIN, "pec", **given)
    other = Mitiq().expand(PLAIN, options("pec", **given), context(seed=8))
    assert first.circuits == again.circuits != other.circuits
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]  # noqa: NPY002
    with seeded(3):
        once = np.random.rand()  # noqa: NPY002
    with seeded(3):
        assert np.random.rand() == once  # noqa: NPY002


def test_verbatim_blocks_are_opened_and_barriers_left_out() -> None:
    boxed = Circuit(2).verbatim([*Circuit(2).h(0).cx(0, 1).instructions]).barrier().rz(0.2, 1)
    plain = Circuit(2).h(0).cx(0, 1).rz(0.2, 1)
    assert expanded(boxed, "zne", scaling="all").circuits == expanded(plain, "zne", scaling="all").circuits


# ---- values ----------------------------------------------------------------------------------------------------------


def test_errors_go_through_weights_and_through_fits_alike() -> None:
    scales, errors = [1.0, 2.0, 3.0], [0.01, 0.02, 0.03]
    given: dict[str, Any] = {"scales": scales, "fit": "richardson"}
    answer = combined(expanded(PLAIN, "zne", **given), [0.9, 0.8, 0.72], "zne", errors, **given)
    assert answer.standard_errors == pytest.approx(np.array([[math.hypot(3 * 0.01, 3 * 0.02, 0.03)]]))
    decay: dict[str, Any] = {"scales": [1.0, 2.0], "fit": "exponential", "asymptote": 0.0}
    fitted = combined(expanded(PLAIN, "zne", **decay), [0.8, 0.4], "zne", [1e-4, 1e-4], **decay)
    # y1²/y2: derivatives 2 y1/y2 = 4 and -(y1/y2)² = -4.
    assert value(fitted) == pytest.approx(1.6, abs=1e-6)
    assert fitted.standard_errors == pytest.approx(np.array([[math.hypot(4e-4, 4e-4)]]), rel=1e-3)


def test_cdr_takes_each_observable_by_itself_and_regression_undoes_a_linear_fault() -> None:
    many = context(observables=(Z0, ZZ))
    given = {"training_circuits": 8, "fraction_non_clifford": 0.4, "replace": "uniform"}
    found = Mitiq().expand(PLAIN, options("cdr", **given), many)
    exact = np.array([[expectation(one, Z0), expectation(one, ZZ)] for one in found.circuits])
    assert np.array(found.recipe["ideal"]) == pytest.approx(exact[1:], abs=1e-9)
    answers = [Answer(row[None], np.full((1, 2), 0.01)) for row in 0.7 * exact + 0.1]
    answer = Mitiq().combine(found.recipe, answers, options("cdr", **given), many)
    assert isinstance(answer, Answer)
    assert answer.values == pytest.approx(exact[:1], abs=1e-9)
    assert answer.standard_errors is not None
    assert (answer.standard_errors > 0.01).all()


def test_cdr_of_a_clifford_circuit_is_its_ideal_value() -> None:
    found = expanded(Circuit(2).h(0).cx(0, 1).p(math.pi, 0).x(1), "cdr")
    assert len(found.circuits) == 1
    assert value(combined(found, [0.3], "cdr")) == pytest.approx(0.0, abs=1e-12)


def test_notes_show_the_licence_and_what_came_of_each_circuit() -> None:
    found, known = expanded(PLAIN, "zne"), context()
    Mitiq().combine(found.recipe, [Answer(np.array([[one]]), np.zeros((1, 1))) for one in (0.9, 0.8, 0.7)], options("zne"), known)
    assert known.notes["licence"] == Mitiq.licence == "GPL-3.0-only (Mitiq)"
    assert (known.notes["technique"], known.notes["version"]) == ("zne", mitiq.__version__)
    assert [float(one[0, 0]) for one in known.notes["values"]] == [0.9, 0.8, 0.7]


@pytest.mark.parametrize(
    ("technique", "given"),
    [("zne", {"scales": (1, 2, 3)}), ("lre", {"chunks": 2}), ("pec", {"one_qubit_error": 0.1, "samples": 9}), ("ddd", {})],
)
def test_the_cost_is_what_expand_gives(technique: str, given: dict[str, Any]) -> None:
    assert Mitiq().cost(options(technique, **given)).circuits == len(expanded(PLAIN, technique, **given).circuits)


# ---- refusals --------------------------------------------------------------------------------------------------------


LONG = Circuit(1, [step for _ in range(40) for step in Circuit(1).h(0).instructions])
REFUSED: list[tuple[str, Circuit, dict[str, Any], str]] = [
    ("cdr", SYMBOLIC, {}, r"mitiq:cdr needs a circuit without parameters.* 3 \(a, b, c\)"),
    ("cdr", Circuit(1).rx(0.3, 0), {}, r"turns about Z.*rx\(0\.3\).*transpile"),
    ("cdr", Circuit(21).rz(0.1, 0), {}, "up to 20 qubits; this circuit has 21"),
    ("pec", Circuit(3).ccx(0, 1, 2), {"two_qubit_error": 0.1}, "the circuit has ccx on 3"),
    ("pec", LONG, {"one_qubit_error": 0.3, "precision": 0.01}, "the limit is 100000"),
    ("lre", LONG, {"degree": 3}, "the limit is 300: set chunks"),
    ("lre", PLAIN, {"chunks": 99, "degree": 1}, "mitiq:lre: Mitiq refuses: Number of chunks 99"),
    ("zne", PLAIN, {"fit": "fake_nodes", "scales": [1, 2, 4]}, "equally spaced"),
    ("zne", Circuit(1).reset(0), {}, "the instruction reset"),
    ("zne", Circuit(2).barrier(), {}, "has no gates"),
    ("vd", Circuit(7).h(0), {}, "up to 6 qubits, and this one has 7"),
]


@pytest.mark.parametrize(("technique", "circuit", "given", "reason"), REFUSED)
def test_what_a_technique_cannot_do_is_refused_by_its_name(
    technique: str, circuit: Circuit, given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unsupported, match=reason) as refused:
        expanded(circuit, technique, **given)
    assert f"mitiq:{technique}" in str(refused.value)


def test_counts_and_products_for_distillation_are_refused() -> None:
    with pytest.raises(Unsupported, match="mitiq:zne gives expectation values, no counts"):
        Mitiq().expand(PLAIN, options("zne"), context(wanted=COUNTS))
    with pytest.raises(Unsupported, match="needs two copies, 4 qubits, and small has 3"):
        Mitiq().expand(PLAIN, options("vd"), context(spec=DeviceSpec(name="small", num_qubits=3, gates=frozenset())))
    with pytest.raises(Unsupported, match="ZZ is none"):
        Mitiq().expand(PLAIN, options("vd"), context(observables=(ZZ,)))


BROKEN: list[tuple[Callable[[], Any], str]] = [
    (lambda: combined(expanded(PLAIN, "zne"), [np.nan, 1, 1], "zne"), "mitiq:zne: what comes of the answers is no finite"),
    (
        lambda: combined(
            expanded(PLAIN, "zne", fit="exponential", scales=[1, 2, 3, 4]),
            [np.nan] * 4,
            "zne",
            fit="exponential",
            scales=[1, 2, 3, 4],
        ),
        "mitiq:zne",
    ),
    (lambda: combined(expanded(PLAIN, "vd"), [[-0.1, 0.2]], "vd"), "the purity comes out as -0.1"),
    (lambda: combined(expanded(PLAIN, "cdr"), [0.4] + [0.5] * 10, "cdr"), "too few different values for observable 0 to fit 2"),
]


@pytest.mark.parametrize(("call", "reason"), BROKEN)
def test_answers_that_give_no_number_are_an_error(call: Callable[[], Any], reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        call()


def test_options_belong_to_the_technique() -> None:
    given = options("lre", degree=3)
    assert given == MitiqOptions.model_validate(given.model_dump())
    assert MitiqOptions.model_validate({"technique": "zne"}) == options("zne")
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("lre", {"scales": [1, 3]}),
        ("zne", {"scales": [0.5, 1]}),
        ("zne", {"fit": "polynomial", "order": 3, "scales": [1, 2, 3]}),
        ("zne", {"scales": [1, 1]}),
        ("pec", {}),
        ("pec", {"one_qubit_error": 0.8}),
        ("cdr", {"training_circuits": 2, "scales": [1, 3]}),
    ]
    for technique, one in wrong:
        with pytest.raises(ValidationError):
            options(technique, **one)
    mixed: list[dict[str, Any]] = [
        {"options": {}},
        {"technique": "lre", "options": {"technique": "zne"}},
        {"technique": "lre", "options": options("zne").options},
    ]
    for other in mixed:
        with pytest.raises(ValidationError):
            MitiqOptions.model_validate(other)
    assert "samples" in json.dumps(MitiqOptions.model_json_schema())


def test_unknown_techniques_and_gates_are_named_with_near_ones_or_with_our_own_stage() -> None:
    with pytest.raises(UnknownName, match="did you mean 'pec'"):
        options("pecc")
    with pytest.raises(Unsupported, match="mitiq:rem is not available; take readout instead"):
        options("rem")
    with pytest.raises(UnknownName, match="no gate called 'cxx'"):
        options("pec", gate_errors={"cxx": 0.1})


def test_without_mitiq_its_licence_and_the_line_that_installs_it_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitiq", None)
    with pytest.raises(MissingExtra, match=r"licence GPL-3\.0.*pip install 'qloom\[mitiq\]'"):
        expanded(PLAIN, "zne")
