"""Stages: any logic round the execution of circuits, in two pure halves.

A pipeline is a list of stages; the first stands next to the device. A stage gets one circuit and gives back the circuits to run
instead of it (`expand`); later it gets their answers and makes one of them (`combine`). Stages nest: each circuit that a stage
gives is expanded by the next one toward the device. Expansion happens once for each structure, since parameters stay symbolic in
it; an evaluation binds numbers, sends all circuits in one batch, and combines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from qloom.circuits import Circuit, Observable
    from qloom.results import Result
    from qloom.specs import DeviceSpec

    FloatArray = npt.NDArray[np.float64]
    KeyArray = npt.NDArray[np.uint64]

VALUES = "values"
COUNTS = "counts"
SAME = "same"


class Distribution(NamedTuple):
    """What was measured of one circuit, one parameter set and one measurement setting: keys and their weights.

    Attributes:
        keys: distinct, ascending, uint64; position i of a key is classical bit i, the most significant of its `bits` bits.
        weights: of each key, float64, sum 1; a stage that inverts errors may give negative ones.
        bits: number of classical bits; 64 at most.
        shots: how many shots it rests on.
        spread: what the variance of a mean over these weights is multiplied by, since they are no plain frequencies.
        basis: the Pauli letter that was measured on each bit, `Z` where nothing was turned.
    """

    keys: KeyArray
    weights: FloatArray
    bits: int
    shots: float
    spread: float = 1.0
    basis: str = ""


class Answer(NamedTuple):
    """The answer to one circuit: values, or distributions where a stage further out asks for counts.

    Attributes:
        values: expectation values, shape (sets, observables); None where there are distributions.
        standard_errors: of the values, the same shape, 0 where they are exact.
        distributions: for each parameter set, those of all measurement settings in their order; empty where there are values.
    """

    values: FloatArray | None = None
    standard_errors: FloatArray | None = None
    distributions: tuple[tuple[Distribution, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Expansion:
    """Circuits to run instead of one, and what is needed to put their answers together.

    Attributes:
        circuits: at least one. Each has the parameters of the circuit it stands for, in their order, and after them those of
            `drawn`, if any.
        recipe: what `combine` needs to know of them; JSON.
        drawn: names of parameters that the stage adds; each evaluation asks `draw` for their values. Take them from
            `StageContext.fresh`.
        takes: `values` or `counts`, what `combine` wants of the circuits; `same`: whatever is asked of the stage itself.
        observables: what is asked of these circuits instead of the observables that the stage was given; None for the same.
        flips: for readout twirling, for each circuit the names, among `drawn`, of one parameter for each classical bit: where it
            is pi, the bit's qubit is flipped right before it is read, and the bit flipped back in the keys; where it is 0,
            nothing happens. Empty for none; with it, `takes` is `counts`.
        layout: where the circuits have another number of qubits: on which of theirs each qubit of the given circuit is.
    """

    circuits: tuple[Circuit, ...]
    recipe: dict[str, Any] = field(default_factory=dict)
    drawn: tuple[str, ...] = ()
    takes: str = SAME
    observables: tuple[Observable, ...] | None = None
    flips: tuple[tuple[str, ...], ...] = ()
    layout: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class More:
    """What `combine` gives back to ask for another round: further circuits, as in an `Expansion`, without drawn parameters.

    After it `combine` gets the answers of all rounds so far, in order, with this recipe.
    """

    circuits: tuple[Circuit, ...]
    recipe: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Circuits that a stage wants measured before its first evaluation; what comes of them is kept, by device and age.

    Attributes:
        circuits: without parameters; they run as they are.
        shots: of each.
        recipe: what `calibrated` needs to know of them; JSON, and with the stage's name what the kept result is found by.
        max_age_s: how old a kept result may be, s.
    """

    circuits: tuple[Circuit, ...]
    shots: int
    recipe: dict[str, Any]
    max_age_s: float


class StageCost(NamedTuple):
    """What a stage multiplies.

    Attributes:
        circuits: circuits for each circuit, in one round; what `expand` gives unless the docs of the stage say why not.
        shots: shots that are needed in all for the standard error that one circuit had without the stage, about.
        rounds: the most rounds.
    """

    circuits: float = 1.0
    shots: float = 1.0
    rounds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """What a stage knows, and what it leaves for the user and for stages further out. One for each place in a pipeline.

    Attributes:
        spec: the device's.
        seed: for what is drawn once for a structure; the same in every process.
        observables: asked of the circuit, on its qubits; empty where counts are asked for.
        measured: the qubit that each classical bit is read from, on the circuit's qubits.
        wanted: `values` or `counts`, what `combine` is to give.
        label: unique in the pipeline, fit as the start of a parameter's name.
        notes: what the stage notes, JSON and arrays; the user reads it as `result.stages[name]`. Of the latest evaluation, so
            `combine` writes the same keys each time.
        inner: notes of the stages nearer the device, by name; an error that a policy let pass is there as `error`.
        calibration: what `calibrated` made of the stage's calibration circuits; None where it asked for none.
    """

    spec: DeviceSpec
    seed: int = 0
    observables: tuple[Observable, ...] = ()
    measured: tuple[int, ...] = ()
    wanted: str = VALUES
    label: str = "stage"
    notes: dict[str, Any] = field(default_factory=dict)
    inner: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calibration: Mapping[str, Any] | None = None

    def fresh(self, count: int) -> tuple[str, ...]:
        """Return so many parameter names that nothing else in the pipeline has."""
        return tuple(f"{self.label}_{number}" for number in range(count))


