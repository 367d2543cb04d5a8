"""`zne`: zero-noise extrapolation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from qloom.contracts import Answer, Expansion, More, Stage, StageContext, StageCost
from qloom.contracts.stage import COUNTS, VALUES
from qloom.errors import Unsupported
from qloom.kit.circuit_text import circuit_from_json, circuit_to_json
from qloom.mitigation.extrapolation import Fit, exponential, log_linear, next_scale, polynomial_weights
from qloom.mitigation.folding import FOLDS, fold
from qloom.mitigation.native import spelled_natively
from qloom.pipelines.curves import EXPONENTIAL, POLYNOMIAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from qloom.circuits import Circuit
    from qloom.mitigation.folding import Folded

    FloatArray = npt.NDArray[np.float64]

MOST_ROUNDS = 16
STEPS = 5
"""Scales of an adaptive fit in all, the first ones included."""
MAX_SCALE = 6.0
"""The largest scale that an adaptive fit asks for."""
_LINEAR_IN_DATA = ("linear", "polynomial", "richardson")
_DRAWN = ("random", "identity")


class ZneOptions(BaseModel):
    """Options of the stage `zne`."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="zne", allow_inf_nan=False)

    scales: tuple[float, ...] = Field(
        (1.0, 3.0, 5.0), description="Noise scales, ascending and distinct, each 1 or more; of an adaptive fit the first round's."
    )
    fold: Literal["global", "gates", "gates_left", "gates_right", "random", "identity"] = Field(
        "global",
        description="How noise is scaled: the whole circuit and its inverse; every gate alike, which makes odd scales only; some"
        " gates once more than others, from the first, from the last or drawn; or layers of identities.",
    )
    fit: Literal["linear", "polynomial", "richardson", "exponential", "adaptive"] = Field(
        "richardson", description="What is fitted; adaptive is an exponential whose further scales are chosen from the answers."
    )
    order: int | None = Field(
        None, ge=1, description="Degree of the polynomial (2 if not given) or of the exponential's exponent (1 if not given)."
    )
    asymptote: float | None = Field(
        None, description="What an exponential or adaptive fit goes to at infinite noise, such as 0; fitted too if not given."
    )
    steps: int | None = Field(None, description=f"How many scales an adaptive fit takes in all; {STEPS} if not given.")
    max_scale: float | None = Field(
        None, gt=1, description=f"The largest scale that an adaptive fit asks for; {MAX_SCALE:g} if not given."
    )

    @model_validator(mode="after")
    def _suit_each_other(self) -> ZneOptions:
        self._check_scales()
        owners = {
            "order": ("polynomial", "exponential"),
            "asymptote": ("exponential", "adaptive"),
            "steps": ("adaptive",),
            "max_scale": ("adaptive",),
        }
        for option, fits in owners.items():
            if getattr(self, option) is not None and self.fit not in fits:
                raise ValueError(f"{option} belongs to fit={' and fit='.join(fits)}, and the fit is {self.fit}; leave it out")
        first, most = len(self.scales), len(self.scales) + MOST_ROUNDS - 1
        if self.fit == "adaptive" and not first < self.last_step <= most:
            raise ValueError(
                f"steps counts all scales, the {first} of the first round included, so with these it is {first + 1} to"
                f" {most}, got {self.last_step}"
            )
        return self

    def _check_scales(self) -> None:
        for scale in self.scales:
            if scale < 1:
                raise ValueError(f"scales: {scale:g} is below 1; noise can be scaled up only, by factors of 1 or more")
        if any(left >= right for left, right in zip(self.scales, self.scales[1:], strict=False)):
            raise ValueError(f"scales ascend and are distinct, got {[*self.scales]}; sort them and leave out what is twice")
        if len(self.scales) < self.unknowns:
            raise ValueError(
                f"scales: fit={self.fit} has {self.unknowns} parameters and needs as many scales, got {len(self.scales)};"
                " give more scales or take a fit with fewer parameters, such as linear"
            )

    @property
    def degree(self) -> int:
        """Of the polynomial that is fitted, to the values or in the exponent."""
        usual = {"linear": 1, "polynomial": 2, "richardson": max(1, len(self.scales) - 1)}
        return self.order or usual.get(self.fit, 1)

    @property
    def unknowns(self) -> int:
        """How many parameters are fitted."""
        free = self.fit in {"exponential", "adaptive"} and self.asymptote is None
        return self.degree + 1 + free

    @property
    def last_step(self) -> int:
        """Scales of an adaptive fit in all."""
        return STEPS if self.steps is None else self.steps

    @property
    def largest(self) -> float:
        """The largest scale that an adaptive fit asks for."""
        return MAX_SCALE if self.max_scale is None else self.max_scale


