"""Which engine of `sim` runs a circuit: the first that can, in an order that its needs decide."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from qloom.devices.costs import Work
from qloom.devices.engines import SINGLE_THREAD_QUBITS, suitable_threads
from qloom.errors import InvalidSetting, MissingExtra, UnknownName
from qloom.specs import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qloom.circuits import Circuit
    from qloom.devices.costs import Costs
    from qloom.devices.engines import EngineLibrary
    from qloom.devices.shot_engines import Settings, ShotLibrary

STATE_VECTOR = ("lightning", "qulacs")
"""Engines that give probabilities, from which our own sampler draws."""
DRAWING = ("stim", "aer")
"""Engines that draw their own samples, in the order in which they are asked."""
ON_REQUEST = ("aer_gpu",)
"""Engines that are used only when they are asked for by name."""
ENGINES = (*STATE_VECTOR, *DRAWING, *ON_REQUEST)
SURELY = 0.1
"""Another engine is picked where it is expected to take so much less time: smaller differences are within the model's error."""
CLIFFORD_QUBITS = 8
"""Below, a state-vector engine is the fastest for every circuit."""
STIM_S = 1.1e-4
"""Seconds that stim takes for 1,000 shots of a circuit of some twenty qubits: more by calls than by qubits."""
DRAWN_S = 3e-9
"""Seconds that our sampler takes for each basis state, for 1,000 shots."""
PLAIN = frozenset({"controls", "delay", "verbatim"})
"""What state-vector engines run besides gates: delays are ideal there."""
FEATURES = PLAIN | {"channels", "reset", "mid_circuit_measurement", "conditionals"}


def check_engine(name: str | None) -> None:
    """Refuse an engine that there is not.

    Raises:
        UnknownName: no engine of that name.

    >>> check_engine("qualcs")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    qloom.errors.UnknownName: no engine of sim called 'qualcs'; did you mean 'qulacs'? Known: ...
    """
    if name not in (None, *ENGINES):
        raise UnknownName.among("engine of sim", str(name), ENGINES)


def library(name: str | None) -> EngineLibrary:
    """Return the state-vector engine of that name, or the best one installed.

    Raises:
        MissingExtra: it is not installed.

    >>> library("qulacs").name
    'qulacs'
    """
    if name == "qulacs":
        return _qulacs("asked for")
    try:
        return _lightning()
    except MissingExtra as error:
        if name == "lightning":
            raise
        return _qulacs(str(error))


def drawing_library(name: str) -> ShotLibrary:
    """Return the engine of that name that draws its own samples.

    Raises:
        MissingExtra: it is not installed.

    >>> drawing_library("stim").name
    'stim'
    """
    return _stim() if name == "stim" else _aer("GPU" if name == "aer_gpu" else "CPU")


@cache
def _lightning() -> EngineLibrary:
    from qloom.devices.lightning_engine import Lightning

    return Lightning()


def _qulacs(reason: str) -> EngineLibrary:
    try:
        from qloom.devices.qulacs_engine import Qulacs
    except ImportError as error:
        raise MissingExtra(f"qulacs is not installed ({error}); `pip install qloom`") from error
    return Qulacs(reason)


@cache
def _stim() -> ShotLibrary:
    from qloom.devices.stim_engine import Stim

    return Stim()


@cache
def _aer(device: str) -> ShotLibrary:
    from qloom.devices.aer_engine import Aer

    return Aer(device)


