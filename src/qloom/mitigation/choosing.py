"""Which pipeline has the least expected error: candidates, and what each is expected to leave of bias and variance."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.mitigation.extrapolation import polynomial_weights
from qloom.mitigation.readout import SHOTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qloom.mitigation.wear import Wear

UNKNOWN_SIZE = 0.6
"""The value of a Pauli string, without noise, where it is not known."""
TOGETHER = 0.5
"""Which part of the square of a sum's bias comes from terms whose biases add up; the rest of them are at random."""
ALIKE = 0.3
"""How far coherent errors of two gates add up: 0 as random steps, 1 as one rotation."""
SLOPE = 0.5
"""How steeply a value changes with a small rotation somewhere in the circuit, for 1 rad."""
CLOSE = 1.1
"""Of the candidates whose expected squared error is at most so many times the least, the simplest is taken."""
SURE = 5.0
"""An exponential fit is taken only where the smallest value that it rests on is so many standard errors from its asymptote."""
TWIRLS = (4, 8, 16)
"""Numbers of instances."""
NEGLIGIBLE = 1e-9
"""Squared errors below it are none."""


DRAWN = 0.3
"""Relaxation draws values to those of |0>, not to the asymptote of an exponential: so much of what it takes is in doubt."""


class Fit(NamedTuple):
    """A way to extrapolate."""

    name: str
    scales: tuple[float, ...]

    @property
    def weights(self) -> list[float]:
        """Of the values, where the extrapolation is a weighted sum of them."""
        return polynomial_weights(self.scales, len(self.scales) - 1)[0]


FITS = (
    Fit("linear", (1.0, 3.0)),
    Fit("exponential", (1.0, 3.0)),
    Fit("richardson", (1.0, 3.0, 5.0)),
    Fit("richardson", (1.0, 3.0, 5.0, 7.0)),
)
_PLAIN = Fit("none", (1.0,))


class Candidate(NamedTuple):
    """A pipeline that may be picked.

    Attributes:
        readout, ddd: whether it has these stages.
        twirls: instances of the stage `twirling`; 0 for without.
        fit: of the stage `zne`; None for without.
    """

    readout: bool = False
    ddd: bool = False
    twirls: int = 0
    fit: Fit | None = None

    @property
    def circuits(self) -> int:
        """How many circuits it makes of one. An exponential fit that fails leaves the plain value, which is one more."""
        scales = 1 if self.fit is None else len(self.fit.scales) + (self.fit.name == "exponential")
        return scales * max(1, self.twirls)

    @property
    def stages(self) -> int:
        """How many stages it has."""
        return self.readout + self.ddd + bool(self.twirls) + (self.fit is not None)

    def pipeline(self, asymptote: float = 0.0) -> list[Any]:
        """Return it as JSON.

        >>> Candidate(readout=True, twirls=8, fit=FITS[0]).pipeline()
        ['readout', {'stage': 'twirling', 'instances': 8}, {'stage': 'zne', 'scales': [1.0, 3.0], 'fit': 'linear'}]
        """
        found: list[Any] = ["readout"] * self.readout
        found += [{"stage": "ddd", "sequence": "CPMG"}] * self.ddd
        if self.twirls:
            found.append({"stage": "twirling", "instances": self.twirls})
        if self.fit is not None:
            exponential = self.fit.name == "exponential"
            more = {"asymptote": asymptote, "on_error": "skip"} if exponential else {}
            found.append({"stage": "zne", "scales": [*self.fit.scales], "fit": self.fit.name, **more})
        return found

    def __str__(self) -> str:
        parts = ["readout"] * self.readout + ["ddd"] * self.ddd + [f"twirling {self.twirls}"] * bool(self.twirls)
        if self.fit is not None:
            parts.append(f"zne {self.fit.name} {','.join(f'{scale:g}' for scale in self.fit.scales)}")
        return " > ".join(parts) or "none"


