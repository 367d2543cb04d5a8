"""`readout`: what is read is corrected by the measured confusion of the bits."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from qloom.circuits import Circuit, Instruction
from qloom.contracts import Answer, Calibration, Distribution, Expansion, Stage, StageContext, StageCost
from qloom.contracts.stage import COUNTS, VALUES
from qloom.errors import CorruptRecord, InvalidSetting, QloomError, Unsupported
from qloom.mitigation.distributions import MOST_BITS, Estimator, basis_of, bit_columns, plain
from qloom.mitigation.unfolding import Confusion, cluster

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from qloom.circuits import Observable
    from qloom.results import Result

    FloatArray = npt.NDArray[np.float64]
    Table = list[list[float]]

FULL_BITS = 10
"""A full confusion matrix takes 2**bits circuits, and its inverse 8 MiB at 10 bits."""
SHOTS = 8192
"""So that a flip of 2 % is known to 0.0015."""
DAY_S = 86400.0
OTHERS = {"full": "model=tensored or model=correlated", "tensored": "model=correlated or model=full"}

Probability = Annotated[float, Field(ge=0, le=1)]
Flip = tuple[Probability, Probability]


class ReadoutOptions(BaseModel):
    """Options of the stage `readout`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Literal["tensored", "full", "correlated"] = Field(
        "tensored",
        description="How bits are misread: each alone (2 calibration circuits), in pairs (2 + 2 ceil(log2 bits)), or all together"
        f" (2**bits, up to {FULL_BITS} bits).",
    )
    method: Literal["inverse", "iterative"] = Field(
        "inverse", description="The inverse of the confusion matrix, unbiased; or iterative Bayesian unfolding, never negative."
    )
    iterations: int = Field(100, ge=1, le=10000, description="Steps of iterative unfolding; more of them, less bias, more noise.")
    shots: int | None = Field(
        None, ge=1, description=f"Of each calibration circuit; {SHOTS} if not given, fewer where the device gives no more."
    )
    max_age_s: float = Field(DAY_S, gt=0, allow_inf_nan=False, description="How old a kept calibration may be (s).")
    flips: Flip | tuple[Flip, ...] | None = Field(
        None,
        description="Instead of calibrating: [p(1|0), p(0|1)] for every bit, or a list of such pairs, one for each bit.",
    )
    matrix: tuple[tuple[Probability, ...], ...] | None = Field(
        None,
        description="Instead of calibrating, with model=full: rows are what is read, columns what was prepared, bit 0 first.",
    )
    pairs: tuple[tuple[int, int], ...] | None = Field(
        None,
        description="With model=correlated: which classical bits belong together, the others alone; the most correlated ones if"
        " not given.",
    )

    @model_validator(mode="after")
    def _fit(self) -> ReadoutOptions:
        if self.flips is not None and self.model != "tensored":
            raise ValueError(f"flips say how each bit is misread alone, which is model=tensored, not {self.model}")
        if self.matrix is not None and self.model != "full":
            raise ValueError(f"a matrix says how all bits are misread together, which is model=full, not {self.model}")
        if self.pairs is not None and self.model != "correlated":
            raise ValueError(f"pairs belong to model=correlated, not {self.model}")
        named = [bit for pair in self.pairs or () for bit in pair]
        if len(set(named)) != len(named) or min(named, default=0) < 0:
            raise ValueError(f"pairs name a bit twice, or below 0: {self.pairs}; the model takes pairs that share no bit")
        return self


