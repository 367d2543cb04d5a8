"""`sim`: the simulator, a free and seeded device in this process.

Gates with measurements at the end are run by a state-vector engine: lightning's C++ bindings where they are installed, else
qulacs. What these cannot run goes to an engine that draws its own samples: stim for Clifford circuits with Pauli noise, Aer for
noise, mid-circuit measurement, feed-forward, and matrix product states. `Prepared.engine` says which, and why.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from qloom.circuits import Circuit, Observable
from qloom.circuits.gates import GATES
from qloom.devices import calibrating
from qloom.devices.alike import alike, in_order
from qloom.devices.choosing import (
    EARLIER,
    ENGINES,
    FEATURES,
    GIVING_STATES,
    PLAIN,
    Choice,
    Found,
    check_engine,
    choose_clifford,
    choose_drawing,
    choose_state_vector,
    drawing_library,
    installed,
    library,
    most_by_method,
    noise_reason,
)
from qloom.devices.common import TaskShelf, check_together, numbered, positive, read_circuits, read_observables, read_options
from qloom.devices.costs import current
from qloom.devices.engines import memory_reason, needed_bytes
from qloom.devices.lowering import without_idle_resets
from qloom.devices.prepared import PreparedSim
from qloom.devices.prepared_shots import PreparedShots
from qloom.devices.sampler import MAX_SHOTS
from qloom.devices.shot_engines import METHODS, Settings
from qloom.errors import InvalidSetting, MissingExtra, UnknownName, Unsupported
from qloom.noise import NoiseModel
from qloom.noise.figures import error_rates
from qloom.results import Engine
from qloom.results.samples import WORD_BITS
from qloom.specs import DeviceSpec, reasons_against
from qloom.tasks import read_shots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qloom.contracts import Device, Prepared, TaskHandle
    from qloom.devices.alike import Alike

OPTIONS = ("engine", "max_bond", "memory_limit_bytes", "method", "noise", "threads")
INLINE = "{"
"""What the text of a noise model begins with, and no path."""
MAX_CLBITS = WORD_BITS
"""What a key of a state-vector engine's samples can hold."""


def create(
    rest: str = "",
    *,
    threads: int | None = None,
    engine: str | None = None,
    method: str | None = None,
    noise: NoiseModel | str | None = None,
    max_bond: int | None = None,
    memory_limit_bytes: int | None = None,
) -> Device:
    """A simulator on this machine: exact values, samples and gradients, noise, feed-forward; the engine suits the circuit.

    Args:
        rest: what follows the colon in a device's name: `engine=qulacs,threads=2`.
        threads: for sums of terms and gradients; None for 1 up to 16 qubits and every core above.
        engine: `lightning`, `qulacs`, `stim`, `aer`, `aer_gpu` or `lightning_gpu`; None for the one that suits.
        method: `statevector`, `density_matrix`, `trajectories`, `stabilizer` or `mps`; None for the one that suits.
        noise: a noise model, the path of its JSON file, or what is in there, as `check_options` writes it.
        max_bond: of `method=mps`: the most states kept at each cut; None for 1024.
        memory_limit_bytes: for one call; None for 80 % of what is available at that moment.

    Raises:
        UnknownName: an option, an engine or a method that there is not.
        InvalidSetting: a value that an option cannot have, or an option given twice; an engine that has no such method, or runs
            no noise.
        MissingExtra: the engine is not installed.

    >>> from qloom.circuits import Circuit
    >>> create("threads=1").prepare(Circuit(2).h(0).cx(0, 1)).run(shots=100, seed=1).counts
    {'00': 43, '11': 57}
    """
    given: dict[str, object] = {
        "threads": threads,
        "engine": engine,
        "method": method,
        "noise": noise,
        "max_bond": max_bond,
        "memory_limit_bytes": memory_limit_bytes,
    }
    for name, value in read_options("sim", rest, OPTIONS).items():
        if given[name] is not None and str(given[name]) != value:
            advice = f"; a job's threads are its resources.cpus, so ask for cpus={value} instead" if name == "threads" else ""
            raise InvalidSetting(f"sim: {name} is given twice, as {given[name]} and as {value}{advice}")
        given[name] = value
    chosen, how = _text(given["engine"]), _text(given["method"])
    check_engine(chosen)
    _check_method(how, chosen)
    model = _noise(given["noise"])
    _check_noise(chosen, model)
    settings = Settings(
        method=how,
        noise=model,
        max_bond=positive("sim", "max_bond", given["max_bond"]),
        memory_limit_bytes=positive("sim", "memory_limit_bytes", given["memory_limit_bytes"]),
    )
    threads = positive("sim", "threads", given["threads"])
    return SimDevice(_called(rest, settings.noise), engine=chosen, threads=threads, settings=settings)