class Possible(NamedTuple):
    """What can stand in a pipeline, by the circuit, the device and what is asked.

    Attributes:
        budget: the most circuits.
        shots: of all circuits together; None for exact values.
        readout: whether bits are misread and shots are taken.
        ddd: whether there are waits to fill.
        twirling: whether there are gates to twirl.
        zne: whether values are asked for, and there is something to fold.
        exponential: whether all observables go to one value where noise leaves nothing.
    """

    budget: int
    shots: int | None
    readout: bool
    ddd: bool
    twirling: bool
    zne: bool
    exponential: bool = True

    def candidates(self) -> Iterator[Candidate]:
        """Yield all pipelines, the simplest first."""
        known = [fit for fit in FITS if self.zne and (self.exponential or fit.name != "exponential")]
        fits: list[Fit | None] = [None, *known]
        twirls = (0, *(TWIRLS if self.twirling else ()))
        both = [
            Candidate(readout, ddd, times, fit)
            for readout, ddd, times, fit in product(
                (False, True)[: 1 + self.readout], (False, True)[: 1 + self.ddd], twirls, fits
            )
        ]
        most = self.budget if self.shots is None else min(self.budget, self.shots)
        yield from sorted(
            (one for one in both if one.circuits <= most or one.circuits == 1), key=lambda one: (one.circuits, one.stages)
        )


def _either(possible: bool) -> tuple[bool, ...]:  # noqa: FBT001  one word says it
    return (False, True) if possible else (False,)


class Forecast(NamedTuple):
    """What a candidate is expected to leave.

    Attributes:
        candidate: the pipeline.
        bias: root of the mean squared bias of the observables, each in units of the sum of its coefficients.
        variance: mean variance, in the same units.
    """

    candidate: Candidate
    bias: float
    variance: float

    @property
    def squared_error(self) -> float:
        """Bias squared and variance together."""
        return self.bias**2 + self.variance


def best(forecasts: Sequence[Forecast]) -> Forecast:
    """Return the simplest candidate that is about as good as the best one.

    Args:
        forecasts: the simplest first.

    >>> plain, folded = Candidate(), Candidate(fit=FITS[0])
    >>> str(best([Forecast(plain, 0.1, 0.001), Forecast(folded, 0.02, 0.005)]).candidate)
    'zne linear 1,3'
    >>> str(best([Forecast(plain, 0.01, 0.001), Forecast(folded, 0.0, 0.005)]).candidate)
    'none'
    """
    least = min(one.squared_error for one in forecasts)
    return next(one for one in forecasts if one.squared_error <= CLOSE * least + NEGLIGIBLE)


def forecast(candidate: Candidate, observables: Iterable[Sequence[Wear]], shots: int | None) -> Forecast:
    """Return the bias and the variance that a pipeline is expected to leave.

    A term that is v without noise is taken to be v g(s) where the noise is scaled by s, with g = exp(-s decay - s^2 drift / 2)
    times what misread bits leave of it. Coherent errors turn it: g has a cosine of s times an angle between that of random
    steps and that of one rotation, and other values mix in, in proportion to s; twirled, they decay like random errors. What
    the stages leave of that follows from their weights. Shots are split among the circuits.

    Args:
        candidate: the pipeline.
        observables: for each the wear of its terms.
        shots: of all circuits together, for each measurement setting; None for exact values.

    >>> from qloom.mitigation.wear import Wear
    >>> term = Wear(1.0, 1.0, decay=0.2)
    >>> [round(forecast(one, [[term]], 10_000).bias, 3) for one in (Candidate(), Candidate(fit=FITS[0]))]
    [0.181, 0.046]
    """
    found = [_Model(candidate, wears, shots).left() for wears in observables if wears]
    count = max(1, len(found))
    bias = math.sqrt(sum(squared for squared, _ in found) / count)
    return Forecast(candidate, bias, sum(variance for _, variance in found) / count)