class Readout(Stage):
    """Readout errors undone: tensored, correlated-pair or full confusion matrices, by inverse or iterative unfolding.

    Expectation values are estimated from the raw counts: each Pauli string by the exact inverse on the bits that it touches, so
    that the cost does not grow as 2**bits, with the standard error of that very estimator. It rests on the shots of the
    evaluation; the calibration's own error, about 1/sqrt(its shots) for each bit, comes on top and is the same in every
    evaluation. With the iterative method values are those of the unfolded distribution, with the inverse's standard errors,
    which are not below its own.

    Counts become quasi-distributions: up to 12 bits over all keys, exactly; above over the keys that were seen (M3).

    Calibration: basis states on the measured qubits. Tensored: all 0 and all 1, so errors are taken not to depend on the other
    bits. Full: every basis state. Correlated: a family of basis states in which every two bits take all four values, from the
    binary digits of the bits' numbers (overlapping tomography: Cotler, Wilczek, arXiv:1908.02754; for readout Maciejewski,
    Baccari, Zimborás, Oszmaniec, arXiv:2101.02331); then pairs that share no bit, the most correlated first.

    Sources of the estimators: Bravyi, Sheldon, Kandala, McKay, Gambetta, arXiv:2006.14044 (inverses); Nation, Kang, Sundaresan,
    Gambetta, arXiv:2108.12518 (M3); D'Agostini, Nucl. Instrum. Meth. A 362 (1995) 487, and Nachman, Urbanek, de Jong, Bauer,
    arXiv:1910.01969 (iterative).

    Notes: `model`, `method`, `confusion` (for each cluster `bits` and `matrix`, [measured, prepared]), `overhead` (bound on the
    growth of variances), and for values `before` and `after`, shape (sets, observables).

    >>> from qloom.circuits import Observable
    >>> from qloom.specs import DeviceSpec
    >>> context = StageContext(
    ...     spec=DeviceSpec(name="lab", num_qubits=2, gates=frozenset({"h", "cx"})),
    ...     observables=(Observable({"ZZ": 1.0}),), measured=(0, 1),
    ... )
    >>> stage, options = Readout(), ReadoutOptions(flips=(0.1, 0.1))
    >>> expansion = stage.expand(Circuit(2).h(0).cx(0, 1), options, context)
    >>> read = Distribution(np.arange(4, dtype=np.uint64), np.array([0.41, 0.09, 0.09, 0.41]), 2, 1000)
    >>> answer = stage.combine(expansion.recipe, [Answer(distributions=((read,),))], options, context)
    >>> answer.values.round(6).tolist(), answer.standard_errors.round(4).tolist()
    ([[1.0]], [[0.038]])
    """

    name: ClassVar[str] = "readout"
    options_type: ClassVar[type[Any]] = ReadoutOptions

    def expand(self, circuit: Circuit, options: ReadoutOptions, context: StageContext) -> Expansion:
        measured = _measured(options, context)
        if context.calibration is not None or options.flips is not None or options.matrix is not None:
            _confusion(_Same(context.calibration), _Same(options), len(measured))
        return Expansion((circuit,), {"measured": list(measured)}, takes=COUNTS)

    def combine(
        self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: ReadoutOptions, context: StageContext
    ) -> Answer:
        measured = tuple(recipe["measured"])
        if len(answers) != 1 or not answers[0].distributions:
            raise Unsupported(f"stage readout puts together the counts of one circuit, got {len(answers)} answers without counts")
        confusion = _confusion(_Same(context.calibration), _Same(options), len(measured))
        _note(context.notes, options, confusion)
        sets = answers[0].distributions
        if context.wanted == VALUES:
            return _values(sets, measured, options, context, confusion)
        return Answer(distributions=tuple(tuple(_unfolded(found, options, confusion) for found in row) for row in sets))

    def calibration(self, circuit: Circuit, options: ReadoutOptions, context: StageContext) -> Calibration | None:
        measured = _measured(options, context)
        if options.flips is not None or options.matrix is not None:
            return None
        most = context.spec.max_shots
        if options.shots is not None and most is not None and options.shots > most:
            raise InvalidSetting(
                f"stage readout: shots={options.shots} to calibrate with, {context.spec.name} gives at most {most}; ask for less"
            )
        shots = options.shots or min(SHOTS, most or SHOTS)
        recipe: dict[str, Any] = {"model": options.model, "qubits": list(measured), "shots": shots}
        if options.model == "correlated":
            recipe["pairs"] = None if options.pairs is None else [list(pair) for pair in options.pairs]
        prepared = _prepared(options.model, len(measured))
        circuits = tuple(_basis_state(circuit.num_qubits, measured, bits) for bits in prepared)
        return Calibration(circuits, shots, recipe, options.max_age_s)

    def calibrated(self, recipe: Mapping[str, Any], results: Sequence[Result]) -> dict[str, Any]:
        model, bits = recipe["model"], len(recipe["qubits"])
        prepared = _prepared(model, bits)
        if len(results) != len(prepared):
            raise Unsupported(f"stage readout: {len(prepared)} calibration circuits were to run, {len(results)} have a result")
        seen = [_frequencies(result, bits) for result in results]
        if model == "full":
            clusters = [_clustered(range(bits), prepared, seen)]
        elif model == "tensored":
            clusters = [_clustered([bit], prepared, seen) for bit in range(bits)]
        else:
            clusters = _paired(bits, recipe["pairs"], prepared, seen)
        return {"clusters": clusters}

    def cost(self, options: ReadoutOptions) -> StageCost:
        """Of a string on two bits; with flips unknown, at 2 %. Calibration circuits are no part of it."""
        flips = _each(options.flips, 1) if options.flips else [(0.02, 0.02)]
        lost = max(low + high for low, high in flips)
        return StageCost(circuits=1, shots=(1 - lost) ** -4 if lost < 1 else math.inf)


