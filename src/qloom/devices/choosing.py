"""Which engine of `sim` runs a circuit: the first that can, in an order that its needs decide."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NamedTuple

from qloom.devices.costs import Work
from qloom.devices.engines import SINGLE_THREAD_QUBITS, suitable_threads
from qloom.devices.shot_engines import METHODS, Settings, most_qubits_of
from qloom.errors import InvalidSetting, MissingExtra, UnknownName
from qloom.noise import NoiseModel
from qloom.results import Engine
from qloom.specs import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qloom.circuits import Circuit
    from qloom.devices.costs import Costs
    from qloom.devices.engines import EngineLibrary
    from qloom.devices.shot_engines import ShotLibrary

STATE_VECTOR = ("lightning", "qulacs")
"""Engines that give probabilities, from which our own sampler draws."""
DRAWING = ("stim", "aer")
"""Engines that draw their own samples, in the order in which they are asked."""
ON_REQUEST = ("aer_gpu", "lightning_gpu")
"""Engines that are used only when they are asked for by name."""
GIVING_STATES = (*STATE_VECTOR, "lightning_gpu")
"""Engines that give probabilities, with those that nobody is routed to."""
WITH_SAMPLES = (*DRAWING, "aer_gpu")
"""Engines that draw their own samples, with those that nobody is routed to."""
PACKAGES = {
    "lightning": "pennylane-lightning",
    "qulacs": "qulacs",
    "stim": "stim",
    "aer": "qiskit-aer",
    "aer_gpu": "qiskit-aer-gpu",
    "lightning_gpu": "pennylane-lightning-gpu",
}
"""What each engine is installed by."""
METHODS_OF = {"stim": ("stabilizer",), "aer": METHODS, "aer_gpu": METHODS}
"""Engine -> its methods; those that are not named have state vectors only."""
ENGINES = (*STATE_VECTOR, *DRAWING, *ON_REQUEST)
SURELY = 0.1
"""Another engine is picked where it is expected to take so much less time: smaller differences are within the model's error."""
CLIFFORD_QUBITS = 8
"""Below, a state-vector engine is the fastest for every circuit."""
STIM_S = 6e-5
"""Seconds that 1,000 shots of a Clifford circuit of 8 to 64 qubits take with stim (measured: 3e-5 to 1e-4, by how many outcomes
there are). More shots cost what they cost with a state-vector engine, or less (`stim_support`), so the choice does not depend
on how many will be asked."""
DRAWN_S = 3e-9
"""Seconds that our sampler takes for each basis state, for 1,000 shots."""
PLAIN = frozenset({"controls", "delay", "verbatim"})
"""What state-vector engines run besides gates: delays are ideal there."""
PLAIN_GATES = "gates with measurements at the end"
SMALL_REASON = f"{PLAIN_GATES}; the fastest up to {SINGLE_THREAD_QUBITS} qubits"
"""Why lightning runs what it runs without a look at the costs."""
EARLIER = "computed earlier answers"
"""Why an engine is used again."""
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


def noise_reason(engine: str | None, noise: NoiseModel | None) -> str | None:
    """Return why an engine that was asked for cannot have a noise model; None where it can.

    >>> noise_reason("lightning", NoiseModel.depolarizing(0.1, 0.2))
    'noise, which lightning does not run; leave the engine out, or take stim, aer or aer_gpu'
    """
    if noise is None or engine not in GIVING_STATES:
        return None
    *others, last = WITH_SAMPLES
    return f"noise, which {engine} does not run; leave the engine out, or take {', '.join(others)} or {last}"


