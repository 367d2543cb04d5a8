from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qloom
from qloom.circuits import Circuit, Observable
from qloom.contracts import Answer, Distribution, StageContext
from qloom.errors import CorruptRecord, InvalidSetting, Unsupported
from qloom.kit.values import to_plain
from qloom.mitigation.readout import Readout, ReadoutOptions, _prepared
from qloom.mitigation.unfolding import Confusion, cluster
from qloom.noise import NoiseModel, QubitNoise
from qloom.pipelines.distributions import distribution_of
from qloom.specs import DeviceSpec
from qloom.testing.stage_contract import ideal_calibration
from tests.mitigation.estimates import expectation

FloatArray = npt.NDArray[np.float64]

SPEC = DeviceSpec(name="lab", num_qubits=70, gates=frozenset({"x", "h", "cx"}))
STAGE = Readout()
BELL = Circuit(2).h(0).cx(0, 1)
FLIPS = [(0.1, 0.1), (0.02, 0.07), (0.0, 0.15)]
MATRICES = [np.array([[1 - low, high], [low, 1 - high]]) for low, high in FLIPS]


def context(bits: int = 2, *observables: Observable, calibration: dict[str, Any] | None = None) -> StageContext:
    return StageContext(
        spec=SPEC,
        observables=observables,
        measured=tuple(range(bits)),
        wanted="values" if observables else "counts",
        calibration=calibration,
    )


def kron(matrices: list[FloatArray]) -> FloatArray:
    product: Any = np.eye(1)
    for matrix in matrices:
        product = np.kron(product, matrix)
    found: FloatArray = product
    return found


def over_all_keys(weights: FloatArray, shots: float = 1000.0) -> Distribution:
    bits = len(weights).bit_length() - 1
    return Distribution(np.arange(len(weights), dtype=np.uint64), weights, bits, shots)


def corrected(read: Distribution, options: ReadoutOptions, where: StageContext) -> Answer:
    expansion = STAGE.expand(Circuit(read.bits), options, where)
    answer = STAGE.combine(expansion.recipe, [Answer(distributions=((read,),))], options, where)
    assert isinstance(answer, Answer)
    return answer


def the_only(values: FloatArray | None) -> float:
    assert values is not None
    return float(values.item())


def calibrated(matrix: FloatArray, options: ReadoutOptions, bits: int, shots: int = 10**7) -> dict[str, Any]:
    """Calibrate on a register that is misread by a matrix, without statistical error to speak of."""
    where = context(bits)
    wish = STAGE.calibration(Circuit(bits), options, where)
    assert wish is not None
    results = []
    for circuit in wish.circuits:
        prepared = sum(1 << (bits - 1 - step.qubits[0]) for step in circuit.instructions if step.name == "x")
        counts = np.rint(matrix[:, prepared] * shots).astype(int)
        table = qloom.results.SampleTable(np.arange(1 << bits, dtype=np.uint64), counts, (0, 1 << bits))
        engine = qloom.results.Engine("test", "1")
        results.append(qloom.results.Result(engine=engine, shots=shots, key_lengths=(bits,), samples=table))
    return STAGE.calibrated(wish.recipe, results)


# ---- against matrices ------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
def test_counts_are_unfolded_as_by_the_inverse_matrix(seed: int) -> None:
    weights = np.random.default_rng(seed).dirichlet(np.ones(8))
    found = corrected(over_all_keys(weights), ReadoutOptions(flips=tuple(FLIPS)), context(3)).distributions[0][0]
    np.testing.assert_allclose(found.weights, np.linalg.inv(kron(MATRICES)) @ weights, atol=1e-10)


def test_counts_are_unfolded_as_by_mitiq() -> None:
    rem = pytest.importorskip("mitiq.rem", reason="Mitiq is the oracle")
    weights = np.random.default_rng(5).dirichlet(np.ones(8))
    found = corrected(over_all_keys(weights), ReadoutOptions(flips=tuple(FLIPS)), context(3)).distributions[0][0]
    np.testing.assert_allclose(found.weights, rem.generate_tensored_inverse_confusion_matrix(3, MATRICES) @ weights, atol=1e-10)