# ---- combining -------------------------------------------------------------------------------------------------------


class _Same:
    """Something to be looked up by what it is, not by what is in it: comparing large tables would take long."""

    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.held is other.held


@lru_cache(maxsize=64)
def _confusion(calibration: _Same, options: _Same, bits: int) -> Confusion:
    asked: ReadoutOptions = options.held
    try:
        if asked.matrix is not None:
            return Confusion([cluster(range(bits), asked.matrix)])
        if asked.flips is not None:
            return Confusion([cluster([bit], _of_flips(*flip)) for bit, flip in enumerate(_each(asked.flips, bits))])
        if calibration.held is None:
            raise Unsupported("it has not been calibrated; run its calibration circuits, or give the option flips")
        found = Confusion([cluster(entry["bits"], entry["confusion"]) for entry in calibration.held["clusters"]])
    except QloomError as error:
        _refuse(error)
    if found.bits != bits:
        raise CorruptRecord(f"stage readout: the kept calibration is of {found.bits} bits, {bits} are measured; calibrate again")
    return found


def _refuse(error: QloomError) -> NoReturn:
    raise type(error)(f"stage readout: {error}") from error


@lru_cache(maxsize=64)
def _estimator(
    observables: tuple[Observable, ...], bases: tuple[str, ...], measured: tuple[int, ...], confusion: _Same, *, corrected: bool
) -> Estimator:
    try:
        return Estimator(observables, bases, measured, (confusion.held.reading, plain) if corrected else (plain,))
    except Unsupported as error:
        _refuse(error)


def _values(
    sets: Sequence[Sequence[Distribution]],
    measured: tuple[int, ...],
    options: ReadoutOptions,
    context: StageContext,
    confusion: Confusion,
) -> Answer:
    observables, count = context.observables, len(context.observables)
    bases = tuple(map(basis_of, sets[0]))
    estimator = _estimator(observables, bases, measured, _Same(confusion), corrected=True)
    values, variances = np.empty((len(sets), 2 * count)), np.empty((len(sets), count))
    for row, found in enumerate(sets):
        values[row], variances[row] = estimator.estimate(found)
    before, after = values[:, count:], values[:, :count]
    if options.method == "iterative":
        unfolded = _estimator(observables, bases, measured, _Same(confusion), corrected=False)
        for row, found in enumerate(sets):
            after[row] = unfolded.estimate([_unfolded(each, options, confusion) for each in found]).values
    if not math.isfinite(values.sum()):
        raise Unsupported(
            "stage readout: the counts that it got have weights that are no numbers; look at the stages inside of it"
        )
    context.notes["before"], context.notes["after"] = before, after
    return Answer(after, np.sqrt(variances))


def _unfolded(found: Distribution, options: ReadoutOptions, confusion: Confusion) -> Distribution:
    if found.bits != confusion.bits:
        raise Unsupported(f"stage readout: the counts have {found.bits} bits, {confusion.bits} were to be measured")
    if not math.isfinite(found.weights.sum()):
        raise Unsupported(
            "stage readout: the counts that it got have weights that are no numbers; look at the stages inside of it"
        )
    try:
        return confusion.inverted(found) if options.method == "inverse" else confusion.iterated(found, options.iterations)
    except Unsupported as error:
        _refuse(error)


def _note(notes: dict[str, Any], options: ReadoutOptions, confusion: Confusion) -> None:
    notes["model"], notes["method"], notes["overhead"] = options.model, options.method, confusion.overhead
    notes["confusion"] = confusion.drawn


# ---- calibrating -----------------------------------------------------------------------------------------------------


def _measured(options: ReadoutOptions, context: StageContext) -> tuple[int, ...]:
    """Return the measured qubits, or refuse them."""
    measured = context.measured
    bits = len(measured)
    if not bits:
        raise Unsupported("stage readout: nothing is measured, so there is nothing to correct")
    if len(set(measured)) != bits:
        raise Unsupported(f"stage readout: a qubit is read into several bits, {list(measured)}; measure each qubit once")
    if bits > MOST_BITS:
        raise Unsupported(f"stage readout: {bits} bits are measured, the limit is {MOST_BITS}; measure fewer")
    if options.model == "full" and bits > FULL_BITS:
        raise Unsupported(
            f"stage readout: model=full takes 2**{bits} calibration circuits for {bits} bits, the limit is {FULL_BITS} bits;"
            f" use {OTHERS['full']}"
        )
    if isinstance(options.flips, tuple) and isinstance(options.flips[0], tuple) and len(options.flips) != bits:
        raise InvalidSetting(
            f"stage readout: flips are given for {len(options.flips)} bits, {bits} are measured; give one for each"
        )
    if beyond := [bit for pair in options.pairs or () for bit in pair if bit >= bits]:
        raise InvalidSetting(f"stage readout: pairs name bit {beyond[0]}, the {bits} measured bits are 0 to {bits - 1}")
    return measured


