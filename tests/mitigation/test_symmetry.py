from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qloom.circuits import Circuit, Observable
from qloom.contracts import Answer, Distribution, StageContext
from qloom.errors import InvalidSetting, Unsupported
from qloom.mitigation.distributions import basis_of
from qloom.mitigation.symmetry import Symmetry, SymmetryOptions
from qloom.specs import DeviceSpec
from tests.mitigation.estimates import expectation

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

STAGE = Symmetry()
SPEC = DeviceSpec(name="lab", num_qubits=4, gates=frozenset({"h", "cx"}))
STRINGS = ["".join(letters) for letters in product("IXYZ", repeat=3)]


def context(qubits: int, *observables: Observable, measured: tuple[int, ...] | None = None) -> StageContext:
    bits = tuple(range(qubits)) if measured is None else measured
    return StageContext(spec=SPEC, observables=observables, measured=bits, wanted="values" if observables else "counts")


def use(options: SymmetryOptions, where: StageContext, qubits: int, answer: Answer) -> Answer:
    expansion = STAGE.expand(Circuit(qubits), options, where)
    found = STAGE.combine(expansion.recipe, [answer], options, where)
    assert isinstance(found, Answer)
    return found


def matrix(text: str) -> ComplexArray:
    string = text.lstrip("+-")
    return Observable({string: -1.0 if text.startswith("-") else 1.0}).matrix()


def commute(one: str, two: str) -> bool:
    return bool(np.allclose(matrix(one) @ matrix(two), matrix(two) @ matrix(one)))


def a_state(qubits: int, seed: int) -> ComplexArray:
    generator = np.random.default_rng(seed)
    parts = generator.normal(size=(2, 2**qubits, 2**qubits))
    half = parts[0] + 1j * parts[1]
    mixed: ComplexArray = half @ half.conj().T
    mixed /= np.trace(mixed)
    return mixed


def mean(state: ComplexArray, operator: ComplexArray) -> float:
    return float(np.trace(state @ operator).real)


def read(weights: list[float], basis: str = "ZZ", shots: float = 1000.0) -> Distribution:
    return Distribution(np.arange(len(weights), dtype=np.uint64), np.array(weights), len(basis), shots, basis=basis)


# ---- verification ----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from(STRINGS[1:]), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(["+", "-", ""]), min_size=3, max_size=3),
    st.dictionaries(st.sampled_from(STRINGS), st.floats(-2, 2), min_size=1, max_size=4),
    st.integers(0, 1000),
)
def test_verified_values_are_those_of_the_projected_state(
    strings: list[str], signs: list[str], terms: dict[str, float], seed: int
) -> None:
    assume(all(commute(one, two) for one, two in combinations(strings, 2)))
    assume(all(commute(one, two) for one in strings for two in terms))
    symmetries = tuple(sign + string for sign, string in zip(signs, strings, strict=False))
    projector: Any = np.eye(8)
    for text in symmetries:
        projector = projector @ (np.eye(8) + matrix(text)) / 2
    observable, state = Observable(terms), a_state(3, seed)
    assume(np.trace(projector).real > 0.5)
    where, options = context(3, observable), SymmetryOptions(symmetries=symmetries, mode="verify")
    asked = STAGE.expand(Circuit(3), options, where).observables
    assert asked is not None
    values = np.array([[mean(state, one.matrix()) for one in asked]])
    found = use(options, where, 3, Answer(values, np.zeros_like(values))).values
    share = mean(state, projector)
    expected = mean(projector @ state @ projector / share, observable.matrix())
    assert found is not None
    assert found.item() == pytest.approx(expected, abs=1e-9)
    assert where.notes["kept"].item() == pytest.approx(share)