@given(st.integers(0, 10_000), st.sampled_from(["ZII", "IZZ", "ZIZ", "ZZZ"]))
def test_values_are_those_of_the_unfolded_distribution(seed: int, string: str) -> None:
    observable = Observable({string: 1.0, "IIZ": -0.4, "III": 0.3})
    weights = np.random.default_rng(seed).dirichlet(np.ones(8))
    unfolded = over_all_keys(np.linalg.inv(kron(MATRICES)) @ weights)
    answer = corrected(over_all_keys(weights), ReadoutOptions(flips=tuple(FLIPS)), context(3, observable))
    assert the_only(answer.values) == pytest.approx(expectation(observable, [unfolded])[0], abs=1e-10)


def test_the_standard_error_is_that_of_the_estimator() -> None:
    weights = np.random.default_rng(1).dirichlet(np.ones(8))
    observable = Observable({"ZZI": 1.0, "IIZ": 0.5})
    per_shot = np.diag(observable.matrix()).real @ np.linalg.inv(kron(MATRICES))
    variance = weights @ per_shot**2 - (weights @ per_shot) ** 2
    answer = corrected(over_all_keys(weights), ReadoutOptions(flips=tuple(FLIPS)), context(3, observable))
    assert the_only(answer.standard_errors) == pytest.approx((variance / 999) ** 0.5, rel=1e-9)


def test_standard_errors_cover_what_is_drawn() -> None:
    observable, options = Observable({"ZZ": 1.0}), ReadoutOptions(flips=(0.1, 0.05))
    truth = np.array([0.4, 0.1, 0.2, 0.3])
    matrix = kron([np.array([[0.9, 0.05], [0.1, 0.95]])] * 2)
    generator, where = np.random.default_rng(2), context(2, observable)
    pulls = []
    for _ in range(400):
        answer = corrected(over_all_keys(generator.multinomial(1000, matrix @ truth) / 1000), options, where)
        pulls.append((the_only(answer.values) - 0.4) / the_only(answer.standard_errors))
    assert abs(np.mean(pulls)) < 0.25
    assert 0.85 < float(np.std(pulls)) < 1.15


def test_a_full_matrix_by_hand_is_inverted() -> None:
    matrix = np.random.default_rng(4).dirichlet(np.full(4, 0.3), size=4).T * 0.3 + 0.7 * np.eye(4)
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    options = ReadoutOptions(model="full", matrix=tuple(map(tuple, matrix.tolist())))
    found = corrected(over_all_keys(weights), options, context(2)).distributions[0][0]
    np.testing.assert_allclose(found.weights, np.linalg.inv(matrix) @ weights, atol=1e-10)


@given(st.integers(0, 1000), st.sampled_from(["ZIII", "IIZI", "ZIZI", "IZZI", "ZZZZ"]))
def test_values_of_bits_that_are_misread_together_are_those_of_the_inverse_matrix(seed: int, string: str) -> None:
    options, observable = ReadoutOptions(model="correlated"), Observable({string: 1.0, "IIIZ": 0.2})
    kept = calibrated(correlated_register(), options, 4)
    read = over_all_keys(np.random.default_rng(seed).dirichlet(np.ones(16)))
    expected = np.diag(observable.matrix()).real @ np.linalg.inv(correlated_register()) @ read.weights
    for model in ("correlated", "full"):
        if model == "full":
            options = ReadoutOptions(model="full", matrix=tuple(map(tuple, correlated_register().tolist())))
        answer = corrected(read, options, context(4, observable, calibration=kept))
        assert the_only(answer.values) == pytest.approx(expected, abs=1e-5 if model == "correlated" else 1e-10)


def test_the_overhead_is_the_squared_norm_of_the_whole_inverse() -> None:
    confusion = Confusion([cluster([bit], matrix) for bit, matrix in enumerate(MATRICES)])
    assert confusion.overhead == pytest.approx(np.linalg.norm(np.linalg.inv(kron(MATRICES)), 1) ** 2)


