"""`NoiseModel`: noise of each gate and qubit, read from and written to JSON, put into circuits as channels."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from qloom.circuits.gates import ALIASES, GATES
from qloom.errors import InvalidSetting, UnknownName
from qloom.noise.entries import ErrorChannel, GateNoise, QubitNoise, probability, seconds
from qloom.noise.rewriting import Rewriter
from qloom.noise.schedule import SCHEDULES
from qloom.noise.text import arguments, document, parsed, read, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qloom.circuits import Circuit

    Place = tuple[int, ...] | None
    """The qubits that an entry is for; None for all that have no entry of their own."""
    GateTable = Mapping[Any, GateNoise]
    """Keys are tuples of qubits, a qubit, or `"default"`: a mapping's type would refuse those that have fewer kinds."""

DEFAULT = "default"
OTHERS = ("default:1", "default:2", "default:3")
"""Names that stand for every other gate on one, two or three qubits."""
_ARITY = {row.name: row.num_qubits for row in GATES.values() if row.num_qubits} | {"measure": 1, "reset": 1}
_ARITY |= {name: size for size, name in enumerate(OTHERS, 1)}


class NoiseModel:
    """Noise of each gate and qubit; an immutable value with a digest.

    Args:
        gates: gate name -> its noise, or qubits (in the gate's order) -> noise, where `"default"` stands for all other qubits.
            Names are the circuit form's, `measure`, `reset`, and `default:1`, `default:2`, `default:3` for every other gate on
            one, two or three qubits.
        qubits: qubit -> noise; `"default"` for all others. Without it, circuits may use only the qubits that are named here;
            where none is named, any.
        name: for people.
        calibration_id: which calibration of the machine this is.
        schedule: where idle windows lie: `alap` as late as possible, `asap` as soon as possible, `none` to have relaxation in
            delays and in gates that have a duration, not between them.
        dt_s: what the unit `dt` of a delay is (s); None where the machine has none.
        native_gates: the gates of the machine; None for all.
        strict: whether to refuse gates that are not among `native_gates`; else they run as they are given.
        notes: remarks for people, such as what a converter could not keep exactly.

    Raises:
        UnknownName: a gate or channel that there is not.
        InvalidSetting: a value that cannot be.

    >>> noise = NoiseModel(
    ...     gates={"cx": GateNoise(errors=(ErrorChannel("two_qubit_depolarizing", (0.01,)),))},
    ...     qubits={"default": QubitNoise(readout=(0.01, 0.02))},
    ... )
    >>> from qloom.circuits import Circuit
    >>> [step.name for step in noise.apply(Circuit(2).h(0).cx(0, 1)).instructions], noise.readout(1)
    (['h', 'cx', 'two_qubit_depolarizing'], (0.01, 0.02))
    """

    def __init__(  # noqa: PLR0913  one for each field of the file
        self,
        *,
        gates: Mapping[str, GateNoise | GateTable] | None = None,
        qubits: Mapping[Any, QubitNoise] | None = None,
        name: str = "",
        calibration_id: str = "",
        schedule: str = "alap",
        dt_s: float | None = None,
        native_gates: Sequence[str] | None = None,
        strict: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        if schedule not in SCHEDULES:
            raise UnknownName.among("schedule", str(schedule), SCHEDULES)
        self.name = name
        self.calibration_id = calibration_id
        self.schedule = schedule
        self.dt_s = None if dt_s is None else seconds("dt_s", dt_s)
        self.native_gates = None if native_gates is None else frozenset(map(_gate_name, native_gates))
        self.strict = bool(strict)
        self.notes = tuple(notes)
        self._gates = _gates(gates or {})
        self._all_qubits = {place: _of(QubitNoise, f"qubit {place}", entry) for place, entry in (qubits or {}).items()}
        self._qubits = {_qubit(number): entry for number, entry in self._all_qubits.items() if number != DEFAULT}
        self._other_qubits = self._all_qubits.get(DEFAULT)
        if self.strict and self.native_gates is None:
            raise InvalidSetting("strict refuses gates that are not among native_gates, and none are given; give them")

    # ---- usual models ----------------------------------------------------------------------------------------------

    @classmethod
    def depolarizing(cls, p1: float, p2: float, *, readout: float | tuple[float, float] | None = None) -> NoiseModel:
        """Return a model in which every gate on one qubit depolarises with p1, every gate on two with p2.

        Args:
            p1, p2: probability of an error, each Pauli (other than the identity) being as probable; Braket's convention. Qiskit's
                `depolarizing_error(q, n)` is `p = q * (1 - 1 / 4**n)` here.
            readout: probability to read a bit wrong, or (p(1|0), p(0|1)).

        Gates on three and more qubits, and gates with extra controls, are refused: decompose them first.

        >>> NoiseModel.depolarizing(0.001, 0.01, readout=0.02).readout(5)
        (0.02, 0.02)
        """
        one = GateNoise(errors=(ErrorChannel("depolarizing", (probability("p1", p1),)),))
        two = GateNoise(errors=(ErrorChannel("two_qubit_depolarizing", (probability("p2", p2),)),))
        small = [row.name for row in GATES.values() if row.num_qubits in (1, 2)]
        qubits = {DEFAULT: QubitNoise(readout=_both(readout))}
        return cls(gates={"default:1": one, "default:2": two}, qubits=qubits, native_gates=small, strict=True)

    @classmethod
    def thermal(
        cls,
        *,
        t1_s: float,
        t2_s: float,
        durations_s: Mapping[str, float],
        excited_population: float = 0.0,
        readout: float | tuple[float, float] | None = None,
        schedule: str = "alap",
        dt_s: float | None = None,
    ) -> NoiseModel:
        """Return a model in which every qubit relaxes, in gates and while it waits.

        Args:
            t1_s, t2_s: time constants (s).
            durations_s: gate name -> seconds, names as for `gates`. Gates without one take no time.
            excited_population: of |1> at rest.
            readout: as for `depolarizing`.
            schedule, dt_s: as for the class.

        >>> noise = NoiseModel.thermal(t1_s=1e-4, t2_s=8e-5, durations_s={"default:1": 35e-9, "default:2": 3e-7})
        >>> sorted(noise.needs())
        ['amplitude_damping', 'phase_damping']
        """
        qubit = QubitNoise(t1_s, t2_s, excited_population, _both(readout))
        gates = {name: GateNoise(duration_s=value) for name, value in durations_s.items()}
        return cls(gates=gates, qubits={DEFAULT: qubit}, schedule=schedule, dt_s=dt_s)

    def replace(self, **changes: Any) -> NoiseModel:
        """Return the model with other values of some of the arguments.

        >>> NoiseModel.depolarizing(0.001, 0.01).replace(strict=False, name="mine").name
        'mine'
        """
        now = {
            "gates": {name: {place or DEFAULT: entry for place, entry in table.items()} for name, table in self._gates.items()},
            "qubits": self._all_qubits,
            **{key: getattr(self, key) for key in _REST},
        }
        for key in changes:
            if key not in now:
                raise UnknownName.among("part of a noise model", key, now)
        return NoiseModel(**{**now, **changes})

    # ---- asking ----------------------------------------------------------------------------------------------------

    @property
    def gates(self) -> Mapping[str, Mapping[Place, GateNoise]]:
        """Gate name -> the qubits (None for all others) -> noise."""
        return MappingProxyType({name: MappingProxyType(table) for name, table in self._gates.items()})

    @property
    def qubits(self) -> Mapping[int, QubitNoise]:
        """Qubit -> noise, of those that have an entry of their own."""
        return MappingProxyType(self._qubits)

    def has(self, qubit: int) -> bool:
        """Whether circuits may use that qubit.

        >>> NoiseModel(qubits={0: QubitNoise(t1_s=1e-4)}).has(1)
        False
        """
        return not self._qubits or qubit in self._qubits or self._other_qubits is not None

    def qubit(self, number: int) -> QubitNoise:
        """Return the noise of a qubit: its own, or that of all others, or none."""
        return self._qubits.get(number) or self._other_qubits or _QUIET

    def gate(self, name: str, qubits: Sequence[int]) -> GateNoise:
        """Return the noise of a gate on these qubits.

        The first that there is: of that gate there, of that gate elsewhere, of other gates there, of other gates elsewhere, none.

        Args:
            name: a gate's name, `measure` or `reset`; or "" for a gate that has none, such as one with extra controls.
            qubits: in the gate's order.

        >>> NoiseModel.depolarizing(0.001, 0.01).gate("cx", (4, 2)).errors[0].parameters
        (0.01,)
        """
        place = tuple(qubits)
        others = "" if name in ("measure", "reset") else f"default:{len(place)}"
        for known in (name, others):
            table = self._gates.get(known)
            found = None if table is None else table.get(place) or table.get(None)
            if found is not None:
                return found
        return _IDEAL

    def readout(self, qubit: int) -> tuple[float, float] | None:
        """Return (probability to read 1 where the state is 0, probability to read 0 where it is 1), or None for no errors."""
        return self.qubit(qubit).readout

    @property
    def durations_s(self) -> dict[str, float]:
        """How long gates take (s), as a device spec has it: by name, the longest of all places; empty where none takes time.

        >>> NoiseModel.thermal(t1_s=1e-4, t2_s=1e-4, durations_s={"cx": 3e-7, "default:1": 3.5e-8}).durations_s
        {'cx': 3e-07, 'default:1': 3.5e-08, 'default': 0.0}
        """
        longest = {name: max(entry.duration_s for entry in table.values()) for name, table in self._gates.items() if table}
        if not any(longest.values()):
            return {}
        return {**longest, DEFAULT: 0.0, **({} if self.dt_s is None else {"dt": self.dt_s})}

    def needs(self) -> frozenset[str]:
        """Return the names of all channels that `apply` may insert.

        >>> sorted(NoiseModel.depolarizing(0.001, 0.01).needs())
        ['depolarizing', 'two_qubit_depolarizing']
        """
        entries = chain.from_iterable(table.values() for table in self._gates.values())
        named = {error.channel for entry in entries for error in entry.errors if not error.is_nothing}
        relaxing = [entry for entry in (*self._qubits.values(), self._other_qubits or _QUIET) if entry.relaxes]
        waits = {channel for entry in relaxing for channel, _ in entry.during(entry.t1_s or entry.t2_s or 0)}
        return frozenset(named | waits)

    def apply(self, circuit: Circuit) -> Circuit:
        """Return the circuit with its noise: channels after each noisy gate, relaxation where time passes.

        Nothing is taken away or put in another order. Errors of a gate come right after it (those of `measure` right before
        it), in verbatim blocks inside of the block. A qubit relaxes for the duration of its gates, for delays, and for the
        windows in which it waits for others, by the model's `schedule`; all of it since the qubit's last step stands right
        before its next one, or at the end where the qubit is not measured. A qubit that has not been used yet waits in |0>
        and has no noise. Both branches of an `if` take the time of the longer one. Readout errors are not in the circuit:
        see `readout`.

        Raises:
            Unsupported: a qubit the model does not have, a gate that is not native where the model is strict, a delay in `dt`
                where the model has no `dt_s`, a delay whose duration is a parameter where qubits relax; each by name.

        >>> from qloom.circuits import Circuit
        >>> noise = NoiseModel.thermal(t1_s=1e-4, t2_s=2e-4, durations_s={})
        >>> noisy = noise.apply(Circuit(1).h(0).delay(20, 0, unit="us").h(0).measure(0))
        >>> [step.name for step in noisy.instructions]
        ['h', 'delay', 'amplitude_damping', 'h', 'measure']
        """
        return Rewriter(self).apply(circuit)

    # ---- text and identity -----------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return the model as JSON, in the form that `docs/reference/noise-model.md` describes."""
        return document(self, self._other_qubits)

    def to_text(self) -> str:
        """Return the model as JSON text, `from_text` reads it back equal."""
        return json.dumps(self.to_json(), indent=2) + "\n"

    @classmethod
    def from_json(cls, given: object) -> NoiseModel:
        """Return the model of a JSON document.

        Raises:
            UnknownName: a field, gate or channel that there is not, with the nearest known one.
            InvalidSetting: another format or version, a value that cannot be, each with its place.
        """
        return cls(**arguments(given))

    @classmethod
    def from_text(cls, written: str | bytes) -> NoiseModel:
        """Return the model of JSON text.

        >>> NoiseModel.from_text(NoiseModel.depolarizing(0.001, 0.01).to_text()) == NoiseModel.depolarizing(0.001, 0.01)
        True
        """
        return cls.from_json(parsed(written))

    def save(self, path: str | Path) -> None:
        """Write the model to a file, whole or not at all.

        Raises:
            StorageFailed: the file cannot be written.
        """
        write(path, self.to_text())

    @classmethod
    def load(cls, path: str | Path) -> NoiseModel:
        """Return the model of a file; errors name the file.

        Raises:
            UnknownName, InvalidSetting: as for `from_json`, and for a file that cannot be read.
        """
        return read(path, cls.from_text)

    @cached_property
    def digest(self) -> str:
        """Content digest: equal for equal models on every machine (hex, 32 characters)."""
        content = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.to_json() == other.to_json() if isinstance(other, NoiseModel) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        label = f" {self.name!r}" if self.name else ""
        sizes = f"{len(self._gates)} gates, {len(self._qubits) or 'all'} qubits"
        return f"<NoiseModel{label}: {sizes}, {', '.join(sorted(self.needs())) or 'no channels'}>"


_REST = ("name", "calibration_id", "schedule", "dt_s", "native_gates", "strict", "notes")
_QUIET = QubitNoise()
_IDEAL = GateNoise()


def _both(readout: float | tuple[float, float] | None) -> tuple[float, float] | None:
    return readout if readout is None or isinstance(readout, tuple) else (readout, readout)


def _gate_name(name: str) -> str:
    known = ALIASES.get(name, name)
    if known not in GATES:
        raise UnknownName.among("gate", str(name), {*GATES, *ALIASES})
    return known


def _qubit(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise InvalidSetting(f"a qubit is a number from 0 up, or 'default' for all others, got {number!r}")
    return number


def _gates(given: Mapping[str, GateNoise | GateTable]) -> dict[str, dict[Place, GateNoise]]:
    tables: dict[str, dict[Place, GateNoise]] = {}
    for name, entries in given.items():
        known = ALIASES.get(name, name)
        if known not in _ARITY:
            raise UnknownName.among("gate with noise", str(name), {*_ARITY, *ALIASES})
        if known in tables:
            raise InvalidSetting(f"the gate {known} is given twice, once as {name}; give it once")
        by_place = entries if hasattr(entries, "items") else {DEFAULT: entries}
        tables[known] = {_place(known, place): _of(GateNoise, f"gate {known}", entry) for place, entry in by_place.items()}
        for place, entry in tables[known].items():
            _check_errors(known, place, entry)
    return tables


def _of(kind: type, what: str, entry: Any) -> Any:
    if not isinstance(entry, kind):
        raise InvalidSetting(f"the noise of {what} is a {kind.__name__}, got {entry!r}")
    return entry


def _place(name: str, given: object) -> Place:
    if given == DEFAULT or given is None:
        return None
    place = tuple(map(_qubit, given if isinstance(given, tuple) else (given,)))
    if len(place) != _ARITY[name] or len(set(place)) != len(place):
        raise InvalidSetting(f"{name} acts on {_ARITY[name]} different qubit{'s' * (_ARITY[name] > 1)}, got {list(place)}")
    return place


def _check_errors(name: str, place: Place, entry: GateNoise) -> None:
    for error in entry.errors:
        if max(error.on) >= _ARITY[name]:
            where = "" if place is None else f" on {list(place)}"
            last = _ARITY[name] - 1
            raise InvalidSetting(f"{name}{where}: {error.channel} acts on positions {list(error.on)}, and {name} has 0 to {last}")
