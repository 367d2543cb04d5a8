"""`auto`: picks the stages that suit the device's noise, the circuit and the shots."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from qloom.circuits import Observable
from qloom.contracts import Answer, Chosen, Expansion, Stage, StageContext, Wish
from qloom.contracts.stage import VALUES
from qloom.errors import Unsupported
from qloom.mitigation.choosing import Candidate, Forecast, Possible, best, forecast
from qloom.mitigation.ddd import Ddd, DddOptions
from qloom.mitigation.twirling import USUAL
from qloom.mitigation.wear import Course, Rates, Wear, rates_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qloom.circuits import Circuit

MOST_CIRCUITS = 100_000
SHOWN = 12
"""Candidates that the notes tell of."""
DIGITS = 4
LEAST_TOLD = 0.001
"""Of a value; what takes less is not told."""


class AutoOptions(BaseModel):
    """Options of the stage `auto`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    circuits: int = Field(
        60, ge=1, le=MOST_CIRCUITS, description="The budget: the most circuits that one circuit may become; calibrations aside."
    )


class Auto(Stage):
    """Picks the stages and options with the least expected error, by the device's noise; none where none is best.

    It is asked once for each structure, number of shots and kind of answer, and what it picked stands in its place: of `readout`,
    `ddd`, `twirling` and `zne` those whose expected squared error, bias squared and variance, is least within the budget of
    circuits; of pipelines that are about as good (10 %) the one with the fewest circuits. The choice is a step of the job's
    journal: a resumed job takes the same one, even if the device has been calibrated anew.

    The shots that are asked for are those of all circuits together, so a choice costs the same whatever it is, and pipelines are
    compared at equal cost; one setting more or less is rounding. Circuits to calibrate with come on top, as always.

    What it rests on: mean error rates (`DeviceSpec.notes["error_rates"]`, else the largest ones of `DeviceSpec.noise`), gate
    times, and the circuit: each Pauli string of the observables is taken back through it, and wears off by the errors of the
    gates and waits that it meets. Angles are not looked at, so a choice is the same in all iterations. A device that
    states nothing of its errors gets no stages, and the notes say so.

    Sources of the model: contraction of Pauli expectation values and cost of extrapolation, K. Temme, S. Bravyi, J. Gambetta,
    arXiv:1612.02058, and Z. Cai and others, arXiv:2210.00921; coherent errors under twirling, J. Wallman, J. Emerson,
    arXiv:1512.01098.

    Notes: `message` (what was picked and why, one line), `pipeline`, `circuits`, `shots_each`, `candidates` (the best ones:
    `pipeline`, `circuits`, expected `bias`, `variance` and `error`, the root of both together, in units of the sum of an
    observable's coefficients), `considered` (how many there were).

    >>> from qloom.circuits import Circuit
    >>> from qloom.specs import DeviceSpec
    >>> lab = DeviceSpec(name="lab", num_qubits=2, gates=frozenset({"h", "cx"}), noise={"depolarizing": 0.02})
    >>> bell, zz = Circuit(2).h(0).cx(0, 1), Observable({"ZZ": 1.0})
    >>> wish = Wish((bell,), (zz,), ((0, 1),), VALUES, 20, lab)
    >>> [Auto().choose(AutoOptions(), wish._replace(shots=shots)).pipeline for shots in (20, 20_000)]
    [[], [{'stage': 'zne', 'scales': [1.0, 3.0], 'fit': 'linear'}]]
    >>> Auto().choose(AutoOptions(), wish).notes["message"]
    'none: the best of 13 pipelines; expected error 0.05 (bias 0.021, spread 0.046); at most lost: gates and waits 2%'
    """

    name: ClassVar[str] = "auto"
    options_type: ClassVar[type[Any]] = AutoOptions
    beside: ClassVar[frozenset[str]] = frozenset({"transpile"})

    def expand(self, circuit: Circuit, options: AutoOptions, context: StageContext) -> Expansion:
        """Return the circuit as it is: what was picked stands in the place of this stage."""
        return Expansion((circuit,))

    def combine(
        self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: AutoOptions, context: StageContext
    ) -> Answer:
        """Return the answer as it is."""
        return answers[0]

    def choose(self, options: AutoOptions, wish: Wish) -> Chosen:
        """Return the pipeline for what is asked, and why.

        Raises:
            InvalidSetting: what the device states of its errors is not what it should be.
        """
        rates = rates_of(wish.spec)
        if rates is None:
            return _none(f"{wish.spec.name} states nothing of its errors")
        if wish.shots is None:  # exact values are the state's: no bit is read
            rates = rates.model_copy(update={"readout": (0.0, 0.0)})
        if rates.nothing:
            return _none(f"{wish.spec.name} has no errors")
        courses = [Course(circuit, wish.spec, rates) for circuit in wish.circuits]
        wears = [
            course.wears(observable, read)
            for course, circuit, read in zip(courses, wish.circuits, wish.measured, strict=True)
            for observable in wish.observables or _bits(circuit, read)
        ]
        possible = _possible(options, wish, rates, waits=any(course.has_waits for course in courses))
        forecasts = [forecast(candidate, wears, wish.shots) for candidate in possible.candidates()]
        return _told(best(forecasts), forecasts, wish, wears)