def _each(flips: Any, bits: int) -> list[Flip]:
    return list(flips) if isinstance(flips[0], tuple) else [flips] * bits


def _of_flips(one_for_zero: float, zero_for_one: float) -> Table:
    return [[1 - one_for_zero, zero_for_one], [one_for_zero, 1 - zero_for_one]]


@lru_cache(maxsize=16)
def _prepared(model: str, bits: int) -> tuple[tuple[int, ...], ...]:
    """Return the bits of each basis state to prepare.

    >>> _prepared("correlated", 3)
    ((0, 0, 0), (1, 1, 1), (0, 1, 0), (1, 0, 1), (0, 0, 1), (1, 1, 0))
    """
    if model == "full":
        return tuple(tuple(state >> place & 1 for place in reversed(range(bits))) for state in range(1 << bits))
    rows = [(0,) * bits, (1,) * bits]
    if model == "correlated":
        for place in range((bits - 1).bit_length()):
            digits = tuple(bit >> place & 1 for bit in range(bits))
            rows += [digits, tuple(1 - digit for digit in digits)]
    return tuple(rows)


def _basis_state(num_qubits: int, measured: Sequence[int], bits: Sequence[int]) -> Circuit:
    flipped = [Instruction("x", (qubit,)) for qubit, bit in zip(measured, bits, strict=True) if bit]
    return Circuit(num_qubits).extend(flipped).measure(measured, range(len(measured)))


def _frequencies(result: Result, bits: int) -> tuple[Any, FloatArray]:
    """Return the keys bit by bit, shape (bits, keys), and how often each was read."""
    if len(result) != 1 or result.key_lengths[0] != bits:
        raise CorruptRecord(
            f"stage readout: a calibration result has {len(result)} items of {result.key_lengths} bits, not {bits}"
        )
    table = result.samples
    return bit_columns(table.keys.astype(np.uint64), bits), table.counts / table.counts.sum()


def _clustered(bits: Sequence[int], prepared: Sequence[Sequence[int]], seen: Sequence[tuple[Any, FloatArray]]) -> dict[str, Any]:
    """Return the confusion of some bits, the mean over the circuits that prepared each of their states."""
    size = 1 << len(bits)
    matrix, circuits = np.zeros((size, size)), np.zeros(size)
    for state, (columns, shares) in zip(prepared, seen, strict=True):
        was, read = 0, np.zeros(len(shares), dtype=np.int64)
        for bit in bits:
            was, read = 2 * was + state[bit], 2 * read + columns[bit]
        matrix[:, was] += np.bincount(read, weights=shares, minlength=size)
        circuits[was] += 1
    return {"bits": list(bits), "confusion": (matrix / circuits).tolist()}


def _paired(
    bits: int, pairs: list[list[int]] | None, prepared: Sequence[Sequence[int]], seen: Sequence[tuple[Any, FloatArray]]
) -> list[dict[str, Any]]:
    """Return the confusion of pairs that share no bit, and of the bits that are left, alone."""
    alone = [_clustered([bit], prepared, seen) for bit in range(bits)]
    if pairs is None:
        every = [_clustered([low, high], prepared, seen) for low in range(bits) for high in range(low + 1, bits)]
        every.sort(key=lambda found: -_correlation(found, alone))
    else:
        every = [_clustered(pair, prepared, seen) for pair in pairs]
    chosen: list[dict[str, Any]] = []
    free = set(range(bits))
    for found in every:
        if free.issuperset(found["bits"]):
            chosen.append(found)
            free.difference_update(found["bits"])
    return [*chosen, *(alone[bit] for bit in sorted(free))]


def _correlation(pair: Mapping[str, Any], alone: Sequence[Mapping[str, Any]]) -> float:
    """Return how far a pair's confusion is from the product of its bits', the largest total variation distance of a column."""
    product = np.kron(*(np.array(alone[bit]["confusion"]) for bit in pair["bits"]))
    return float(abs(np.array(pair["confusion"]) - product).sum(axis=0).max()) / 2
