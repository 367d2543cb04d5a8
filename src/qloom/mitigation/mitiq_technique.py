"""What Mitiq's techniques have in common: asking Mitiq, and putting values together."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager, nullcontext
from functools import partial
from math import hypot
from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.contracts.stage import Answer, StageCost
from qloom.errors import Unsupported
from qloom.mitigation.cirq_bridge import from_cirq, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from qloom.circuits import Circuit
    from qloom.contracts.stage import Expansion, StageContext

    FloatArray = npt.NDArray[np.float64]

SEEDS = 1 << 32


class Technique(ABC):
    """One technique in two halves, as a stage has them; `options` are the technique's own."""

    @abstractmethod
    def expand(self, circuit: Circuit, options: Any, context: StageContext) -> Expansion:
        """Return the circuits to run; see `qloom.contracts.Stage`."""

    @abstractmethod
    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Any) -> Answer:
        """Return one answer from those of the circuits."""

    def cost(self, options: Any) -> StageCost:
        """Return what it multiplies."""
        return StageCost()


@contextmanager
def asked(technique: str, seed: int | None = None) -> Iterator[None]:
    """Call Mitiq: what it draws hangs on the seed, and what it refuses is refused in our words.

    Raises:
        Unsupported: what Mitiq raised is in the message.
    """
    from mitiq.zne.inference import ExtrapolationError
    from mitiq.zne.scaling.folding import UnfoldableCircuitError

    try:
        with nullcontext() if seed is None else seeded(seed % SEEDS), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\s*No representation found")  # gates without errors have none
            yield
    except (ValueError, ArithmeticError, np.linalg.LinAlgError, ExtrapolationError, UnfoldableCircuitError) as error:
        raise Unsupported(
            f"mitiq:{technique}: Mitiq refuses: {str(error).strip()}; change the options or leave it out"
        ) from error


def stacked(answers: Sequence[Answer]) -> tuple[FloatArray, FloatArray]:
    """Return values and their errors, each of shape (circuits, sets, observables)."""
    values = np.stack([np.asarray(answer.values) for answer in answers])
    errors = np.stack(
        [np.zeros(values.shape[1:]) if answer.standard_errors is None else answer.standard_errors for answer in answers]
    )
    return values, errors


def weighted(weights: Sequence[float], answers: Sequence[Answer]) -> Answer:
    """Return the sum of values by weights, and its error."""
    values, errors = stacked(answers)
    factors = np.array(weights)
    return Answer(np.tensordot(factors, values, 1), np.sqrt(np.tensordot(factors**2, errors**2, 1)))


def each(function: Callable[[FloatArray, int], float], answers: Sequence[Answer]) -> Answer:
    """Return a function of the circuits' values for every set and observable.

    Errors go through by how far the function moves when one value moves by its error.

    Args:
        function: of the values of all circuits, shape (circuits,), and of the observable's position.
        answers: of the circuits.
    """
    values, errors = stacked(answers)
    found, spread = np.empty(values.shape[1:]), np.zeros(values.shape[1:])
    for row, column in np.ndindex(values.shape[1], values.shape[2]):
        given, width = values[:, row, column], errors[:, row, column]
        found[row, column] = function(given, column)
        moves = [function(given + step, column) - function(given - step, column) for step in np.diag(width)[width > 0]]
        spread[row, column] = hypot(*moves) / 2
    return Answer(found, spread)


def read_all(found: Sequence[Any], source: Circuit, technique: str) -> tuple[Circuit, ...]:
    """Return Mitiq's circuits as ours."""
    return tuple(from_cirq(one, source, f"mitiq:{technique}") for one in found)


def folding(scaling: str, seed: int) -> Callable[..., Any]:
    """Return what scales a circuit's noise, a function of the circuit and the scale."""
    from mitiq.zne import scaling as methods

    if scaling == "random":
        return partial(methods.fold_gates_at_random, seed=seed % SEEDS)
    found = {"global": methods.fold_global, "all": methods.fold_all, "identity": methods.insert_id_layers}
    return found[scaling]  # type: ignore[no-any-return]