class Zne(Stage):
    """Zero-noise extrapolation: circuits with their noise scaled up, and a fit of their values back to no noise.

    Scaling: gates are folded, G -> G G† G, of the whole circuit or one by one, or layers of identities are put in; angles stay
    symbolic. Scales are factors of the number of gates (of layers, for identities), without unit. A circuit of d gates reaches
    scales in steps of 2/d, and `gates` odd ones; a fit takes what was really reached, which the notes hold. Which gates are
    `random`, and behind which layers there are more identities, is drawn once for each structure. Identities scale the noise of
    waiting and of identity gates: a device that leaves these out has nothing to scale.

    Fits: by least squares with equal weights. The value at no noise is in linear, polynomial and Richardson fits a weighted sum
    of the values, and its standard error exactly that of the sum; in exponential ones it is that of the fit to first order. With
    a known asymptote the logarithms of the distances from it are fitted by a polynomial, squared residuals weighted with the
    distances. Values of one series that are all alike (to 1e-12) are their own answer. Adaptive: after the first round each round
    measures at 1 + 1.27846 / |decay|, `max_scale` at most; of several values the median of what each asks for.

    Sources: K. Temme, S. Bravyi, J. Gambetta, arXiv:1612.02058 (Richardson); T. Giurgica-Tiron et al., arXiv:2005.10921 (folding,
    eq. 5; fits; adaptive exponential, where scale k of d gates is 1 + 2k/d); A. He et al., arXiv:2003.04941 (identities).

    Cost: a circuit for each scale. With weights w of k scales the shots are k times the sum of w squared: 3 * 5.22 by default.
    Exponential fits are counted at weak noise, where they cost the most and as much as a polynomial with as many parameters; an
    adaptive one as if all its further scales were `max_scale`.

    Notes: `asked` and `scales` (reached), `values` and `standard_errors` at them, shape (scales, sets, observables), `fit`,
    `form` (`polynomial` or `exponential`), `coefficients` (coefficients, sets, observables), `extrapolated` and
    `extrapolated_errors` (sets, observables). `qloom.pipelines.curves.fit_curve` draws it.

    >>> from qloom.circuits import Circuit, Observable, Parameter
    >>> from qloom.specs import DeviceSpec
    >>> spec = DeviceSpec(name="lab", num_qubits=1, gates=frozenset({"rx"}))
    >>> context = StageContext(spec=spec, observables=(Observable({"Z": 1.0}),), measured=(0,))
    >>> stage, options = Zne(), ZneOptions(scales=(1, 3), fit="linear")
    >>> expansion = stage.expand(Circuit(1).rx(Parameter("a"), 0), options, context)
    >>> [str(step.parameters[0]) for step in expansion.circuits[1].instructions], expansion.recipe["weights"][0]
    (['a', '-a', 'a'], [1.5, -0.5])
    >>> answers = [Answer(np.array([[value]]), np.array([[0.01]])) for value in (0.9, 0.7)]
    >>> answer = stage.combine(expansion.recipe, answers, options, context)
    >>> answer.values.round(9).tolist(), answer.standard_errors.round(4).tolist()
    ([[1.0]], [[0.0158]])
    """

    name: ClassVar[str] = "zne"
    options_type: ClassVar[type[Any]] = ZneOptions
    max_rounds: ClassVar[int] = MOST_ROUNDS
    gives_counts: ClassVar[bool] = False

    def expand(self, circuit: Circuit, options: ZneOptions, context: StageContext) -> Expansion:
        """Return the circuit at each scale, and for fits that are linear in the values their weights."""
        if context.wanted == COUNTS:
            raise Unsupported(
                "stage zne extrapolates expectation values, and counts are asked for; ask for values with estimate, or take"
                " zne out of the pipeline"
            )
        folded = [_fold(circuit, scale, number, options, context) for number, scale in enumerate(options.scales)]
        scales = [each.scale for each in folded]
        _check_reached(scales, options)
        recipe: dict[str, Any] = {"asked": [*options.scales], "scales": scales}
        if options.fit in _LINEAR_IN_DATA:
            recipe["weights"] = polynomial_weights(scales, options.degree)
        if options.fit == "adaptive":
            recipe["circuit"] = circuit_to_json(circuit)
        return Expansion(tuple(each.circuit for each in folded), recipe, takes=VALUES)

    def weights(self, recipe: Mapping[str, Any], options: ZneOptions, context: StageContext) -> Sequence[float] | None:
        """Return the weights of the scales' values at no noise, where the fit is linear in them."""
        del options, context
        found: Sequence[Sequence[float]] | None = recipe.get("weights")
        return None if found is None else found[0]

    def combine(
        self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: ZneOptions, context: StageContext
    ) -> Answer | More:
        """Return the values at no noise; for an adaptive fit ask for another scale until there are enough."""
        values = np.array([answer.values for answer in answers])
        errors = np.array([answer.standard_errors for answer in answers])
        points, *shape = values.shape
        weights = recipe.get("weights")
        if weights is None:
            return _nonlinear(recipe, values, errors, options, context)
        rows = np.array(weights)
        with np.errstate(all="ignore"):  # what is infinite is refused below
            coefficients = rows @ values.reshape(points, -1)
            spread = np.sqrt(rows[0] ** 2 @ errors.reshape(points, -1) ** 2)
            size = coefficients[0] @ coefficients[0] + spread @ spread
        # One NaN or infinity anywhere makes the sum of squares no number: cheaper to ask than each entry.
        if not math.isfinite(size):
            _refuse_values(recipe, values, errors)
        answer = Answer(coefficients[0].reshape(shape), spread.reshape(shape))
        _note(recipe, (values, errors), coefficients.reshape(-1, *shape), answer, options, context)
        return answer

    def cost(self, options: ZneOptions) -> StageCost:
        """Return the number of scales, and how the fit's weights multiply the shots."""
        further = options.last_step - len(options.scales) if options.fit == "adaptive" else 0
        scales = [*options.scales, *[max(options.largest, options.scales[-1])] * further]
        weights = polynomial_weights(scales, options.unknowns - 1)[0]
        return StageCost(len(options.scales), len(scales) * sum(weight**2 for weight in weights), 1 + further)