def check_options(rest: str) -> str:
    """Refuse options that `create` would refuse, whatever is installed here; return them for use anywhere.

    A noise model is read now and becomes a part of the options, as JSON with its keys sorted: so a job has its noise where the
    file is not, and two jobs are the same where their noise is, whatever the files are called.

    >>> check_options("engine=qualcs")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    qloom.errors.UnknownName: no engine of sim called 'qualcs'; did you mean 'qulacs'? Known: ...
    """
    given = read_options("sim", rest, OPTIONS)
    check_engine(given.get("engine"))
    _check_method(given.get("method"), given.get("engine"))
    noise = _noise(given.get("noise"))
    _check_noise(given.get("engine"), noise)
    for name in set(given) - {"engine", "method", "noise"}:
        positive("sim", name, given[name])
    if noise is None or given["noise"].startswith(INLINE):
        return rest
    return ",".join(f"{name}={_inline(noise) if name == 'noise' else value}" for name, value in given.items())


def _inline(noise: NoiseModel) -> str:
    """Return a noise model as the value of an option, in which a comma would end it."""
    text = json.dumps(noise.to_json(), sort_keys=True, separators=(",", ":"))
    return text.replace("%", "%25").replace(",", "%2C")


def _called(rest: str, noise: NoiseModel | None) -> str:
    """Return the device's name; a noise model that is a part of the options is named by its digest."""
    if noise is not None and f"noise={INLINE}" in rest.replace(" ", ""):
        given = read_options("sim", rest, OPTIONS) | {"noise": f"digest-{noise.digest}"}
        rest = ",".join(f"{name}={value}" for name, value in given.items())
    return f"sim:{rest}" if rest else "sim"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _check_method(method: str | None, engine: str | None) -> None:
    if method not in (None, *METHODS):
        raise UnknownName.among("method of sim", str(method), METHODS)
    if method not in (None, "statevector") and engine in GIVING_STATES:
        raise InvalidSetting(f"sim: {engine} is a state-vector engine and has no method {method}; leave the engine out")


def _check_noise(engine: str | None, noise: NoiseModel | None) -> None:
    if reason := noise_reason(engine, noise):
        raise InvalidSetting(f"sim: {reason}")


def _noise(given: object) -> NoiseModel | None:
    """Return a noise model from itself, from the path of its file, or from its text."""
    if given is None or isinstance(given, NoiseModel):
        return given
    text = str(given)
    return NoiseModel.from_text(unquote(text)) if text.startswith(INLINE) else NoiseModel.load(text)


def calibrate() -> Iterator[dict[str, Any]]:
    """Measure what operations cost on this machine; see `devices.calibrating`."""
    return calibrating.calibrate()