def test_iterations_lead_to_the_most_likely_distribution() -> None:
    truth = np.array([0.5, 0.1, 0.1, 0.3])
    read = over_all_keys(kron(MATRICES[:2]) @ truth)
    options = ReadoutOptions(flips=tuple(FLIPS[:2]), method="iterative", iterations=500)
    np.testing.assert_allclose(corrected(read, options, context(2)).distributions[0][0].weights, truth, atol=1e-6)


def test_iterative_unfolding_takes_the_steps_of_its_formula() -> None:
    read = np.random.default_rng(2).dirichlet(np.ones(8))
    matrix = kron(MATRICES)
    expected: FloatArray = np.full(8, 1 / 8)
    for _ in range(3):
        expected = np.array(
            [sum(matrix[m, t] * expected[t] * read[m] / (matrix[m] @ expected) for m in range(8)) for t in range(8)]
        )
    options = ReadoutOptions(flips=tuple(FLIPS), method="iterative", iterations=3)
    np.testing.assert_allclose(
        corrected(over_all_keys(read), options, context(3)).distributions[0][0].weights, expected, atol=1e-14
    )


def test_iterated_values_are_those_of_the_iterated_counts_and_never_beyond_1() -> None:
    read, options = over_all_keys(np.array([0.99, 0.0, 0.0, 0.01])), ReadoutOptions(flips=(0.1, 0.1), method="iterative")
    observable = Observable({"ZZ": 1.0})
    counts = corrected(read, options, context(2)).distributions[0][0]
    answer = corrected(read, options, context(2, observable))
    assert the_only(answer.values) == pytest.approx(expectation(observable, [counts])[0])
    assert the_only(answer.values) <= 1
    assert the_only(corrected(read, ReadoutOptions(flips=(0.1, 0.1)), context(2, observable)).values) > 1


def wide(bits: int, shots: int, flip: float, seed: int) -> Distribution:
    """A state of all 0 or all 1, misread bit by bit."""
    generator = np.random.default_rng(seed)
    rows = (generator.integers(0, 2, (shots, 1)) ^ (generator.random((shots, bits)) < flip)).astype(np.uint64)
    keys, counts = np.unique(rows @ (np.uint64(1) << np.arange(bits - 1, -1, -1, dtype=np.uint64)), return_counts=True)
    return Distribution(keys, counts / shots, bits, shots)


def test_many_bits_are_unfolded_over_the_keys_seen() -> None:
    read = wide(40, 2000, 0.01, 1)
    keys = [int(key) for key in read.keys]
    off = np.array([[(one ^ other).bit_count() for other in keys] for one in keys])
    matrix = 0.01**off * 0.99 ** (40.0 - off)
    expected = np.linalg.solve(matrix / matrix.sum(axis=0), read.weights)
    found = corrected(read, ReadoutOptions(flips=(0.01, 0.01)), context(40)).distributions[0][0]
    assert found.keys.tolist() == keys
    np.testing.assert_allclose(found.weights, expected, atol=1e-10)
    iterated = corrected(read, ReadoutOptions(flips=(0.01, 0.01), method="iterative"), context(40)).distributions[0][0]
    ends = [float(one.weights[[0, -1]].sum()) for one in (read, iterated, found)]
    assert ends == sorted(ends)
    assert (ends[0] < 0.7, ends[1] > 0.85, ends[2] < 1) == (True, True, True)


def test_values_of_many_bits_need_no_matrix_of_keys() -> None:
    read = wide(60, 20000, 0.02, 2)
    assert len(read.keys) > 4096
    answer = corrected(read, ReadoutOptions(flips=(0.02, 0.02)), context(60, Observable.sparse({"Z0 Z30 Z59 Z7": 1.0}, 60)))
    assert abs(the_only(answer.values) - 1) < 5 * the_only(answer.standard_errors) < 0.05
    with pytest.raises(Unsupported, match=r"stage readout.*4096"):
        corrected(read, ReadoutOptions(flips=(0.02, 0.02)), context(60))