def _fold(circuit: Circuit, scale: float, number: int, options: ZneOptions, context: StageContext) -> Folded:
    found = fold(circuit, scale, options.fold, np.random.default_rng([context.seed, number]))
    return found._replace(circuit=spelled_natively(found.circuit, context.spec))


def _check_reached(scales: Sequence[float], options: ZneOptions) -> None:
    distinct = sorted(set(scales))
    if len(distinct) < options.unknowns:
        raise Unsupported(
            f"stage zne, option scales: with fold={options.fold} this circuit reaches, of the scales {[*options.scales]}, only"
            f" {', '.join(f'{scale:g}' for scale in distinct)}, and fit={options.fit} needs {options.unknowns} different ones;"
            f" ask for scales further apart, such as {[2 * number + 1 for number in range(len(scales))]}"
        )


def _nonlinear(
    recipe: Mapping[str, Any], values: FloatArray, errors: FloatArray, options: ZneOptions, context: StageContext
) -> Answer | More:
    if not (np.isfinite(values).all() and np.isfinite(errors).all()):
        _refuse_values(recipe, values, errors)
    scales = np.array(recipe["scales"])
    points, *shape = values.shape
    flat, spread = values.reshape(points, -1), errors.reshape(points, -1)
    with np.errstate(all="ignore"):  # what runs away has not converged, which is asked for below
        if options.asymptote is None:
            fit = exponential(scales, flat, spread, options.degree)
        else:
            fit = log_linear(scales, flat, spread, options.asymptote, options.degree)
    if options.fit == "adaptive" and points < options.last_step:
        return _one_more(recipe, fit, options, context)
    good = fit.converged & np.isfinite(fit.values) & np.isfinite(fit.errors)
    if not good.all():
        _refuse_fit(recipe, flat, int(np.argmin(good)), shape[-1], options)
    answer = Answer(fit.values.reshape(shape), fit.errors.reshape(shape))
    _note(recipe, (values, errors), fit.coefficients.reshape(-1, *shape), answer, options, context)
    return answer


