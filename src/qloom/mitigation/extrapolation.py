"""Fits of values at several noise scales, and what they say of no noise; many values are fitted at once.

Sources: T. Giurgica-Tiron et al., "Digital zero noise extrapolation for quantum error mitigation", arXiv:2005.10921 (all fits,
and the adaptive choice of scales); K. Temme, S. Bravyi, J. Gambetta, "Error mitigation for short-depth quantum circuits",
arXiv:1612.02058 (Richardson's extrapolation).

Arrays: scales (points,), values and their standard errors (points, series). A fit is by least squares with equal weights, and its
error bar is what the standard errors of the values amount to in it: exactly where the fit is linear in the values, to first order
where it is not. A bad model shows in no error bar.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SMALLEST_DISTANCE = 1e-6
"""What a value on the wrong side of a known asymptote is taken to be away from it, so that it has a logarithm."""
CONSTANT = 1e-12
"""Values that differ by less, relative to the largest or to 1, are one value: they show no noise at all."""
FASTEST_DECAY = 15.0
"""A fitted exponent that grows by more than this between neighbouring scales was not found but ran away."""

_SHIFT = 1.27846  # 1 + W(1/e): the second of two scales that gives the smallest error, in units of the decay
_TINY = 1e-9
_STEPS = 200
_POLISHING = 30
_DONE = 1e-13
_AT_REST = 1e-8
_ROUNDING = 1e-16
_LARGEST = 1e100
_LARGEST_GROWTH = 50.0


class Fit(NamedTuple):
    """Fits of one form to all series.

    Attributes:
        values: at no noise, (series,).
        errors: standard errors of these, (series,).
        coefficients: (coefficients, series): of a polynomial in ascending order; of an exponential the a, b, z1, z2, ... of
            a + b exp(z1 x + z2 x**2 + ...).
        converged: (series,); where it is False the rest means nothing.
    """

    values: FloatArray
    errors: FloatArray
    coefficients: FloatArray
    converged: BoolArray


def polynomial_weights(scales: Sequence[float], order: int) -> list[list[float]]:
    """Return what the values are weighted with to give each coefficient of the least-squares polynomial, constant first.

    The first row gives the value at no noise. With one more scale than `order` it is Richardson's extrapolation.

    Worked out in fractions, hence exact to the last rounding. There are at least as many different scales as coefficients.

    >>> polynomial_weights([1, 3, 5], 2)[0], polynomial_weights([1, 3], 1)
    ([1.875, -1.25, 0.375], [[1.5, -0.5], [-0.5, 0.5]])
    """
    size = order + 1
    points = [_powers(Fraction(scale), size) for scale in scales]
    # The normal equations, and on their right what each value adds.
    rows: list[list[Fraction]] = [
        [
            *(sum((point[row] * point[column] for point in points), Fraction()) for column in range(size)),
            *(point[row] for point in points),
        ]
        for row in range(size)
    ]
    for pivot in range(size):
        # The matrix is positive definite, so no pivot is 0.
        rows[pivot] = [entry / rows[pivot][pivot] for entry in rows[pivot]]
        for other in (row for row in range(size) if row != pivot):
            factor = rows[other][pivot]
            rows[other] = [entry - factor * top for entry, top in zip(rows[other], rows[pivot], strict=True)]
    return [[float(entry) for entry in row[size:]] for row in rows]


def _powers(scale: Fraction, count: int) -> list[Fraction]:
    powers = [Fraction(1)]
    while len(powers) < count:
        powers.append(powers[-1] * scale)
    return powers


def log_linear(scales: FloatArray, values: FloatArray, errors: FloatArray, asymptote: float, order: int = 1) -> Fit:
    """Fit `asymptote ± exp(z0 + z1 x + ...)`: the exponent to the logarithms of the distances from the asymptote.

    Squared residuals of the logarithms are weighted with the distances, since small ones have large errors. The sign is that of
    the distance of a straight line's value at no noise.

    >>> x = np.array([1.0, 2.0, 3.0])
    >>> fit = log_linear(x, 0.25 + 0.75 * np.exp(-0.2 * x)[:, None], np.zeros((3, 1)), asymptote=0.25)
    >>> fit.values.round(9).tolist(), fit.coefficients[:, 0].round(9).tolist()
    ([1.0], [0.25, 0.75, -0.2])
    """
    centred = scales - scales.mean()
    line = 1 / len(scales) - scales.mean() * centred / (centred @ centred)
    sign = np.sign(line @ values - asymptote)
    distances = np.maximum(sign * (values - asymptote), SMALLEST_DISTANCE)
    weights = np.sqrt(distances)
    columns = weights.T[:, :, None] * scales[:, None] ** np.arange(order + 1)
    solver = np.linalg.pinv(columns)
    exponents = np.einsum("npk,kn->pn", solver, weights * np.log(distances))
    size = np.exp(exponents[0])
    slopes = size * solver[:, 0, :].T * weights / distances
    spread = np.sqrt((slopes**2 * errors**2).sum(axis=0))
    found = asymptote + sign * size
    coefficients = np.vstack([np.full_like(found, asymptote), sign * size, exponents[1:]])
    return Fit(found, spread, coefficients, np.isfinite(found))


def exponential(scales: FloatArray, values: FloatArray, errors: FloatArray, order: int = 1) -> Fit:
    """Fit `a + b exp(z1 x + ... )` with a free asymptote a, by Levenberg and Marquardt's method from the best of many decays.

    Values that are all alike are their own answer. A fit that runs away, to an infinite b or decay, has not converged.

    >>> x = np.array([1.0, 3.0, 5.0])
    >>> fit = exponential(x, 0.25 + 0.75 * np.exp(-0.2 * x)[:, None], np.zeros((3, 1)))
    >>> fit.values.round(9).tolist(), fit.coefficients[:, 0].round(9).tolist()
    ([1.0], [0.25, 0.75, -0.2])
    """
    data = values.T
    gap = float(np.diff(np.unique(scales)).min())
    constant = np.ptp(data, axis=1) <= CONSTANT * np.maximum(1.0, np.abs(data).max(axis=1))
    theta = _start(scales, data, gap)
    theta[constant] = 0.0
    theta[constant, 0] = data[constant].mean(axis=1)
    with np.errstate(all="ignore"):
        theta = _least_squares(lambda given: _decay(scales, given), theta, data, ~constant)
        found = _as_exponential(theta)
        left, jacobian = _decay(scales, theta)
        if order > 1:
            theta = _higher_fit(scales, data, theta, gap, order, ~constant)
            found = np.vstack([theta[:, :1].T - theta[:, 1:2].T, theta[:, 1:].T])
            left, jacobian = _higher(scales, theta)
        slopes = np.linalg.pinv(np.nan_to_num(jacobian, posinf=0.0, neginf=0.0))[:, 0, :]
        rest = (slopes * (data - left)).sum(axis=1)
    v, decays = theta[:, 0], theta[:, 2]
    at_rest = np.abs(rest) <= _AT_REST * np.maximum(1.0, np.abs(v))
    converged = constant | (np.isfinite(theta).all(axis=1) & at_rest & (np.abs(decays * gap) < FASTEST_DECAY))
    return Fit(v, np.sqrt((slopes**2 * errors.T**2).sum(axis=1)), found, converged)


def next_scale(fit: Fit, largest: float) -> float:
    """Return the noise scale at which the next values say most of the decay: 1 + 1.27846 / |z1|, `largest` at most.

    Of several series it is the median of what each of them asks for.

    >>> fit = Fit(np.ones(1), np.zeros(1), np.array([[0.0], [1.0], [-0.5]]), np.array([True]))
    >>> round(next_scale(fit, 6.0), 4), next_scale(fit, 3.0)
    (3.5569, 3.0)
    """
    decays = fit.coefficients[2][fit.converged]
    if not decays.size:
        return largest
    return float(np.median(np.minimum(1 + _SHIFT / np.maximum(np.abs(decays + _TINY), _TINY), largest)))


# ---- the exponential with a free asymptote ---------------------------------------------------------------------------
# It is fitted as v + B x E(c x) with E(t) = (exp(t) - 1) / t: v is the value at no noise, and where the decay c is 0 this is a
# straight line, not 0 times infinity. b = B / c, a = v - b.


def _growth(t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (exp(t) - 1) / t and its derivative."""
    small = np.abs(t) < 1e-3  # below it the sums are exact to rounding
    safe = np.where(small, 1.0, t)
    ratio = np.where(small, 1 + t / 2 + t**2 / 6 + t**3 / 24 + t**4 / 120, np.expm1(safe) / safe)
    slope = np.where(small, 1 / 2 + t / 3 + t**2 / 8 + t**3 / 30 + t**4 / 144, (np.exp(safe) - ratio) / safe)
    return ratio, slope