class _Model:
    """One observable under one candidate."""

    def __init__(self, candidate: Candidate, wears: Sequence[Wear], shots: int | None) -> None:
        self._candidate = candidate
        self._fit = candidate.fit or _PLAIN
        total = sum(wear.weight for wear in wears)
        self._shares = [wear.weight / total for wear in wears]
        self._sizes = [UNKNOWN_SIZE if wear.size is None else wear.size for wear in wears]
        self._wears = wears
        # At one scale, over all instances.
        self._shots = math.inf if shots is None else shots * max(1, candidate.twirls) / candidate.circuits

    def left(self) -> tuple[float, float]:
        """Return the squared bias and the variance."""
        curves = [[self._kept(wear, scale) for scale in self._fit.scales] for wear in self._wears]
        noise = [self._variance([curve[place] for curve in curves]) for place in range(len(self._fit.scales))]
        weights, biases = self._extrapolated(curves, noise)
        together = sum(biases) ** 2
        apart = sum(bias**2 for bias in biases)
        squared = TOGETHER * together + (1 - TOGETHER) * apart
        variance = sum(weight**2 * one for weight, one in zip(weights, noise, strict=True))
        mixed, scattered = self._turned(weights, curves)
        return squared + mixed + self._doubted(), variance + scattered + self._uncalibrated()

    def _kept(self, wear: Wear, scale: float) -> float:
        """Return what is left of a term where the noise is scaled."""
        own = self._candidate
        power = scale * wear.decay + (scale * wear.pulsed if own.ddd else scale**2 * wear.drift / 2)
        power += scale * wear.twirled if own.twirls else 0.0
        swing = 0.0 if own.twirls else scale * math.sqrt(wear.swing * (1 + ALIKE * max(0, wear.gates - 1)) * TOGETHER)
        seen = 1.0 if own.readout else wear.seen
        return seen * math.exp(-power) * math.cos(min(swing, math.pi))

    def _variance(self, kept: Sequence[float]) -> float:
        """Return the variance of the observable at one scale."""
        if math.isinf(self._shots):
            return 0.0
        found = 0.0
        for share, size, part, wear in zip(self._shares, self._sizes, kept, self._wears, strict=True):
            read = wear.seen if self._candidate.readout else 1.0
            found += share**2 * (1 / max(read, 1e-6) ** 2 - (size * part) ** 2)
        return max(0.0, found) / self._shots

    def _extrapolated(self, curves: Sequence[Sequence[float]], noise: Sequence[float]) -> tuple[Sequence[float], list[float]]:
        """Return the weight of each scale, to first order, and the bias of each term."""
        tops = [share * size for share, size in zip(self._shares, self._sizes, strict=True)]
        if self._fit.name != "exponential":
            weights = self._fit.weights if self._candidate.fit else [1.0]
            sums = [sum(weight * part for weight, part in zip(weights, curve, strict=True)) for curve in curves]
            return weights, [top * (found - 1) for top, found in zip(tops, sums, strict=True)]
        near, far = (sum(top * curve[place] for top, curve in zip(tops, curves, strict=True)) for place in (0, 1))
        if not min(near, far) > SURE * math.sqrt(max(noise)):
            return [math.inf] * 2, [1.0]
        top = near**1.5 / far**0.5
        parts = [share * (top - sum(tops)) for share in self._shares]
        return [1.5 * top / near, 0.5 * top / far], parts

    def _turned(self, weights: Sequence[float], curves: Sequence[Sequence[float]]) -> tuple[float, float]:
        """Return the squared bias of other values that coherent errors mix in, and the scatter where they are twirled."""
        mixed = 0.0
        scattered = 0.0
        for share, size, wear, curve in zip(self._shares, self._sizes, self._wears, curves, strict=True):
            if not wear.swing or wear.size is not None:
                continue
            square = share**2 * wear.swing * SLOPE**2 * (1 - size**2)
            parts = [weight * scale * part for weight, scale, part in zip(weights, self._fit.scales, curve, strict=True)]
            if self._candidate.twirls:
                scattered += square * sum(part**2 / scale for part, scale in zip(parts, self._fit.scales, strict=True))
            else:
                mixed += square * sum(parts) ** 2
        return mixed, scattered / max(1, self._candidate.twirls)

    def _doubted(self) -> float:
        """Return the squared bias of an exponential fit where relaxation draws values elsewhere than to its asymptote."""
        if self._fit.name != "exponential":
            return 0.0
        terms = zip(self._shares, self._sizes, self._wears, strict=True)
        return sum(DRAWN * share * size * -math.expm1(-wear.relaxed) for share, size, wear in terms) ** 2

    def _uncalibrated(self) -> float:
        """Return the variance that comes of the calibration's own shots."""
        if not self._candidate.readout:
            return 0.0
        tops = zip(self._shares, self._sizes, self._wears, strict=True)
        return sum((share * size) ** 2 * wear.known for share, size, wear in tops) / SHOTS