def _bits(circuit: Circuit, measured: Sequence[int]) -> list[Observable]:
    """Return what stands for counts: each bit, and each two that follow on each other."""
    names = [f"Z{qubit}" for qubit in measured]
    names += [f"Z{one} Z{other}" for one, other in pairwise(measured) if one != other]
    return [Observable.sparse({name: 1.0}, circuit.num_qubits) for name in names]


def _possible(options: AutoOptions, wish: Wish, rates: Rates, *, waits: bool) -> Possible:
    gates = {name for circuit in wish.circuits for name in circuit.instruction_names}
    unitary = not gates & {"if", "reset"}
    return Possible(
        budget=options.circuits,
        shots=wish.shots,
        readout=any(rates.readout) and all(map(_apart, wish.measured)),
        ddd=waits and rates.slow_dephasing_rad_per_s > 0 and _has_windows(wish),
        twirling=bool(gates & set(USUAL)),
        zne=wish.wanted == VALUES and unitary,
        exponential=len({_asymptote(one) for one in wish.observables}) == 1,
    )


def _apart(measured: Sequence[int]) -> bool:
    return 0 < len(measured) == len(set(measured))


def _has_windows(wish: Wish) -> bool:
    """Whether the stage `ddd` would find something to do in each circuit, and can do it."""
    try:
        for circuit in wish.circuits:
            Ddd().expand(circuit, DddOptions(sequence="CPMG"), StageContext(spec=wish.spec))
    except Unsupported:
        return False
    return True


def _none(why: str) -> Chosen:
    notes = {"message": f"none: {why}", "pipeline": [], "circuits": 1, "shots_each": None, "candidates": [], "considered": 1}
    return Chosen([], 1, notes)


def _told(found: Forecast, forecasts: Sequence[Forecast], wish: Wish, wears: Sequence[Sequence[Wear]]) -> Chosen:
    candidate = found.candidate
    pipeline = candidate.pipeline(_asymptote(wish.observables[0]) if wish.observables else 0.0)
    ranked = sorted(forecasts, key=lambda one: one.squared_error)[:SHOWN]
    if found not in ranked:
        ranked[-1] = found
    notes = {
        "message": _message(found, forecasts, wears),
        "pipeline": pipeline,
        "circuits": candidate.circuits,
        "shots_each": None if wish.shots is None else -(-wish.shots // candidate.circuits),
        "candidates": [_row(one) for one in ranked],
        "considered": len(forecasts),
    }
    return Chosen(pipeline, candidate.circuits, notes)


def _asymptote(observable: Observable) -> float:
    """Return what its value goes to where noise leaves nothing: the coefficient of the identity."""
    return observable.terms.get("I" * observable.num_qubits, 0.0)


def _message(found: Forecast, forecasts: Sequence[Forecast], wears: Sequence[Sequence[Wear]]) -> str:
    """Return one line on what was picked and why."""
    plain = next(one for one in forecasts if one.candidate == Candidate())
    terms = [wear for row in wears for wear in row] or [Wear(1.0, 0.0)]
    parts = {
        "gates and waits": max(1 - math.exp(-wear.decay - wear.drift / 2) for wear in terms),
        "coherent errors": max(1 - math.cos(min(math.pi, math.sqrt(wear.swing))) for wear in terms),
        "misread bits": max(1 - wear.seen for wear in terms),
    }
    worn = ", ".join(f"{name} {part:.0%}" for name, part in parts.items() if part >= LEAST_TOLD) or "noise takes hardly anything"
    tried = f"the best of {len(forecasts)} pipelines"
    if found is plain:
        return f"none: {tried}; expected error {_error(plain)}; at most lost: {worn}"
    circuits = found.candidate.circuits
    return (
        f"{found.candidate} ({circuits} circuit{'s' * (circuits > 1)}): {tried}; expected error {_error(found)}, without stages"
        f" {_error(plain)}; at most lost: {worn}"
    )


def _error(one: Forecast) -> str:
    return f"{one.squared_error**0.5:.2g} (bias {one.bias:.2g}, spread {one.variance**0.5:.2g})"


def _row(one: Forecast) -> dict[str, Any]:
    error = one.squared_error**0.5
    figures = {"bias": one.bias, "variance": one.variance, "error": error}
    return {
        "pipeline": str(one.candidate),
        "circuits": one.candidate.circuits,
        **{name: float(f"{value:.{DIGITS}g}") for name, value in figures.items()},
    }
