"""`average`: the answers of parallel branches as one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from qloom.circuits import Circuit
from qloom.contracts import Answer, Expansion, Stage, StageContext
from qloom.errors import InvalidTask, Unsupported
from qloom.mitigation.distributions import mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]


class AverageOptions(BaseModel):
    """Options of the stage `average`: there are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Average(Stage):
    """The mean of parallel branches, each weighted by the inverse of its variance.

    Of independent unbiased estimates that is the one of least variance (Aitken, Proc. R. Soc. Edinburgh 55 (1936) 42; Particle
    Data Group, Review of Particle Physics, section Statistics). A branch's bias does not enter: one that is sure and wrong
    outweighs one that is right and noisy. Where all branches are exact they weigh the same; where some are, these alone count.

    Counts are pooled: setting by setting the mean distribution, weighted by shots over spread.

    Notes, for values: `values`, `standard_errors` and `weights` of the branches, shape (branches, sets, observables).

    >>> from qloom.specs import DeviceSpec
    >>> context = StageContext(spec=DeviceSpec(name="lab", num_qubits=1, gates=frozenset({"h"})))
    >>> one, two = (Answer(np.array([[value]]), np.array([[error]])) for value, error in ((0.5, 0.1), (0.7, 0.2)))
    >>> both = Average().combine({}, [one, two], AverageOptions(), context)
    >>> both.values.round(6).tolist(), both.standard_errors.round(6).tolist()
    ([[0.54]], [[0.089443]])
    """

    name: ClassVar[str] = "average"
    options_type: ClassVar[type[Any]] = AverageOptions
    joins_branches: ClassVar[bool] = True

    def expand(self, circuit: Circuit, options: AverageOptions, context: StageContext) -> Expansion:
        """Return the circuit itself: behind branches there is nothing to expand."""
        return Expansion((circuit,))

    def combine(
        self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: AverageOptions, context: StageContext
    ) -> Answer:
        if not answers:
            raise Unsupported("stage average: there is no branch to average; give some under `parallel`")
        if answers[0].values is None:
            return _pooled(answers)
        if shapes := {None if each.values is None else each.values.shape for each in answers} - {answers[0].values.shape}:
            raise Unsupported(
                f"stage average: a branch gave values of shape {answers[0].values.shape}, another of {shapes.pop()}"
            )
        values, errors = np.array([each.values for each in answers]), np.array([each.standard_errors for each in answers])
        if not math.isfinite(values.sum() + errors.sum()):
            bad = next(number for number in range(len(answers)) if not np.isfinite(values[number] + errors[number]).all())
            raise Unsupported(f"stage average: branch {bad} gave values that are no numbers; look at its stages")
        weights, error = _weights(errors)
        context.notes["values"], context.notes["standard_errors"], context.notes["weights"] = values, errors, weights
        return Answer((weights * values).sum(axis=0), error)


def _weights(errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the weights, with sum 1, and the standard errors of the means.

    >>> [found.tolist() for found in _weights(np.array([[0.0], [0.1]]))]
    [[[1.0], [0.0]], [0.0]]
    """
    smallest = errors.min(axis=0)
    if smallest.all():
        # relative to the surest, since squares of small errors would underflow
        worth = (smallest / errors) ** 2
        total = worth.sum(axis=0)
        return worth / total, smallest / np.sqrt(total)
    exact = errors == 0
    sure = np.where(smallest == 0, 1.0, smallest)
    worth = np.where(smallest == 0, exact, (sure / np.where(exact, 1.0, errors)) ** 2)
    total = worth.sum(axis=0)
    return worth / total, smallest / np.sqrt(total)


def _pooled(answers: Sequence[Answer]) -> Answer:
    sizes = {tuple(map(len, each.distributions)) for each in answers}
    if len(sizes) != 1:
        raise Unsupported(f"stage average: branches gave counts of different sets and settings, {sorted(sizes)}; ask for values")
    try:
        sets = tuple(
            tuple(mean(same) for same in zip(*settings, strict=True))
            for settings in zip(*(each.distributions for each in answers), strict=True)
        )
    except InvalidTask as error:
        raise Unsupported(
            f"stage average: {error}; ask for expectation values, which branches may measure in their own ways"
        ) from error
    if not all(math.isfinite(found.weights.sum()) for settings in sets for found in settings):
        raise Unsupported("stage average: a branch gave counts with weights that are no numbers; look at its stages")
    return Answer(distributions=sets)
