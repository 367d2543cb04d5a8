"""The curves that extrapolations fit, from what they note of them: for drawing, and for whoever fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

POLYNOMIAL, EXPONENTIAL = "polynomial", "exponential"
CURVE_POINTS = 101


def curve(form: str, coefficients: FloatArray, x: FloatArray) -> FloatArray:
    """Return fitted values at the scales `x`, (points, ...), from coefficients (coefficients, ...) of a form.

    Args:
        form: `polynomial`, the sum of c_k x^k; or `exponential`, c_0 + c_1 exp(c_2 x + c_3 x^2 + ...).
        coefficients: from c_0 up.
        x: (points,).

    >>> import numpy as np
    >>> curve("polynomial", np.array([[1.0], [-0.5]]), np.array([0.0, 2.0])).tolist()
    [[1.0], [0.0]]
    >>> curve("exponential", np.array([[0.5], [0.5], [-1.0]]), np.array([0.0])).tolist()
    [[1.0]]
    """
    import numpy as np

    points = x.reshape(-1, *(1,) * (coefficients.ndim - 1))
    if form == POLYNOMIAL:
        polynomial: FloatArray = sum((row * points**power for power, row in enumerate(coefficients)), np.zeros(1))
        return polynomial
    base, height, *exponents = coefficients
    exponent = sum((row * points**power for power, row in enumerate(exponents, 1)), np.zeros(1))
    found: FloatArray = base + height * np.exp(exponent)
    return found


def fit_curve(notes: Mapping[str, Any], points: int = CURVE_POINTS) -> tuple[FloatArray, FloatArray]:
    """Return a fitted curve from no noise to the largest scale, for drawing.

    Args:
        notes: the stage's, as in `result.stages["zne"]`: `scales`, `form` and `coefficients`.
        points: of the curve.

    Returns:
        Scales, shape (points,), and values, shape (points, sets, observables).

    >>> import numpy as np
    >>> notes = {"scales": [1.0, 3.0], "form": "polynomial", "coefficients": np.array([[[1.0]], [[-0.1]]])}
    >>> x, y = fit_curve(notes, points=3)
    >>> x.tolist(), y[:, 0, 0].round(9).tolist()
    ([0.0, 1.5, 3.0], [1.0, 0.85, 0.7])
    """
    import numpy as np

    x = np.linspace(0.0, max(notes["scales"]), points)
    return x, curve(notes["form"], np.asarray(notes["coefficients"], dtype=np.float64), x)