# ---- calibrating -----------------------------------------------------------------------------------------------------


def test_calibration_takes_as_many_circuits_as_its_model_says() -> None:
    counts = {}
    for model in ("tensored", "correlated", "full"):
        wish = STAGE.calibration(Circuit(5), ReadoutOptions.model_validate({"model": model}), context(5))
        assert wish is not None
        counts[model] = len(wish.circuits)
    assert counts == {"tensored": 2, "correlated": 8, "full": 32}


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 9, 17, 64])
def test_every_pair_of_bits_is_prepared_in_all_four_states(bits: int) -> None:
    rows = np.array(_prepared("correlated", bits))
    for low in range(bits):
        for high in range(low + 1, bits):
            assert len(np.unique(rows[:, [low, high]], axis=0)) == 4


def test_calibration_prepares_the_measured_qubits_only() -> None:
    where = StageContext(spec=SPEC, measured=(3, 1), wanted="counts")
    wish = STAGE.calibration(Circuit(5), ReadoutOptions(model="full", shots=10), where)
    assert wish is not None
    assert [[step.qubits for step in circuit.instructions] for circuit in wish.circuits] == [
        [(3, 1)],
        [(1,), (3, 1)],
        [(3,), (3, 1)],
        [(3,), (1,), (3, 1)],
    ]


@pytest.mark.parametrize("model", ["tensored", "full", "correlated"])
def test_independent_errors_are_found_by_every_model(model: str) -> None:
    options = ReadoutOptions.model_validate({"model": model})
    kept = calibrated(kron(MATRICES), options, 3)
    read = over_all_keys(np.random.default_rng(1).dirichlet(np.ones(8)))
    found = corrected(read, options, context(3, calibration=kept)).distributions[0][0]
    np.testing.assert_allclose(found.weights, np.linalg.inv(kron(MATRICES)) @ read.weights, atol=1e-5)


def correlated_register() -> FloatArray:
    """Bits 0 and 2 flip together, bit 1 alone, bit 3 never."""
    together = 0.88 * np.eye(4) + 0.12 * np.eye(4)[::-1]
    matrix = np.zeros((16, 16))
    for read in range(16):
        for was in range(16):
            pair = [2 * (key >> 3 & 1) + (key >> 1 & 1) for key in (read, was)]
            same = float(read & 1 == was & 1)
            matrix[read, was] = together[tuple(pair)] * MATRICES[1][read >> 2 & 1, was >> 2 & 1] * same
    return matrix


def test_the_most_correlated_bits_become_pairs() -> None:
    options = ReadoutOptions(model="correlated")
    kept = calibrated(correlated_register(), options, 4)
    assert kept["clusters"][0]["bits"] == [0, 2]
    truth = np.random.default_rng(3).dirichlet(np.ones(16))
    read = over_all_keys(correlated_register() @ truth)
    np.testing.assert_allclose(
        corrected(read, options, context(4, calibration=kept)).distributions[0][0].weights, truth, atol=1e-5
    )
    alone = calibrated(correlated_register(), ReadoutOptions(), 4)
    off = corrected(read, ReadoutOptions(), context(4, calibration=alone)).distributions[0][0].weights - truth
    assert abs(off).max() > 0.005


def test_pairs_may_be_given() -> None:
    kept = calibrated(correlated_register(), ReadoutOptions(model="correlated", pairs=((1, 3),)), 4)
    assert [entry["bits"] for entry in kept["clusters"]] == [[1, 3], [0], [2]]


def test_the_recipe_is_another_where_the_calibration_would_be() -> None:
    asked = [{}, {"model": "full"}, {"shots": 7}, {"model": "correlated"}, {"model": "correlated", "pairs": [[0, 1]]}]
    wishes = [STAGE.calibration(Circuit(2), ReadoutOptions.model_validate(one), context(2)) for one in asked]
    assert len({str(wish and wish.recipe) for wish in wishes}) == len(asked)
    same = [
        STAGE.calibration(Circuit(2, name=name), ReadoutOptions(max_age_s=age), context(2)) for name, age in (("a", 1), ("b", 2))
    ]
    assert {str(wish and wish.recipe) for wish in same} == {str(wishes[0] and wishes[0].recipe)}