def choose_state_vector(circuits: Sequence[Circuit], threads: int | None, costs: Callable[[], Costs]) -> EngineLibrary:
    """Return the state-vector engine that runs circuits in the least time, by what operations cost on this machine.

    Lightning is the fastest at every size that fits into a cache; above, with several threads, qulacs may be.

    Args:
        circuits: of gates, with measurements at the end.
        threads: asked for; None for what suits the size.
        costs: gives the table; asked only for large circuits.
    """
    first = library(None)
    size = max(circuit.num_qubits for circuit in circuits)
    if size <= SINGLE_THREAD_QUBITS or first.name != "lightning":
        return first
    table, number = costs(), suitable_threads(size, threads)
    if not all(table.knows(name, number) for name in STATE_VECTOR):
        return first
    work = [Work.of(circuit) for circuit in circuits]
    lightning, qulacs = (sum(table.of(one, name, number) for one in work) for name in STATE_VECTOR)
    if qulacs > lightning * (1 - SURELY):
        return first
    text = f"by what operations cost here a run takes {qulacs:.2g} s, with lightning {lightning:.2g} s"
    found = _qulacs(text)
    try:
        found.engine(size, threads)
    except InvalidSetting:  # it runs in this process already, with other threads
        return first
    return found


def choose_clifford(
    circuits: Sequence[Circuit], settings: Settings, threads: int | None, costs: Callable[[], Costs]
) -> ShotLibrary | None:
    """Return stim where the circuits are all Clifford and it samples them faster than a state-vector engine, else None.

    Args:
        circuits: of gates, with measurements at the end, to be sampled.
        settings: how they are simulated.
        threads: asked for; None for what suits the size.
        costs: gives the table; asked only for circuits that stim can run.
    """
    if any(circuit.parameters or circuit.num_qubits < CLIFFORD_QUBITS for circuit in circuits):
        return None
    try:
        found = drawing_library("stim")
    except MissingExtra:
        return None
    if any(found.reasons(circuit, "sample", settings) for circuit in circuits):
        return None
    table = costs()
    seconds = sum(_sampled_seconds(table, circuit, threads) for circuit in circuits)
    return found if seconds > STIM_S * len(circuits) * (1 + SURELY) else None


def _sampled_seconds(costs: Costs, circuit: Circuit, threads: int | None) -> float:
    """Return about how long a state-vector engine takes for 1,000 shots."""
    number = suitable_threads(circuit.num_qubits, threads)
    work = Work.of(circuit)
    known = [costs.of(work, name, number) for name in STATE_VECTOR if costs.knows(name, number)]
    known = known or [costs.of(work, name, 1) for name in STATE_VECTOR if costs.knows(name, 1)]
    return min(known, default=0.0) + DRAWN_S * (1 << circuit.num_qubits)


class Choice(NamedTuple):
    """What can run some circuits.

    Attributes:
        library: the engine that draws its own samples; None where none can, or none was asked.
        reason: why it was picked.
        against: every reason why not, engine by engine, where none can.
    """

    library: ShotLibrary | None
    reason: str
    against: tuple[str, ...] = ()


def choose_drawing(circuits: Sequence[Circuit], kind: str, settings: Settings, engine: str | None) -> Choice:
    """Return the first engine that draws its own samples and has nothing against the circuits.

    Args:
        circuits: to be prepared together.
        kind: `sample` or `estimate`.
        settings: how they are to be simulated.
        engine: the one to be used; None for any.
    """
    against: list[str] = []
    for asked in dict.fromkeys((kind, "sample")):  # where no engine has exact values, one that samples will do: with shots
        for name in DRAWING if engine is None else (engine,):
            try:
                found = drawing_library(name)
            except MissingExtra as error:
                against.append(str(error))
                continue
            reasons = [reason for circuit in circuits for reason in found.reasons(circuit, asked, settings)]
            if not reasons:
                return Choice(found, "; ".join(_calls_for_it(circuits, settings, engine)))
            against += [f"{name}: {reason}" for reason in reasons]
    return Choice(None, "", tuple(dict.fromkeys(against)))


def _calls_for_it(circuits: Sequence[Circuit], settings: Settings, engine: str | None) -> Iterator[str]:
    """Yield what a state-vector engine would not have run, or what was asked for."""
    if engine is not None:
        yield "asked for"
    if settings.method is not None:
        yield f"method {settings.method}"
    if settings.noise is not None:
        yield "noise"
    yield from sorted({need.replace("_", " ") for circuit in circuits for need in needs(circuit) if need not in PLAIN})
