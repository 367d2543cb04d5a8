"""Mitiq's zero-noise and layerwise Richardson extrapolation, and its decoupling: what needs no more than weights or a fit."""

from __future__ import annotations

from functools import partial
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.contracts.stage import VALUES, Answer, Expansion, StageCost
from qloom.errors import Unsupported
from qloom.mitigation.cirq_bridge import to_cirq
from qloom.mitigation.mitiq_technique import Technique, asked, each, folding, read_all, weighted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from qloom.circuits import Circuit
    from qloom.contracts.stage import StageContext
    from qloom.mitigation.mitiq_options import DddOptions, LreOptions, ZneOptions

    FloatArray = npt.NDArray[np.float64]

MOST_TERMS = 300
"""Circuits of a layerwise extrapolation: Mitiq works out a determinant of that size for each."""


class Zne(Technique):
    """Zero-noise extrapolation."""

    def expand(self, circuit: Circuit, options: ZneOptions, context: StageContext) -> Expansion:
        """Scale the circuit's noise; fits that are linear in the values are worked out here once."""
        from mitiq import zne

        given = to_cirq(circuit, "mitiq:zne")
        with asked("zne", context.seed):
            scaled = zne.construct_circuits(given, list(options.scales), folding(options.scaling, context.seed))
            recipe: dict[str, Any] = {"scales": list(options.scales)}
            if options.fit in ("linear", "polynomial", "richardson", "fake_nodes"):
                fit = _fit(options)
                units = np.eye(len(options.scales)).tolist()
                recipe["weights"] = [float(zne.combine_results(options.scales, unit, fit)) for unit in units]
        return Expansion(read_all(scaled, circuit, "zne"), recipe, takes=VALUES)

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: ZneOptions) -> Answer:
        """Extrapolate to no noise."""
        if "weights" in recipe:
            return weighted(recipe["weights"], answers)
        from mitiq import zne

        fit = partial(zne.combine_results, list(recipe["scales"]), extrapolation_method=_fit(options))

        def extrapolated(values: FloatArray, _: int) -> float:
            with asked("zne"):
                return float(fit(values.tolist()))

        return each(extrapolated, answers)

    def cost(self, options: ZneOptions) -> StageCost:
        """Return one circuit for each scale, and how a polynomial fit of the same freedom raises the error."""
        count = len(options.scales)
        orders = {"linear": 1, "polynomial": options.order, "exponential": 1, "poly_exponential": options.order}
        order = min(orders.get(options.fit, count - 1), count - 1)
        weights = np.linalg.pinv(np.vander(np.array(options.scales), order + 1, increasing=True))[0]
        return StageCost(count, count * float(weights @ weights))


def _fit(options: ZneOptions) -> Callable[..., Any]:
    from mitiq.zne import inference

    factories: dict[str, tuple[Any, dict[str, Any]]] = {
        "linear": (inference.LinearFactory, {}),
        "polynomial": (inference.PolyFactory, {"order": options.order}),
        "richardson": (inference.RichardsonFactory, {}),
        "fake_nodes": (inference.FakeNodesFactory, {}),
        "exponential": (inference.ExpFactory, {"asymptote": options.asymptote}),
        "poly_exponential": (inference.PolyExpFactory, {"order": options.order, "asymptote": options.asymptote}),
    }
    factory, settings = factories[options.fit]
    return partial(factory.extrapolate, **settings)


class Lre(Technique):
    """Layerwise Richardson extrapolation."""

    def expand(self, circuit: Circuit, options: LreOptions, context: StageContext) -> Expansion:
        """Fold the layers by turns."""
        from mitiq import lre
        from mitiq.lre.inference import multivariate_richardson_coefficients

        given = to_cirq(circuit, "mitiq:lre")
        settings = (options.degree, options.fold_multiplier)
        _check_terms(options.chunks or len(given), options.degree)
        method = folding(options.scaling, context.seed)
        with asked("lre", context.seed):
            scaled = lre.construct_circuits(given, *settings, folding_method=method, num_chunks=options.chunks)
            weights = [float(weight) for weight in multivariate_richardson_coefficients(given, *settings, options.chunks)]
        return Expansion(read_all(scaled, circuit, "lre"), {"weights": weights}, takes=VALUES)

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Any) -> Answer:
        """Sum up the values by the recipe's weights."""
        return weighted(recipe["weights"], answers)

    def cost(self, options: LreOptions) -> StageCost:
        """Return as many circuits as a polynomial in the chunks' scales has terms; for one chunk where the circuit decides."""
        return StageCost(comb((options.chunks or 1) + options.degree, options.degree))


def _check_terms(chunks: int, degree: int) -> None:
    if (count := comb(chunks + degree, degree)) > MOST_TERMS:
        raise Unsupported(
            f"mitiq:lre would make {count} circuits for degree {degree} in {chunks} chunks of layers; the limit is {MOST_TERMS}:"
            " set chunks to fewer"
        )


class Ddd(Technique):
    """Digital dynamical decoupling."""

    def expand(self, circuit: Circuit, options: DddOptions, context: StageContext) -> Expansion:
        """Put pulses into idle windows, all gates taking one unit of time."""
        from mitiq import ddd

        rule = {"xx": ddd.rules.xx, "yy": ddd.rules.yy, "xyxy": ddd.rules.xyxy}[options.rule]
        given = to_cirq(circuit, "mitiq:ddd")
        with asked("ddd", context.seed):
            made = ddd.construct_circuits(given, rule, {"spacing": options.spacing})
        circuits = read_all(made, circuit, "ddd")
        before, after = (sum(step.kind == "gate" for step in one.every()) for one in (circuit, circuits[0]))
        return Expansion(circuits, {"weights": [1.0], "inserted": after - before}, takes=VALUES)

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Any) -> Answer:
        """Return the answer as it is."""
        return answers[0]