def test_shots_are_those_of_the_device_where_none_are_asked_for() -> None:
    where = StageContext(spec=DeviceSpec(name="small", num_qubits=2, gates=frozenset({"x"}), max_shots=100), measured=(0, 1))
    wish = STAGE.calibration(Circuit(2), ReadoutOptions(), where)
    assert wish is not None
    assert wish.shots == wish.recipe["shots"] == 100
    with pytest.raises(InvalidSetting, match=r"shots=101.*small gives at most 100"):
        STAGE.calibration(Circuit(2), ReadoutOptions(shots=101), where)


def test_given_matrices_need_no_calibration() -> None:
    assert STAGE.calibration(Circuit(2), ReadoutOptions(flips=(0.1, 0.1)), context(2)) is None


# ---- in use ----------------------------------------------------------------------------------------------------------


def noisy_device(folder: Path) -> qloom.Device:
    path = folder / "noise.json"
    NoiseModel(qubits={"default": QubitNoise(readout=(0.1, 0.1))}).save(path)
    return qloom.device(f"sim:noise={path}")


@pytest.mark.parametrize("model", ["tensored", "full", "correlated"])
def test_a_bell_pair_read_with_flips_of_a_tenth_returns(model: str, tmp_path: Path) -> None:
    device, options = noisy_device(tmp_path), ReadoutOptions.model_validate({"model": model, "shots": 100_000})
    observable = Observable({"ZZ": 1.0})
    wish = STAGE.calibration(BELL, options, context(2, observable))
    assert wish is not None
    results = [device.run(circuit, shots=wish.shots, seed=seed) for seed, circuit in enumerate(wish.circuits)]
    where = context(2, observable, calibration=STAGE.calibrated(wish.recipe, results))
    read = distribution_of(device.run(BELL.measure_all(), shots=10_000, seed=11))
    answer = corrected(read, options, where)
    assert expectation(observable, [read])[0] == pytest.approx(0.64, abs=0.04)
    assert abs(the_only(answer.values) - 1) < 4 * the_only(answer.standard_errors) < 0.06


def test_aer_with_readout_errors_is_corrected() -> None:
    aer, noise = pytest.importorskip("qiskit_aer"), pytest.importorskip("qiskit_aer.noise")
    from qiskit import QuantumCircuit

    model = noise.NoiseModel()
    for qubit, (low, high) in enumerate(FLIPS):
        model.add_readout_error(noise.ReadoutError([[1 - low, low], [high, 1 - high]]), [qubit])
    ghz = QuantumCircuit(3)
    ghz.h(0)
    ghz.cx(0, 1)
    ghz.cx(1, 2)
    ghz.measure_all()
    counts = aer.AerSimulator(noise_model=model, seed_simulator=3).run(ghz, shots=20_000).result().get_counts()
    weights = np.zeros(8)
    for key, count in counts.items():
        weights[int(key[::-1], 2)] = count / 20_000
    observables = (Observable({"ZZI": 1.0}), Observable({"IZZ": 1.0}), Observable({"ZZZ": 1.0}))
    answer = corrected(over_all_keys(weights, 20_000), ReadoutOptions(flips=tuple(FLIPS)), context(3, *observables))
    assert answer.values is not None
    assert answer.standard_errors is not None
    assert (abs(answer.values - [[1, 1, 0]]) < 4 * answer.standard_errors).all()
    assert (answer.standard_errors < 0.02).all()