@runtime_checkable
class Stage(Protocol):
    """One step of a pipeline. Derive from it: all but `expand` and `combine` has a default.

    `expand`, `combine` and `draw` are pure: equal arguments give equal answers, no I/O, nothing kept between calls but in
    `context.notes`. The expanded circuits run verbatim: a device that would undo them is refused.

    Attributes:
        name: the name it is registered under.
        options_type: a pydantic model of the options; unknown names are refused for it.
        max_rounds: the most rounds; `combine` that asks for more is an error.
        joins_branches: whether it stands as `combine` behind parallel branches, and gets one answer from each, instead of
            standing in a chain.
        gives_counts: whether it can stand in a pipeline that `run` asks for counts.
    """

    name: ClassVar[str]
    options_type: ClassVar[type[Any]]
    max_rounds: ClassVar[int] = 1
    joins_branches: ClassVar[bool] = False
    gives_counts: ClassVar[bool] = True

    def expand(self, circuit: Circuit, options: Any, context: StageContext) -> Expansion:
        """Return the circuits to run for one circuit; parameters stay symbolic.

        Args:
            circuit: without measurements; those that there are, and turns into the bases of observables, are put behind each
                circuit that comes of it.
            options: an instance of `options_type`.
            context: what it may know.

        Raises:
            Unsupported: the circuit or the device does not suit the stage; what and why is in the message.
        """
        ...

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Any, context: StageContext) -> Answer | More:
        """Return one answer from those of the expanded circuits, or ask for another round.

        Args:
            recipe: the expansion's.
            answers: of the circuits, in their order.
            options, context: as for `expand`.

        Raises:
            Unsupported: the answers cannot be put together; what and why is in the message.
        """
        ...

    def weights(self, recipe: Mapping[str, Any], options: Any, context: StageContext) -> Sequence[float] | None:
        """Return the weight of each circuit's values, where `combine` of values is their weighted sum and nothing else.

        With it, and independent errors, an evaluation costs one product of matrices, and `combine` is called only when somebody
        looks at the notes. None, the default, where the sum depends on the answers, and after another round.
        """
        return None

    def draw(self, recipe: Mapping[str, Any], options: Any, generator: np.random.Generator) -> FloatArray:
        """Return values (rad) for the `drawn` parameters of an expansion, fresh for each evaluation, shape (drawn,)."""
        import numpy as np

        return np.zeros(0)

    def calibration(self, circuit: Circuit, options: Any, context: StageContext) -> Calibration | None:
        """Return what is to be measured before the first evaluation; None where nothing is."""
        return None

    def calibrated(self, recipe: Mapping[str, Any], results: Sequence[Result]) -> dict[str, Any]:
        """Return, as JSON, what comes of the calibration circuits' counts."""
        return {}

    def cost(self, options: Any) -> StageCost:
        """Return what the stage multiplies with these options."""
        return StageCost()


class Wish(NamedTuple):
    """What is asked of circuits for which a pipeline is to be picked.

    Attributes:
        circuits: without measurements.
        observables: asked of each circuit; empty where counts are asked for.
        measured: for each circuit the qubit that each classical bit is read from.
        wanted: `values` or `counts`.
        shots: for each measurement setting of each circuit; None for exact values.
        spec: the device's.
    """

    circuits: tuple[Circuit, ...]
    observables: tuple[Observable, ...]
    measured: tuple[tuple[int, ...], ...]
    wanted: str
    shots: int | None
    spec: DeviceSpec


class Chosen(NamedTuple):
    """The pipeline that was picked.

    Attributes:
        pipeline: as `qloom.pipelines.read_pipeline` takes it; empty for none.
        circuits: how many circuits it makes of one: the shots that are asked for are divided among them.
        notes: why, JSON; the user reads it as `result.stages[name]`.
    """

    pipeline: list[Any]
    circuits: int
    notes: dict[str, Any]


@runtime_checkable
class Chooser(Protocol):
    """A stage that picks the stages that stand in its place, for each structure and number of shots.

    It fills `Stage` too; where nothing asks it to choose it leaves circuits as they are.

    Attributes:
        beside: names of stages that may stand in the pipeline with it.
    """

    beside: ClassVar[frozenset[str]]

    def choose(self, options: Any, wish: Wish) -> Chosen:
        """Return the pipeline for what is asked. Pure, and recorded: a resumed job takes the one that it took.

        Raises:
            InvalidSetting: what the device states of its errors is not what it should be.
        """
        ...