def test_the_error_of_a_ratio_is_propagated() -> None:
    where, options = context(2, Observable({"XX": 1.0})), SymmetryOptions(symmetries=("+ZZ",), mode="verify")
    generator = np.random.default_rng(1)
    drawn = np.array([0.6, 0.8]) + generator.normal(size=(20_000, 2)) * [0.01, 0.02]
    found = use(options, where, 2, Answer(np.array([[0.6, 0.8]]), np.array([[0.01, 0.02]])))
    assert found.standard_errors is not None
    assert found.standard_errors.item() == pytest.approx((drawn[:, 0] / drawn[:, 1]).std(), rel=0.03)


def test_exact_values_stay_exact() -> None:
    where, options = context(2, Observable({"XX": 1.0})), SymmetryOptions(symmetries=("+ZZ",), mode="verify")
    found = use(options, where, 2, Answer(np.array([[0.6, 0.8]]), np.zeros((1, 2))))
    assert found.standard_errors is not None
    assert found.standard_errors.tolist() == [[0.0]]


@pytest.mark.parametrize("share", [0.0, -0.1])
def test_a_state_without_the_symmetry_is_refused(share: float) -> None:
    where, options = context(2, Observable({"XX": 1.0})), SymmetryOptions(symmetries=("+ZZ",), mode="verify")
    with pytest.raises(Unsupported, match=r"stage symmetry: parameter set 1 has <P> = .*check the signs"):
        use(options, where, 2, Answer(np.array([[0.6, 0.8], [0.1, share]]), np.zeros((2, 2))))


def test_observables_that_do_not_commute_are_refused_by_name() -> None:
    where, options = context(2, Observable({"ZZ": 1.0, "XI": 0.5})), SymmetryOptions(symmetries=("+ZZ",), mode="verify")
    with pytest.raises(Unsupported, match=r"stage symmetry: .*term XI .*symmetry ZZ"):
        STAGE.expand(Circuit(2), options, where)


def test_counts_cannot_be_verified() -> None:
    with pytest.raises(Unsupported, match="mode=postselect"):
        STAGE.expand(Circuit(2), SymmetryOptions(symmetries=("+ZZ",), mode="verify"), context(2))


# ---- post-selection --------------------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.sampled_from(["+ZZ", "-ZZ", "ZI", "-IZ"]))
def test_selected_values_are_those_of_the_projected_state(seed: int, symmetry: str) -> None:
    state, observable = a_state(2, seed), Observable({"ZI": 1.0, "IZ": -0.5})
    where, options = context(2, observable), SymmetryOptions(symmetries=(symmetry,))
    found = use(options, where, 2, Answer(distributions=((read(np.diag(state).real.tolist()),),))).values
    projector = (np.eye(4) + matrix(symmetry)) / 2
    share = mean(state, projector)
    assert found is not None
    assert found.item() == pytest.approx(mean(projector @ state @ projector / share, observable.matrix()))
    assert where.notes["kept"].item() == pytest.approx(share)


def test_the_error_is_that_of_the_shots_that_are_left() -> None:
    kept = Distribution(np.array([0, 3], np.uint64), np.array([0.75, 0.25]), 2, 800)
    observable = Observable({"ZI": 1.0})
    noisy = read([0.6, 0.1, 0.1, 0.2])
    found = use(SymmetryOptions(symmetries=("+ZZ",)), context(2, observable), 2, Answer(distributions=((noisy,),)))
    assert found.values is not None
    assert found.standard_errors is not None
    assert (found.values.item(), found.standard_errors.item()) == pytest.approx(expectation(observable, [kept]))


def test_counts_are_selected_and_their_number_falls() -> None:
    where = context(2)
    found = use(SymmetryOptions(symmetries=("-ZZ",)), where, 2, Answer(distributions=((read([0.1, 0.3, 0.5, 0.1]),),)))
    (only,) = found.distributions[0]
    assert only.keys.tolist() == [1, 2]
    assert only.shots == pytest.approx(800)
    assert only.weights.tolist() == pytest.approx([0.375, 0.625])
    assert where.notes["kept"].tolist() == [[pytest.approx(0.8)]]