def _one_more(recipe: Mapping[str, Any], fit: Fit, options: ZneOptions, context: StageContext) -> More:
    scale = next_scale(fit, options.largest)
    folded = _fold(circuit_from_json(recipe["circuit"]), scale, len(recipe["scales"]), options, context)
    return More((folded.circuit,), {**recipe, "asked": [*recipe["asked"], scale], "scales": [*recipe["scales"], folded.scale]})


def _note(
    recipe: Mapping[str, Any],
    data: tuple[FloatArray, FloatArray],
    coefficients: FloatArray,
    answer: Answer,
    options: ZneOptions,
    context: StageContext,
) -> None:
    notes = context.notes
    notes["asked"], notes["scales"] = recipe["asked"], recipe["scales"]
    notes["values"], notes["standard_errors"] = data
    notes["fit"] = options.fit
    notes["form"] = POLYNOMIAL if options.fit in _LINEAR_IN_DATA else EXPONENTIAL
    notes["coefficients"] = coefficients
    notes["extrapolated"], notes["extrapolated_errors"] = answer.values, answer.standard_errors


def _refuse_values(recipe: Mapping[str, Any], values: FloatArray, errors: FloatArray) -> NoReturn:
    finite = np.isfinite(values) & np.isfinite(errors)
    if finite.all():
        raise Unsupported(
            f"stage zne, option scales: the extrapolation from the scales {[*recipe['scales']]} is no finite number; its weights"
            " are too large, take fewer scales or scales further apart"
        )
    point, *rest = (int(index) for index in np.argwhere(~finite)[0])
    raise Unsupported(
        f"stage zne: the answer at scale {recipe['scales'][point]:g} is {values[point, *rest]} ± {errors[point, *rest]}"
        f" {_where(*rest)}, which cannot be extrapolated; look at the stages and the device below"
    )


def _refuse_fit(recipe: Mapping[str, Any], values: FloatArray, series: int, observables: int, options: ZneOptions) -> NoReturn:
    scales = ", ".join(f"{scale:g}" for scale in recipe["scales"])
    measured = ", ".join(f"{value:.6g}" for value in values[:, series])
    more = "take more shots, give the asymptote, or" if options.asymptote is None else "take more shots, or"
    raise Unsupported(
        f"stage zne, option fit: the fit {options.fit} does not converge {_where(*divmod(series, observables))}: the values"
        f" {measured} at the scales {scales} follow no exponential; {more} take fit=linear"
    )


def _where(number: int, observable: int) -> str:
    return f"for parameter set {number}, observable {observable}"


__all__ = ["FOLDS", "Zne", "ZneOptions"]