class SimDevice:
    """The simulator as a `Device`. It keeps its last 1000 tasks, in this process.

    Args:
        name: the name it was asked for by.
        engine, threads: as for `create`.
        settings: method, noise, bonds and memory, as for `create`.
    """

    def __init__(
        self,
        name: str = "sim",
        *,
        engine: str | None = None,
        threads: int | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._name = name
        self._engine = engine
        self._threads = threads
        self._settings = Settings() if settings is None else settings
        self._limit = self._settings.memory_limit_bytes
        if engine in (None, *GIVING_STATES):  # missing ones are told now
            library(engine)
        else:
            drawing_library(str(engine))
        self._shelf = TaskShelf("sim")

    @property
    def name(self) -> str:
        return self._name

    def spec(self) -> DeviceSpec:
        """Return what it can do; `num_qubits` is what the method for the widest circuits takes, `notes` tell each method's."""
        engines = tuple(installed(self._engine, self._settings, self._threads or 1))
        most = most_by_method([engine.name for engine in engines], self._settings)
        return DeviceSpec(
            name=self._name,
            num_qubits=max(most.values(), default=0),
            gates=frozenset(GATES),
            features=FEATURES,
            max_shots=MAX_SHOTS,
            exact_values=True,
            exactness="complex128",
            gradients=True,
            kind="simulator",
            methods=(self._settings.method,) if self._settings.method else METHODS,
            noise={} if self._settings.noise is None else None,
            engines=engines,
            durations_s={} if self._settings.noise is None else self._settings.noise.durations_s,
            notes={
                "method": self._settings.method or "what suits the circuit",
                "num_qubits_by_method": most,
                "noise": None if self._settings.noise is None else self._settings.noise.digest,
                "error_rates": None if self._settings.noise is None else error_rates(self._settings.noise),
                "max_clbits": MAX_CLBITS,
                "threads": self._threads or "by size",
            },
        )

    def check(self, circuits: Circuit | Sequence[Circuit], shots: int | None = None) -> list[str]:
        given = read_circuits(circuits)
        wanted = None if shots is None else read_shots(shots)
        many = [f"{wanted} shots, {self._name} allows {MAX_SHOTS}"] if wanted is not None and wanted > MAX_SHOTS else []
        return [*self._plan(alike(given), "sample", 0).against, *many]

    def prepare(
        self,
        circuits: Circuit | Sequence[Circuit],
        observables: Observable | Sequence[Observable] | None = None,
        *,
        engine: Engine | None = None,
    ) -> Prepared:
        given, sums = read_circuits(circuits), read_observables(observables)
        check_together(given, sums)
        before, groups = self._before(engine), alike(given)
        plan = self._plan(groups, "estimate" if sums else "sample", len(sums), None if before is None else before.name)
        if plan.against:
            raise Unsupported(f"{self._name} cannot run this: {'; '.join(plan.against)}")
        if plan.library is not None:
            return PreparedShots(
                given,
                sums,
                library=plan.library,
                settings=self._settings,
                threads=self._threads if before is None else before.threads,
                option_text=self._option_text(),
                reason=plan.reason if before is None else before.reason or EARLIER,
                keep=self._shelf.keep,
            )
        return self._state_vector(groups, sums, before)

    def _state_vector(self, groups: Sequence[Alike], sums: Sequence[Observable], before: Engine | None) -> PreparedSim:
        return PreparedSim(
            groups,
            sums,
            found=self._state_vector_engine(in_order(groups, lambda group: group.circuits), before),
            threads=self._threads if before is None else before.threads,
            memory_limit_bytes=self._limit,
            option_text=self._option_text(),
            keep=self._shelf.keep,
            together=self._engine is None,
        )

    def _state_vector_engine(self, circuits: Sequence[Circuit], before: Engine | None) -> Found:
        if before is not None:
            return Found(library(before.name), before.reason or EARLIER)
        if self._engine is not None:
            return Found(library(self._engine), "asked for")
        return choose_state_vector(circuits, self._threads, current)

    def _option_text(self) -> str:
        """Return what decides the answers besides the circuits, for digests; what suits the circuit is left out."""
        given = {"engine": self._engine, "method": self._settings.method, "max_bond": self._settings.max_bond}
        noise = self._settings.noise
        parts = [f"engine={self._engine}"]
        parts += [f"{name}={value}" for name, value in given.items() if value is not None and name != "engine"]
        return ",".join(parts + ([] if noise is None else [f"noise={noise.digest}"]))

    def _plan(self, groups: Sequence[Alike], kind: str, observables: int, before: str | None = None) -> Choice:
        """Return the engine that draws samples where one is needed, or every reason why nothing can run the circuits."""
        settings, engine = self._settings, self._engine or before
        circuits = in_order(groups, lambda group: group.circuits)
        if reason := noise_reason(self._engine, settings.noise):
            return Choice(None, "", (reason,))
        if settings.noise is not None and engine in GIVING_STATES:
            engine = None
        against: list[str] = []
        if engine in (None, *GIVING_STATES) and settings.method in (None, "statevector") and settings.noise is None:
            against = numbered(in_order(groups, lambda group: group.each(self._reasons(group.circuits[0], kind, observables))))
            if not against and engine is None and kind == "sample" and settings.method is None:
                return Choice(choose_clifford(circuits, settings, self._threads, current), "Clifford")
            if not against or engine is not None or not all(circuit.num_qubits for circuit in circuits):
                return Choice(None, "", tuple(against))
        found = choose_drawing(circuits, kind, settings, engine)
        return found if found.library is not None else Choice(None, "", (*against, *found.against))

    def _before(self, engine: Engine | None) -> Engine | None:
        """Return what computed earlier answers; None where that release is not installed."""
        if engine is None or engine.name not in ENGINES or self._engine not in (None, engine.name):
            return None
        try:
            found = drawing_library(engine.name) if engine.name not in GIVING_STATES else library(engine.name)
        except MissingExtra:
            return None
        return engine if found.version == engine.version else None

    def attach(self, task_id: str) -> TaskHandle:
        return self._shelf.attach(task_id)

    def find(self, token: str) -> TaskHandle | None:
        return self._shelf.find(token)

    def _reasons(self, circuit: Circuit, kind: str, observables: int) -> list[str]:
        """Return every reason why no state-vector engine can run a circuit."""
        reasons = [] if circuit.num_qubits else ["a circuit without qubits"]
        need = needed_bytes(kind, circuit.num_qubits, observables=observables)
        if reason := memory_reason(f"one {kind}", circuit.num_qubits, need, self._limit):
            reasons.append(reason)
        if circuit.key_length > MAX_CLBITS:
            reasons.append(f"{circuit.key_length} classical bits, {self._name} has {MAX_CLBITS}")
        # Memory was looked at above, with bytes in the answer; resets of fresh qubits are run by leaving them out.
        plain = circuit
        if not circuit.instruction_names.isdisjoint({"reset", "verbatim"}):
            steps = tuple(without_idle_resets(circuit))
            plain = Circuit.trusted(circuit.num_qubits, steps, circuit.num_clbits, circuit.parameters)
        spec = DeviceSpec(
            name=self._name,
            num_qubits=circuit.num_qubits,
            gates=frozenset(GATES),
            features=PLAIN,
            max_shots=MAX_SHOTS,
        )
        return reasons + reasons_against(spec, plain)
