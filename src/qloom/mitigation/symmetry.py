"""`symmetry`: what breaks a symmetry of the state is thrown away, by shots or by expectation values."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from qloom.circuits import Circuit, Observable
from qloom.contracts import Answer, Distribution, Expansion, Stage, StageContext, StageCost
from qloom.contracts.stage import COUNTS, VALUES
from qloom.errors import InvalidSetting, Unsupported
from qloom.mitigation.distributions import basis_of, is_readable, needed_bits, plain_estimator, post_select

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from qloom.mitigation.distributions import Check

    FloatArray = npt.NDArray[np.float64]

WRITTEN = re.compile(r"([+-]?)([IXYZ]+)")
MOST_SYMMETRIES = 10
"""Verification asks for 2**symmetries strings for each term."""
_PRODUCTS = {
    **{("I", letter): (0, letter) for letter in "IXYZ"},
    **{(letter, "I"): (0, letter) for letter in "XYZ"},
    **{(letter, letter): (0, "I") for letter in "XYZ"},
    **{(one, two): (1, three) for one, two, three in ("XYZ", "YZX", "ZXY")},
    **{(two, one): (3, three) for one, two, three in ("XYZ", "YZX", "ZXY")},
}
"""Two letters -> the power of i, and the letter, of their product."""


class SymmetryOptions(BaseModel):
    """Options of the stage `symmetry`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    symmetries: tuple[str, ...] = Field(
        min_length=1,
        max_length=MOST_SYMMETRIES,
        description='Pauli strings with the sign that the state has for them, such as "+ZZ" or "-XX"; letter i is qubit i\'s.',
    )
    mode: Literal["postselect", "verify"] = Field(
        "postselect",
        description="Keep the shots that have the symmetries, where they can be read in the basis measured; or verify by"
        " expectation values, for every observable that commutes with them.",
    )

    @field_validator("symmetries")
    @classmethod
    def _written(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for text in given:
            found = WRITTEN.fullmatch(text)
            if found is None or set(found[2]) == {"I"}:
                raise ValueError(f"{text!r} is no symmetry; write a Pauli string with its sign, such as '+ZZ' or '-XX'")
        if len({len(text.lstrip("+-")) for text in given}) != 1:
            raise ValueError(f"symmetries act on one number of qubits, these do not: {', '.join(given)}")
        return given


class Symmetry(Stage):
    """Symmetries of the state enforced: shots that break them are dropped, or values verified by a projector.

    `postselect` keeps the shots whose bits have the symmetries' parities, in every measurement setting; what is left is taken as
    that many shots. A setting in which a symmetry cannot be read is refused.

    `verify` gives Tr(P rho P O) / Tr(P rho), with P the projector on the symmetric states: for an observable O that commutes
    with the symmetries that is <O P> / <P>, and P is the mean of the signed group that the symmetries generate, so it takes
    expectation values alone. The standard error is the ratio's by first-order propagation, in which <O P> and <P> count as
    independent.

    Sources: Bonet-Monroig, Sagastizabal, Singh, O'Brien, arXiv:1807.10050 (verification by expectation values); McArdle, Yuan,
    Benjamin, arXiv:1807.02467 (post-selection).

    Notes: `mode`, `symmetries`, and `kept`: the share of shots kept, shape (sets, settings); when verifying <P>, shape (sets, 1).

    >>> from qloom.specs import DeviceSpec
    >>> context = StageContext(
    ...     spec=DeviceSpec(name="lab", num_qubits=2, gates=frozenset({"h", "cx"})),
    ...     observables=(Observable({"XX": 1.0}),), measured=(0, 1),
    ... )
    >>> stage, options = Symmetry(), SymmetryOptions(symmetries=("+ZZ",), mode="verify")
    >>> expansion = stage.expand(Circuit(2).h(0).cx(0, 1), options, context)
    >>> expansion.observables
    (Observable({'XX': 0.5, 'YY': -0.5}), Observable({'II': 0.5, 'ZZ': 0.5}))
    >>> measured = Answer(np.array([[0.8, 0.9]]), np.array([[0.009, 0.0]]))
    >>> stage.combine(expansion.recipe, [measured], options, context).values.round(6).tolist()
    [[0.888889]]
    """

    name: ClassVar[str] = "symmetry"
    options_type: ClassVar[type[Any]] = SymmetryOptions

    def expand(self, circuit: Circuit, options: SymmetryOptions, context: StageContext) -> Expansion:
        signs = _signs(options.symmetries, circuit.num_qubits)
        if options.mode == "verify":
            return _verification(circuit, signs, context)
        bases = {"Z" * circuit.num_qubits}
        if context.wanted == VALUES:
            bases = {group.basis.replace("I", "Z") for observable in context.observables for group in observable.groups}
        for basis in sorted(bases):
            _checks(options.symmetries, "".join(basis[qubit] for qubit in context.measured), context.measured)
        return Expansion((circuit,), {"mode": "postselect", "measured": list(context.measured)}, takes=COUNTS)

    def combine(
        self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: SymmetryOptions, context: StageContext
    ) -> Answer:
        if len(answers) != 1:
            raise Unsupported(f"stage symmetry puts together the answers of one circuit, got {len(answers)}")
        context.notes["mode"], context.notes["symmetries"] = recipe["mode"], list(options.symmetries)
        if recipe["mode"] == "verify":
            return _verified(answers[0], context)
        return _post_selected(answers[0], tuple(recipe["measured"]), options, context)

    def cost(self, options: SymmetryOptions) -> StageCost:
        """Verification measures each term with every element of the group; how many shots are thrown away is not known before."""
        return StageCost(circuits=1, shots=2.0 ** len(options.symmetries) if options.mode == "verify" else 1.0)


# ---- post-selection --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _checks(symmetries: tuple[str, ...], basis: str, measured: tuple[int, ...]) -> tuple[Check, ...]:
    """Return the bits of each symmetry and whether an odd number of them has to be 1."""
    found = []
    for text in symmetries:
        string = text.lstrip("+-")
        if not is_readable(string, basis, measured):
            raise Unsupported(
                f"stage symmetry: {text} cannot be read where {basis} is measured on qubits {list(measured)}, so shots cannot be"
                " selected by it there; use mode=verify, which takes expectation values, or leave the symmetry out"
            )
        found.append((needed_bits(string, measured), text.startswith("-")))
    return tuple(found)


def _post_selected(answer: Answer, measured: tuple[int, ...], options: SymmetryOptions, context: StageContext) -> Answer:
    if not answer.distributions:
        raise Unsupported("stage symmetry selects shots, and got no counts; look at the stage inside of it")
    selected: list[tuple[Distribution, ...]] = []
    kept = np.empty((len(answer.distributions), len(answer.distributions[0])))
    for row, settings in enumerate(answer.distributions):
        left = []
        for column, found in enumerate(settings):
            if not math.isfinite(found.weights.sum()):
                raise Unsupported(
                    "stage symmetry: it got counts with weights that are no numbers; look at the stage inside of it"
                )
            checks = _checks(options.symmetries, basis_of(found), measured)
            try:
                chosen, kept[row, column] = post_select(found, checks)
            except Unsupported as error:
                where = f"parameter set {row}, setting {basis_of(found)}, symmetries {', '.join(options.symmetries)}"
                raise Unsupported(f"stage symmetry: {where}: {error}") from error
            left.append(chosen)
        selected.append(tuple(left))
    context.notes["kept"] = kept
    if context.wanted != VALUES:
        return Answer(distributions=tuple(selected))
    estimator = plain_estimator(context.observables, tuple(map(basis_of, selected[0])), measured)
    estimates = [estimator.estimate(settings) for settings in selected]
    return Answer(np.array([each.values for each in estimates]), np.sqrt([each.variances for each in estimates]))


# ---- verification ----------------------------------------------------------------------------------------------------


def _verification(circuit: Circuit, signs: Mapping[str, int], context: StageContext) -> Expansion:
    if context.wanted != VALUES:
        raise Unsupported("stage symmetry: mode=verify gives expectation values, and counts are asked for; use mode=postselect")
    group = _group(signs)
    for observable in context.observables:
        _check_commuting(observable, signs)
    projector = Observable({string: sign / len(group) for string, sign in group.items()})
    asked = tuple(_times(observable, group) for observable in context.observables)
    return Expansion((circuit,), {"mode": "verify"}, takes=VALUES, observables=(*asked, projector))


def _verified(answer: Answer, context: StageContext) -> Answer:
    values, errors = answer.values, answer.standard_errors
    count = len(context.observables)
    if values is None or errors is None or values.shape[1] != count + 1:
        raise Unsupported(f"stage symmetry: {count + 1} expectation values were asked for, the stage inside of it gave others")
    share, share_error = values[:, count:], errors[:, count:]
    if not math.isfinite(values.sum() + errors.sum()):
        raise Unsupported("stage symmetry: the expectation values that it got are no numbers; look at the stage inside of it")
    if not share.min() > 0:
        raise Unsupported(
            f"stage symmetry: parameter set {int(share.argmin())} has <P> = {float(share.min()):.3g}, so no part of the state has"
            " the symmetries; check the signs, or take more shots"
        )
    context.notes["kept"] = share
    ratio = values[:, :count] / share
    return Answer(ratio, np.hypot(errors[:, :count], ratio * share_error) / share)


def _signs(symmetries: Iterable[str], num_qubits: int) -> dict[str, int]:
    """Return Pauli string -> sign, after looking at whether they go together."""
    signs: dict[str, int] = {}
    for text in symmetries:
        string, sign = text.lstrip("+-"), -1 if text.startswith("-") else 1
        if len(string) != num_qubits:
            raise InvalidSetting(
                f"stage symmetry: {text} acts on {len(string)} qubits, the circuit has {num_qubits}; give one letter for each"
            )
        if signs.setdefault(string, sign) != sign:
            raise InvalidSetting(f"stage symmetry: {string} is given with both signs; no state has both")
        if other := next((known for known in signs if not _commute(known, string)), None):
            raise InvalidSetting(f"stage symmetry: {other} and {string} do not commute, so no state has both; leave one out")
    _group(signs)
    return signs


def _group(signs: Mapping[str, int]) -> dict[str, int]:
    """Return string -> sign for every product of the symmetries.

    Raises:
        InvalidSetting: the product of some is minus the identity.

    >>> _group({"ZZ": 1, "XX": -1})
    {'II': 1, 'ZZ': 1, 'XX': -1, 'YY': 1}
    """
    group = {"I" * len(next(iter(signs))): 1}
    for string, sign in signs.items():
        if string in group:
            if group[string] != sign:
                shown = ", ".join(f"{'-' if value < 0 else '+'}{known}" for known, value in signs.items())
                raise InvalidSetting(
                    f"stage symmetry: the product of some of {shown} is minus the identity; no state has them all"
                )
            continue
        group |= {
            product: known_sign * sign * factor
            for known, known_sign in group.items()
            for factor, product in [_product(known, string)]
        }
    return group


def _times(observable: Observable, group: Mapping[str, int]) -> Observable:
    """Return the observable times the projector of a group that commutes with it."""
    terms: dict[str, float] = {}
    for string, value in observable.terms.items():
        for element, sign in group.items():
            factor, product = _product(string, element)
            terms[product] = terms.get(product, 0.0) + value * sign * factor / len(group)
    return Observable({string: value for string, value in terms.items() if value} or terms)


def _product(one: str, two: str) -> tuple[int, str]:
    """Return sign and string of the product of two commuting Pauli strings.

    >>> _product("ZZ", "XX"), _product("XI", "IZ")
    ((-1, 'YY'), (1, 'XZ'))
    """
    parts = [_PRODUCTS[pair] for pair in zip(one, two, strict=True)]
    return 1 - sum(power for power, _ in parts) % 4, "".join(letter for _, letter in parts)


def _commute(one: str, two: str) -> bool:
    return sum(a != b and "I" not in (a, b) for a, b in zip(one, two, strict=True)) % 2 == 0


def _check_commuting(observable: Observable, signs: Iterable[str]) -> None:
    for symmetry in signs:
        for string, value in observable.terms.items():
            if value and not _commute(string, symmetry):
                raise Unsupported(
                    f"stage symmetry: the observable's term {string} does not commute with the symmetry {symmetry}, so it cannot"
                    " be verified by it; leave the term or the symmetry out"
                )
