"""`DeviceSpec`: what a device can do, how good it is, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from qloom.errors import InvalidSetting, UnknownName
from qloom.results import Engine
from qloom.specs.connectivity import ALL_TO_ALL, Connectivity
from qloom.specs.forms import (
    Alias,
    Record,
    flag,
    gates,
    json_object,
    moment,
    number,
    one_of,
    optional,
    rates,
    row_of_words,
    text,
    times,
    whole,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.specs.forms import Reader

FEATURES = ("channels", "conditionals", "controls", "delay", "mid_circuit_measurement", "reset", "verbatim")
"""What a circuit may use beyond plain gates and final measurements."""
KINDS = ("simulator", "vqpu", "qpu")
PARADIGMS = ("gate_model", "analog")
STATUSES = ("online", "offline", "retired")
SECONDS_PER_MINUTE = 60
MONEY_DIGITS = 9
"""Prices are compared so many digits after the point: 0.3 + 0.35 is 0.65."""


class Cost(NamedTuple):
    """What a device charges. A charge of 0 is none.

    Attributes:
        per_task: for each quantum task.
        per_shot: for each shot.
        per_minute: for each minute that the device runs.
        currency: three letters of ISO 4217, or a provider's own unit such as credits. It is compared letter by letter and never
            converted, so it is not held against a list.

    >>> Cost(per_task=0.3, per_shot=0.00035).total(1000)
    0.65
    """

    per_task: float = 0.0
    per_shot: float = 0.0
    per_minute: float = 0.0
    currency: str = "USD"

    def total(self, shots: int, seconds: float = 0.0) -> float:
        """Return what one task costs.

        Args:
            shots: of the task, over all its circuits and parameter sets.
            seconds: for which the device runs it.
        """
        charge = self.per_task + self.per_shot * shots + self.per_minute * seconds / SECONDS_PER_MINUTE
        return round(charge, MONEY_DIGITS)


def _cost(what: str, value: Any) -> Cost:
    given = value._asdict() if isinstance(value, Cost) else value
    if not isinstance(given, dict):
        raise InvalidSetting(f"{what} must be an object with {', '.join(Cost._fields)}, got {value!r}")
    for name in given:
        if name not in Cost._fields:
            raise UnknownName.among(f"field of {what}", str(name), Cost._fields)
    prices = {name: number(f"{what}: {name}", price) for name, price in given.items() if name != "currency"}
    return Cost(**prices, currency=text(f"{what}: currency", given.get("currency", "USD")))


def _engines(what: str, value: Any) -> tuple[Engine, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidSetting(f"{what} must be a list of engines, got {value!r}")
    return tuple(_engine(f"{what}: engine {position}", one) for position, one in enumerate(value))


def _engine(what: str, value: Any) -> Engine:
    given = value._asdict() if isinstance(value, Engine) else value
    if not isinstance(given, dict) or not {"name", "version"} <= set(given):
        raise InvalidSetting(f"{what} must be an object with {', '.join(Engine._fields)}, got {value!r}")
    for name in given:
        if name not in Engine._fields:
            raise UnknownName.among(f"field of {what}", str(name), Engine._fields)
    threads = whole(1)(f"{what}: threads", given.get("threads", 1))
    texts = {name: text(f"{what}: {name}", given.get(name, "")) for name in ("name", "version", "reason")}
    return Engine(threads=threads, **texts)


def _inverse(seconds: float) -> float:
    if seconds == 0:
        raise InvalidSetting("device spec: seconds_per_shot must be above 0; leave it out where it is not known")
    return 1 / seconds


_READERS: dict[str, Reader] = {
    "name": text,
    "kind": one_of(KINDS),
    "provider": text,
    "paradigm": one_of(PARADIGMS),
    "num_qubits": whole(0),
    "max_clbits": optional(whole(0)),
    "gates": gates,
    "native_gates": optional(gates),
    "features": words_of(FEATURES),
    "connectivity": Connectivity.read,
    "transpiles": flag,
    "min_shots": whole(1),
    "max_shots": optional(whole(1)),
    "max_circuits": optional(whole(1)),
    "exact_values": flag,
    "exactness": text,
    "gradients": flag,
    "methods": row_of_words,
    "engines": _engines,
    "noise": optional(rates),
    "bills": flag,
    "cost": optional(_cost),
    "shots_per_second": optional(number),
    "durations_s": times,
    "status": one_of(STATUSES),
    "queue_depth": optional(whole(0)),
    "calibration_id": text,
    "calibrated_at": moment,
    "notes": json_object,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec(Record):
    """What a device can do, how good it is, and what it costs.

    None and empty text mean: not stated. Whoever asks for what is not stated is refused.

    Attributes:
        name: the name it is asked for by.
        num_qubits: the most qubits of a circuit. Of a simulator with several methods, by the one that takes the most; `notes`
            tell how many the others take, and `Device.check` tells of a circuit.
        gates: the gate names it takes; names of other dialects (`cnot`) become ours (`cx`).
        features: what else it runs, of `FEATURES`.
        max_clbits: the most classical bits of a circuit; None where there is no limit.
        native_gates: the gates that it runs as they are, the only ones in a verbatim block; None where `gates` are these.
        connectivity: which qubits it couples; JSON and text forms as `Connectivity.read` takes them.
        transpiles: whether it brings a circuit to its gates and its connectivity by itself.
        min_shots, max_shots: the fewest and the most shots in one call; None where there is no most.
        max_circuits: the most circuits in one quantum task, parameter sets apart; None where there is no most. A pipeline that
            makes more sends several tasks.
        exact_values, gradients: whether it gives exact expectation values, and derivatives.
        exactness: what exact values rest on, such as `state vector, complex128`.
        bills: True where a task costs money, so that its intent is made durable before it is sent.
        cost: what it charges; None where it charges nothing or, if it bills, does not say.
        methods: how it simulates, such as `statevector` or `mps`.
        engines: the libraries inside, for a simulator.
        noise: kind of error (`ERROR_KINDS`) -> its largest rate on any gate or qubit, 0 to 1. A kind that is absent is not stated
            by a QPU and is 0 on a simulator or a virtual QPU; so `{}` is an ideal simulator. None where nothing is stated.
        shots_per_second: its speed. JSON and text may say `seconds_per_shot` instead.
        durations_s: how long its gates take (s), by name, the longest where they differ from qubit to qubit; also of `measure`,
            `reset`, of `default:1`, `default:2`, `default:3` for every other gate on one, two or three qubits, of `default` for
            all that is left, and of `dt`, the unit of delays. Empty where nothing is stated.
        kind: `simulator`, `vqpu` or `qpu`.
        provider: whose it is.
        paradigm: `gate_model` or `analog`.
        status: `online`, `offline` or `retired`.
        queue_depth: how many tasks wait for it.
        calibration_id, calibrated_at: which calibration the spec is of, and its time (ISO 8601, with its offset from UTC).
        notes: facts for people, JSON.

    Raises:
        InvalidSetting: a value that a field cannot have; a price on a device that does not bill; couplings of more qubits than
            there are.
        UnknownName: a word that a field does not know, with the nearest ones.

    >>> line = DeviceSpec(name="line", num_qubits=3, gates=frozenset({"cx", "rz", "sx"}), connectivity=Connectivity.linear())
    >>> line.to_text()
    'name: line; num_qubits: 3; gates: ["cx", "rz", "sx"]; connectivity: linear'
    >>> DeviceSpec.from_text(line.to_text()) == line == DeviceSpec.from_json(line.to_json())
    True
    >>> DeviceSpec.from_text("name: line; num_qubits: 3; gates: []; max_shot: 10")
    Traceback (most recent call last):
    qloom.errors.UnknownName: no field of the device spec called 'max_shot'; did you mean 'max_shots' or ...
    """

    KIND: ClassVar[str] = "device spec"
    READERS: ClassVar[Mapping[str, Reader]] = _READERS
    ALIASES: ClassVar[Mapping[str, Alias]] = {"seconds_per_shot": Alias("shots_per_second", _inverse)}

    name: str
    num_qubits: int
    gates: frozenset[str]
    features: frozenset[str] = frozenset()
    max_clbits: int | None = None
    native_gates: frozenset[str] | None = None
    connectivity: Connectivity = ALL_TO_ALL
    transpiles: bool = False
    min_shots: int = 1
    max_shots: int | None = None
    max_circuits: int | None = None
    exact_values: bool = False
    exactness: str = ""
    gradients: bool = False
    bills: bool = False
    cost: Cost | None = None
    methods: tuple[str, ...] = ()
    engines: tuple[Engine, ...] = ()
    noise: dict[str, float] | None = None
    shots_per_second: float | None = None
    durations_s: dict[str, float] = field(default_factory=dict)
    kind: str = "simulator"
    provider: str = ""
    paradigm: str = "gate_model"
    status: str = "online"
    queue_depth: int | None = None
    calibration_id: str = ""
    calibrated_at: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Record.__post_init__(self)
        if self.cost is not None and any(self.cost[:3]) and not self.bills:
            raise InvalidSetting(f"device spec: {self.name} has a price and bills=False, so nothing would watch what it costs")
        if self.shots_per_second == 0:
            raise InvalidSetting("device spec: shots_per_second must be above 0; leave it out where it is not known")
        if self.max_shots is not None and self.max_shots < self.min_shots:
            raise InvalidSetting(f"device spec: max_shots is {self.max_shots}, below min_shots, which is {self.min_shots}")
        if (needed := self.connectivity.needed_qubits) > self.num_qubits:
            shape = self.connectivity.brief()
            raise InvalidSetting(f"device spec: connectivity {shape} takes {needed} qubits, num_qubits is {self.num_qubits}")

    @property
    def seconds_per_shot(self) -> float | None:
        """The time of one shot in s; None where the speed is not stated."""
        return None if self.shots_per_second is None else 1 / self.shots_per_second

    def error_rate(self, kind: str) -> float | None:
        """Return the largest rate of a kind of error; None where it is not stated.

        >>> quiet = DeviceSpec(name="quiet", num_qubits=1, gates=frozenset(), noise={"crosstalk": 0.01})
        >>> quiet.error_rate("crosstalk"), quiet.error_rate("readout")
        (0.01, 0.0)
        """
        return None if self.noise is None else self.noise.get(kind, None if self.kind == "qpu" else 0.0)