def test_notes_hold_the_matrices_and_the_values_before_and_after() -> None:
    where = context(2, Observable({"ZZ": 1.0}))
    answer = corrected(over_all_keys(np.array([0.41, 0.09, 0.09, 0.41])), ReadoutOptions(flips=(0.1, 0.1)), where)
    assert (where.notes["before"].round(9).tolist(), where.notes["after"].round(9).tolist()) == ([[0.64]], [[1.0]])
    assert where.notes["after"].tolist() == (answer.values is not None and answer.values.tolist())
    assert [entry["bits"] for entry in where.notes["confusion"]] == [[0], [1]]
    to_plain(where.notes)


def test_perfect_readout_changes_nothing() -> None:
    wish = STAGE.calibration(BELL, ReadoutOptions(), context(2))
    assert wish is not None
    where = context(2, calibration=ideal_calibration(STAGE, wish))
    read = over_all_keys(np.array([0.1, 0.2, 0.3, 0.4]))
    found = corrected(read, ReadoutOptions(), where).distributions[0][0]
    assert (found.weights.tolist(), found.spread) == (read.weights.tolist(), 1.0)


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "half"}, "tensored"),
        ({"flips": (0.1, 1.2)}, "less than or equal to 1"),
        ({"flips": (0.1, 0.1), "model": "full"}, "model=tensored, not full"),
        ({"matrix": ((1.0, 0.0), (0.0, 1.0))}, "model=full, not tensored"),
        ({"pairs": ((0, 1),)}, "model=correlated, not tensored"),
        ({"pairs": ((0, 1), (1, 2)), "model": "correlated"}, "share no bit"),
        ({"shots": 0}, "shots"),
        ({"max_age_s": float("nan")}, "max_age_s"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ReadoutOptions.model_validate(options)


def test_a_full_matrix_of_many_bits_is_refused_with_the_number_and_the_other_models() -> None:
    for act in (STAGE.calibration, STAGE.expand):
        with pytest.raises(Unsupported, match=r"stage readout.*2\*\*11.*limit is 10 bits.*model=tensored or model=correlated"):
            act(Circuit(11), ReadoutOptions(model="full"), context(11))


@pytest.mark.parametrize(
    ("measured", "options", "told"),
    [
        ((), {}, "nothing is measured"),
        ((0, 0), {}, "several bits"),
        (tuple(range(65)), {}, "limit is 64"),
        ((0, 1), {"flips": [(0.1, 0.1)] * 3}, "flips are given for 3 bits, 2"),
        ((0, 1), {"model": "correlated", "pairs": [(0, 2)]}, "bit 2"),
        ((0, 1), {"model": "full", "matrix": ((1.0, 0.0), (0.0, 1.0))}, r"shape \(2, 2\), not \(4, 4\)"),
        ((0,), {"model": "full", "matrix": ((1.0, 0.5), (0.1, 0.5))}, "do not sum to 1"),
        ((0,), {"flips": (0.5, 0.5)}, "cannot be inverted"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_the_stage(measured: tuple[int, ...], options: Any, told: str) -> None:
    where = StageContext(spec=SPEC, measured=measured, wanted="counts")
    with pytest.raises((Unsupported, InvalidSetting), match=f"stage readout: .*{told}"):
        STAGE.expand(Circuit(70), ReadoutOptions.model_validate(options), where)


def test_combining_without_a_calibration_or_with_another_ones_is_refused() -> None:
    read = over_all_keys(np.full(4, 0.25))
    with pytest.raises(Unsupported, match="has not been calibrated"):
        corrected(read, ReadoutOptions(), context(2))
    other = {"clusters": [{"bits": [0], "confusion": [[1.0, 0.0], [0.0, 1.0]]}]}
    with pytest.raises(CorruptRecord, match="is of 1 bits, 2 are measured"):
        corrected(read, ReadoutOptions(), context(2, calibration=other))


def test_counts_of_another_number_of_bits_are_refused() -> None:
    options, where = ReadoutOptions(flips=(0.1, 0.1)), context(2)
    recipe = STAGE.expand(BELL, options, where).recipe
    with pytest.raises(Unsupported, match="stage readout: the counts have 3 bits, 2"):
        STAGE.combine(recipe, [Answer(distributions=((over_all_keys(np.full(8, 0.125)),),))], options, where)