def test_symmetries_are_read_in_the_basis_that_was_measured() -> None:
    where, options = context(2, Observable({"XI": 1.0})), SymmetryOptions(symmetries=("+XX",))
    with pytest.raises(Unsupported, match=r"\+XX cannot be read where XZ is measured.*use mode=verify"):
        STAGE.expand(Circuit(2), options, where)
    both = context(2, Observable({"XX": 1.0}))
    found = use(options, both, 2, Answer(distributions=((read([0.5, 0.1, 0.1, 0.3], "XX"),),)))
    assert found.values is not None
    assert found.values.item() == pytest.approx(1.0)


def test_bits_are_found_by_the_qubits_that_they_are_read_from() -> None:
    where = context(3, measured=(2, 0))
    found = use(SymmetryOptions(symmetries=("-ZII",)), where, 3, Answer(distributions=((read([0.1, 0.2, 0.3, 0.4]),),)))
    assert found.distributions[0][0].keys.tolist() == [1, 3]
    with pytest.raises(Unsupported, match="cannot be read"):
        STAGE.expand(Circuit(3), SymmetryOptions(symmetries=("+IZI",)), where)


def test_keeping_no_shot_is_an_error_that_says_where() -> None:
    answer = Answer(distributions=((read([0.5, 0.5, 0.0, 0.0]),), (read([0.0, 1.0, 0.0, 0.0]),)))
    with pytest.raises(Unsupported, match=r"stage symmetry: parameter set 1, setting ZZ, symmetries \+ZZ: none of 1000 shots"):
        use(SymmetryOptions(symmetries=("+ZZ",)), context(2), 2, answer)


def test_every_setting_is_selected() -> None:
    where = context(2, Observable({"ZZ": 1.0, "ZI": 0.5}), Observable({"ZX": 1.0}))
    settings = (read([0.4, 0.1, 0.1, 0.4], "ZZ"), read([0.7, 0.1, 0.1, 0.1], "ZX"))
    found = use(SymmetryOptions(symmetries=("+ZI",)), where, 2, Answer(distributions=(settings,)))
    assert [basis_of(one) for one in settings] == ["ZZ", "ZX"]
    assert where.notes["kept"].tolist() == [pytest.approx([0.5, 0.8])]
    assert found.values is not None
    assert found.values.tolist() == [pytest.approx([0.6 + 0.5, 0.75])]


# ---- symmetries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symmetries", "told"),
    [
        ((), "symmetries"),
        (("ZQ",), "write a Pauli string"),
        (("*ZZ",), "write a Pauli string"),
        (("+II",), "no symmetry"),
        (("ZZ", "Z"), "one number of qubits"),
        (("Z" * 3,) * 11, "at most 10"),
    ],
)
def test_what_is_no_symmetry_is_refused(symmetries: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SymmetryOptions(symmetries=symmetries)


@pytest.mark.parametrize(
    ("symmetries", "told"),
    [
        (("+ZZZ",), "acts on 3 qubits, the circuit has 2"),
        (("+ZZ", "+XI"), "ZZ and XI do not commute"),
        (("+ZZ", "-ZZ"), "both signs"),
        (("+ZZ", "+XX", "+YY"), "minus the identity"),
    ],
)
def test_symmetries_that_no_state_has_together_are_refused(symmetries: tuple[str, ...], told: str) -> None:
    for mode in ("postselect", "verify"):
        options = SymmetryOptions.model_validate({"symmetries": symmetries, "mode": mode})
        with pytest.raises(InvalidSetting, match=f"stage symmetry: .*{told}"):
            STAGE.expand(Circuit(2), options, context(2, Observable({"ZZ": 1.0})))


def test_a_symmetry_that_follows_from_others_changes_nothing() -> None:
    where = context(2, Observable({"ZZ": 1.0}))
    asked = [
        STAGE.expand(Circuit(2), SymmetryOptions(symmetries=given, mode="verify"), where).observables
        for given in (("+ZZ", "+XX"), ("+ZZ", "+XX", "-YY"))
    ]
    assert asked[0] == asked[1]