def library(name: str | None) -> EngineLibrary:
    """Return the state-vector engine of that name, or the best one installed.

    Raises:
        MissingExtra: it is not installed.

    >>> library("qulacs").name
    'qulacs'
    """
    if name == "qulacs":
        return _qulacs("asked for")
    if name == "lightning_gpu":
        return _lightning_gpu()
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
        UnknownName: no such engine, or a state-vector engine.

    >>> drawing_library("stim").name
    'stim'
    """
    if name not in WITH_SAMPLES:
        raise UnknownName.among("engine of sim that draws its own samples", name, WITH_SAMPLES)
    return _stim() if name == "stim" else _aer("GPU" if name == "aer_gpu" else "CPU")


def installed(engine: str | None, settings: Settings, threads: int) -> Iterator[Engine]:
    """Yield the engines that are installed and could be asked for a circuit, each with its version; none of them is loaded.

    Args:
        engine: the one that was asked for; None for any that `sim` picks from.
        settings: with a noise model only engines are named that run noise, with a method only those that have it.
        threads: that they would be given.

    >>> [found.name for found in installed(None, Settings(method="mps"), 1)]
    ['aer']
    """
    for name in (*STATE_VECTOR, *DRAWING) if engine is None else (engine,):
        if settings.method is not None and settings.method not in METHODS_OF.get(name, ("statevector",)):
            continue
        if settings.noise is not None and name in GIVING_STATES:
            continue
        try:
            yield Engine(name, version(PACKAGES[name]), threads, "asked for" if engine else "")
        except PackageNotFoundError:
            continue


def most_by_method(engines: Sequence[str], settings: Settings) -> dict[str, int]:
    """Return the most qubits of a circuit by each method that engines have, as far as their states fit into memory.

    Args:
        engines: names.
        settings: with a method only that one is told.

    >>> most_by_method(["lightning", "stim"], Settings(memory_limit_bytes=1 << 20))
    {'statevector': 15, 'stabilizer': 1024}
    """
    has = {method for name in engines for method in METHODS_OF.get(name, ("statevector",))}
    if settings.noise is not None and settings.method is None:
        has.discard("statevector")  # noise has no single state
    wanted = METHODS if settings.method is None else (settings.method,)
    return {method: most_qubits_of(method, settings) for method in wanted if method in has}


@cache
def _lightning() -> EngineLibrary:
    from qloom.devices.lightning_engine import Lightning

    return Lightning()


@cache
def _lightning_gpu() -> EngineLibrary:
    from qloom.devices.lightning_gpu import LightningGpu

    return LightningGpu()


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


class Found(NamedTuple):
    """A state-vector engine.

    Attributes:
        library: the engine.
        reason: why it was picked.
    """

    library: EngineLibrary
    reason: str


def choose_state_vector(circuits: Sequence[Circuit], threads: int | None, costs: Callable[[], Costs]) -> Found:
    """Return the state-vector engine that runs circuits in the least time, by what operations cost on this machine.

    Lightning is the fastest at every size that fits into a cache; above, with several threads, qulacs may be.

    Args:
        circuits: of gates, with measurements at the end.
        threads: asked for; None for what suits the size.
        costs: gives the table; asked only for large circuits.
    """
    first = library(None)
    size = max(circuit.num_qubits for circuit in circuits)
    if first.name != "lightning":
        return Found(first, first.reason)
    if size <= SINGLE_THREAD_QUBITS:
        return Found(first, SMALL_REASON)
    table, number = costs(), suitable_threads(size, threads)
    if not all(table.knows(name, number) for name in STATE_VECTOR):
        return Found(first, f"{PLAIN_GATES}; what operations cost with {number} threads was not measured here")
    work = [Work.of(circuit) for circuit in circuits]
    lightning, qulacs = (sum(table.of(one, name, number) for one in work) for name in STATE_VECTOR)
    if qulacs > lightning * (1 - SURELY):
        return Found(first, f"by what operations cost here a run takes {lightning:.2g} s, with qulacs {qulacs:.2g} s")
    text = f"by what operations cost here a run takes {qulacs:.2g} s, with lightning {lightning:.2g} s"
    found = _qulacs(text)
    try:
        found.engine(size, threads)
    except InvalidSetting:
        return Found(first, f"{PLAIN_GATES}; qulacs runs in this process already, with other threads")
    return Found(found, text)


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
