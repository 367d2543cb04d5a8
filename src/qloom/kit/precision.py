"""Expectation values to an asked precision: a few looks, each with as many shots as what was seen so far calls for.

After a first look the variance of one shot is known roughly, and with it how many shots are needed. The value is the mean over
all shots of all looks, so it hardly depends on when the looking ended (C. Stein, A two-sample test for a linear hypothesis whose
power is independent of the variance, Annals of Mathematical Statistics 16, 243, 1945). What was never seen is not taken for
impossible: a few shots of the largest variance there can be are counted in (A. Agresti and B. Coull, Approximate is better than
"exact" for interval estimation of binomial proportions, The American Statistician 52, 119, 1998).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, SupportsFloat

from qloom.errors import InvalidTask, Unsupported
from qloom.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.circuits import Observable
    from qloom.tasks import FloatArray

FIRST_SHOTS = 512
"""Shots of the first look: enough for the variance of one shot to within about ten per cent."""
UNSEEN = 16.0
"""The sum that is added to the squared deviations of all shots, in units of the largest variance of one shot."""
RESERVE = 1.05
"""So many times the shots that are just enough are taken, so that a second look mostly suffices."""
LOOKS = 12
MOST_SHOTS = 10**12


def read_precision(precision: object) -> float:
    """Return a precision as a float.

    Raises:
        InvalidTask: not a finite number above 0.

    >>> read_precision(-0.1)
    Traceback (most recent call last):
    qloom.errors.InvalidTask: precision must be a number above 0 (the largest standard error), got -0.1
    """
    value = float(precision) if isinstance(precision, SupportsFloat) and not isinstance(precision, bool | str) else math.nan
    if not math.isfinite(value) or value <= 0:
        raise InvalidTask(f"precision must be a number above 0 (the largest standard error), got {precision!r}")
    return value


def largest_variances(observables: Sequence[Observable]) -> FloatArray:
    """Return the largest variance that one shot of each observable can have, shape (observables,); groups are independent.

    >>> from qloom.circuits import Observable
    >>> largest_variances([Observable({"ZZ": 1.0, "ZI": -1.0, "XX": 0.5, "II": 9.0})]).tolist()
    [4.25]
    """
    import numpy as np

    return np.array(
        [
            sum(sum(abs(observable.coefficients[index]) for index in group.terms) ** 2 for group in observable.groups)
            for observable in observables
        ]
    )


def to_precision(measure: Callable[[int, int], Result], precision: float, variances: FloatArray) -> Result:
    """Return values whose standard errors are at most `precision`.

    Args:
        measure: (shots, number of the look) -> values with standard errors, shape (items, observables).
        precision: the largest standard error.
        variances: as `largest_variances` gives them.

    Returns:
        The values over all looks; `shots` are those of all looks together, for each measurement group.

    Raises:
        Unsupported: it would take more shots than anybody waits for; the number is in the message.
    """
    import numpy as np

    total, ask = 0, FIRST_SHOTS
    sums: FloatArray = np.zeros(1)
    squares: FloatArray = np.zeros(1)
    for look in range(LOOKS):
        found = measure(ask, look)
        total += ask
        sums = sums + ask * found.values
        squares = squares + (ask * found.standard_errors) ** 2  # shots times the variance of one shot
        of_one_shot = (squares + UNSEEN * variances) / total
        needed = math.ceil(RESERVE * float(of_one_shot.max(initial=0.0)) / precision**2)
        _check(needed, precision)
        errors = np.sqrt(of_one_shot / total)
        if errors.max(initial=0.0) <= precision:
            return _joined(found, total, sums / total, errors, precision, look + 1)
        ask = max(needed - total, FIRST_SHOTS)
    raise Unsupported(f"the precision {precision:g} was not reached with {total} shots; ask for a larger one, or give shots")


def _joined(last: Result, shots: int, values: FloatArray, errors: FloatArray, precision: float, looks: int) -> Result:
    return Result(
        engine=last.engine,
        shots=shots,
        sets=last.sets,
        key_lengths=last.key_lengths,
        values=values,
        standard_errors=errors,
        stages=last.stages,
        metadata=last.metadata | {"precision": precision, "looks": looks},
    )


def _check(needed: int, precision: float) -> None:
    if needed > MOST_SHOTS:
        raise Unsupported(
            f"precision {precision:g} needs about {needed:.3g} shots for each measurement group, the limit is {MOST_SHOTS:.3g}; "
            "ask for a larger one, or for exact values"
        )