def _decay(x: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return v + B x E(c x), (series, points), and its derivatives by v, B and c, (series, points, 3)."""
    v, height, c = (theta[:, column, None] for column in range(3))
    ratio, slope = _growth(c * x)
    return v + height * x * ratio, np.stack([np.ones_like(ratio), x * ratio, height * x**2 * slope], axis=2)


def _higher(x: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return v + b (exp(z(x)) - 1) and its derivatives by v, b and the coefficients of z from z1 up."""
    powers = x[:, None] ** np.arange(1, theta.shape[1] - 1)
    exponent = theta[:, 2:] @ powers.T
    height = theta[:, 1, None]
    by_exponents = (height * np.exp(exponent))[:, :, None] * powers
    lower = np.stack([np.ones_like(exponent), np.expm1(exponent)], axis=2)
    return theta[:, :1] + height * np.expm1(exponent), np.concatenate([lower, by_exponents], axis=2)


def _start(x: FloatArray, data: FloatArray, gap: float) -> FloatArray:
    """Return v, B and c of the best of many decays; for a given c the best v and B are those of a straight line in x E(c x)."""
    sizes = np.logspace(-2, np.log10(FASTEST_DECAY), 30) / gap
    decays = np.concatenate([-sizes, [0.0], sizes[sizes * x.max() < _LARGEST_GROWTH]])
    column = x * _growth(decays[:, None] * x)[0]
    centred = column - column.mean(axis=1, keepdims=True)
    norm = (centred**2).sum(axis=1)
    along = data @ centred.T
    # A decay that is over before the first scale leaves nothing but rounding.
    seen = norm > _ROUNDING * (column**2).sum(axis=1)
    best = np.argmax(np.where(seen, along**2 / np.where(seen, norm, 1.0), -1.0), axis=1)
    rows = np.arange(len(data))
    height = along[rows, best] / norm[best]
    return np.stack([data.mean(axis=1) - height * column[best].mean(axis=1), height, decays[best]], axis=1)


def _higher_fit(x: FloatArray, data: FloatArray, theta: FloatArray, gap: float, order: int, wanted: BoolArray) -> FloatArray:
    """Return v, b, z1, ... of the better of two fits: from the simple exponential, and from a plain decay to 0."""
    v, height, c = theta.T
    slow = 1e-2 / gap
    c = np.where(np.abs(c) < slow, np.copysign(slow, np.where(c == 0, -1.0, c)), c)
    rest = [np.zeros_like(c)] * (order - 1)
    falls = np.sign(data[:, 0] - data[:, -1])
    starts = (np.stack([v, height / c, c, *rest], axis=1), np.stack([falls, falls, np.full_like(c, -1.0), *rest], axis=1))
    fits = [_least_squares(lambda given: _higher(x, given), start, data, wanted) for start in starts]
    left = [((data - _higher(x, fit)[0]) ** 2).sum(axis=1) for fit in fits]
    better = np.where((left[1] < left[0])[:, None], fits[1], fits[0])
    return np.where(wanted[:, None], better, np.concatenate([theta, np.zeros((len(theta), order - 1))], axis=1))


def _as_exponential(theta: FloatArray) -> FloatArray:
    v, height, c = theta.T
    c = np.where((c == 0) & (height != 0), -_TINY, c)
    b = np.divide(height, c, out=np.zeros_like(c), where=c != 0)
    return np.stack([v - b, b, c])


def _least_squares(
    model: Callable[[FloatArray], tuple[FloatArray, FloatArray]], theta: FloatArray, data: FloatArray, wanted: BoolArray
) -> FloatArray:
    """Return parameters (series, parameters) that fit the data (series, points) best near where they start."""
    damping: FloatArray = np.full(len(theta), 1e-3)
    moving = wanted.copy()
    left, jacobian = model(theta)
    for _ in range(_STEPS):
        if not moving.any():
            break
        step = _damped_step(jacobian, data - left, damping)
        tried = np.where(moving[:, None], theta + step, theta)
        new_left, new_jacobian = model(tried)
        tame = np.abs(new_jacobian).max(axis=(1, 2)) < _LARGEST
        better = moving & tame & (((data - new_left) ** 2).sum(axis=1) < ((data - left) ** 2).sum(axis=1))
        theta = np.where(better[:, None], tried, theta)
        left, jacobian = np.where(better[:, None], new_left, left), np.where(better[:, None, None], new_jacobian, jacobian)
        damping = np.clip(np.where(better, damping / 10, damping * 10), 1e-15, 1e30)
        moving &= (np.abs(step) > _DONE * (np.abs(theta) + _DONE)).any(axis=1)
    return _polished(model, theta, data, wanted)


def _damped_step(jacobian: FloatArray, residuals: FloatArray, damping: FloatArray) -> FloatArray:
    normal = np.einsum("nkp,nkq->npq", jacobian, jacobian)
    gradient = np.einsum("nkp,nk->np", jacobian, residuals)
    sizes = np.einsum("npp->np", normal)
    ridge = damping[:, None] * sizes + 1e-15 * sizes.max(axis=1, keepdims=True) + 1e-300
    found: FloatArray = np.linalg.solve(normal + ridge[:, :, None] * np.eye(normal.shape[1]), gradient[:, :, None])[:, :, 0]
    return found


def _polished(
    model: Callable[[FloatArray], tuple[FloatArray, FloatArray]], theta: FloatArray, data: FloatArray, wanted: BoolArray
) -> FloatArray:
    """Take Gauss and Newton's steps for as long as they shrink: near a minimum the sum of squares tells too little."""
    before: FloatArray = np.full(len(theta), np.inf)
    moving = wanted.copy()
    for _ in range(_POLISHING):
        left, jacobian = model(theta)
        step: FloatArray = np.einsum("npk,nk->np", np.linalg.pinv(jacobian), data - left)
        size: FloatArray = np.abs(step / (np.abs(theta) + _DONE)).max(axis=1)
        moving &= (size < before / 2) & (size < 1e-3)  # larger steps are no polishing
        if not moving.any():
            break
        theta, before = np.where(moving[:, None], theta + step, theta), size
    return theta
