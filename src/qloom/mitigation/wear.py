"""How much of each measured Pauli string a circuit's noise wears off: from error rates, gate counts and idle times alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from qloom.circuits.gates import GATES
from qloom.errors import InvalidSetting, Unsupported
from qloom.mitigation.timeline import GateTimes, Timeline, is_idle
from qloom.mitigation.twirling import BEHIND, PAULIS
from qloom.noise.schedule import ATTOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qloom.circuits import Circuit, Instruction, Observable
    from qloom.specs import DeviceSpec

ONE_QUBIT_SHARE = 0.1
"""Of a device's largest error rate, what a gate on one qubit has where only the largest one is stated."""
MOST_TERMS = 64
"""Of an observable, the largest ones stand for all."""
UNKNOWN = "?"
"""A letter that depends on angles: any of X, Y, Z."""
_SAME = {"X": ("x", "rx"), "Y": ("y", "ry"), "Z": ("z", "rz", "p", "s", "sdg", "t", "tdg")}
"""Letter -> gates on one qubit that leave it, but for its sign."""
_TURNS = {"h": "ZYX", "s": "YXZ", "sdg": "YXZ", "sx": "XZY", "sxdg": "XZY", "x": "XYZ", "y": "XYZ", "z": "XYZ", "id": "XYZ"}
"""Gate -> what X, Y and Z become, but for their signs."""
_BACK = {"iswap": "iswapdg", "iswapdg": "iswap"}
_DIAGONAL = ("rzz", "cp", "crz")


class GateRate(BaseModel):
    """Error rates of a gate.

    Attributes:
        random: probability of a Pauli error.
        coherent_rad: angle of the rotation that comes with it each time (rad).
    """

    model_config = ConfigDict(frozen=True)

    random: float = Field(0.0, ge=0, le=1)
    coherent_rad: float = Field(0.0, ge=0, allow_inf_nan=False)


class Rates(BaseModel):
    """A device's mean error rates, as `DeviceSpec.notes["error_rates"]` states them.

    Attributes:
        gates: gate name, or `default:1`, `default:2`, `default:3` for every other gate on so many qubits -> its errors.
        readout: (p(1|0), p(0|1)).
        t1_s, t2_s: of waiting qubits (s); None for no relaxation.
        slow_dephasing_rad_per_s: standard deviation of a detuning that stays for the length of a circuit; `ddd` undoes it.
    """

    model_config = ConfigDict(frozen=True)

    gates: dict[str, GateRate] = Field(default_factory=dict)
    readout: tuple[float, float] = (0.0, 0.0)
    t1_s: float | None = Field(None, gt=0)
    t2_s: float | None = Field(None, gt=0)
    slow_dephasing_rad_per_s: float = Field(0.0, ge=0, allow_inf_nan=False)

    @property
    def nothing(self) -> bool:
        """Whether there are no errors at all."""
        gates = any(rate.random or rate.coherent_rad for rate in self.gates.values())
        return not (gates or any(self.readout) or self.t1_s or self.t2_s or self.slow_dephasing_rad_per_s)

    def of(self, step: Instruction) -> GateRate:
        """Return the rates of a gate."""
        found = None if step.controls else self.gates.get(step.name)
        return found or self.gates.get(f"default:{len(step.qubits)}", _NONE)

    def relaxed(self, letter: str, time_s: float) -> float:
        """Return by what power of e a Pauli falls while its qubit relaxes for that time."""
        along = time_s / self.t1_s if self.t1_s else 0.0
        across = time_s / self.t2_s if self.t2_s else along / 2
        return {"Z": along, UNKNOWN: (along + 2 * across) / 3}.get(letter, across)


class Wear(NamedTuple):
    """What noise does to one term of an observable.

    Attributes:
        weight: the term's coefficient, without its sign.
        size: its value without noise where that is known but for its sign, 0 or 1; None where it depends on angles.
        decay: random errors of gates, and relaxation, make it exp(-decay) of that.
        relaxed: what of it is relaxation.
        swing: sum of the squared angles of coherent errors that reach it (rad^2).
        gates: how many gates these come from.
        twirled: twirling makes coherent errors random ones that wear off exp(-twirled).
        drift: variance of the phases that slow dephasing gives the qubits it waits on (rad^2).
        pulsed: what the pulses of `ddd` wear off besides, exp(-pulsed).
        seen: misread bits leave that part of it.
        known: relative variance of that part when it is calibrated with one shot of each state.
    """

    weight: float
    size: float | None
    decay: float = 0.0
    relaxed: float = 0.0
    swing: float = 0.0
    gates: int = 0
    twirled: float = 0.0
    drift: float = 0.0
    pulsed: float = 0.0
    seen: float = 1.0
    known: float = 0.0


_NONE = GateRate()


def rates_of(spec: DeviceSpec) -> Rates | None:
    """Return a device's error rates: as its notes state them, else from the largest ones of its `noise`; None for neither.

    Raises:
        InvalidSetting: its notes state something that cannot be.

    >>> from qloom.specs import DeviceSpec
    >>> lab = DeviceSpec(name="lab", num_qubits=2, gates=frozenset({"cx"}), noise={"depolarizing": 0.01, "readout": 0.02})
    >>> rates_of(lab).gates["default:2"].random, rates_of(lab).readout
    (0.01, (0.02, 0.02))
    """
    stated = spec.notes.get("error_rates")
    if stated is not None:
        try:
            return Rates.model_validate(stated)
        except ValueError as error:  # pydantic's own error is one
            raise InvalidSetting(f"device {spec.name}, notes.error_rates: {error}") from error
    if spec.noise is None:
        return None
    largest = sum(rate for kind, rate in spec.noise.items() if kind not in ("readout", "crosstalk"))
    read = spec.noise.get("readout", 0.0)
    gates = {"default:1": ONE_QUBIT_SHARE * largest, "default:2": largest, "default:3": largest}
    return Rates(gates={name: GateRate(random=min(1.0, rate)) for name, rate in gates.items()}, readout=(read, read))


class Course:
    """A circuit seen from its end: gates and waits, the last ones first.

    Args:
        circuit: without measurements.
        spec: of the device.
        rates: its error rates.

    >>> from qloom.circuits import Circuit, Observable
    >>> from qloom.specs import DeviceSpec
    >>> lab = DeviceSpec(name="lab", num_qubits=3, gates=frozenset({"h", "cx"}))
    >>> ghz, rates = Circuit(3).h(0).cx(0, 1).cx(1, 2), Rates(gates={"cx": GateRate(random=0.015)})
    >>> for wear in Course(ghz, lab, rates).wears(Observable({"XXX": 1.0, "ZZI": 0.5, "IIZ": 0.1}), (0, 1, 2)):
    ...     print(wear.weight, wear.size, round(wear.decay, 3))
    1.0 1.0 0.032
    0.5 1.0 0.032
    0.1 0.0 0.032
    """

    def __init__(self, circuit: Circuit, spec: DeviceSpec, rates: Rates) -> None:
        self._rates = rates
        self._times = GateTimes(spec.durations_s)
        self._pulse = rates.gates.get("x") or rates.gates.get("default:1", _NONE)
        self.has_waits = False
        self._steps = list(self._reversed(circuit, spec))

    def _reversed(self, circuit: Circuit, spec: DeviceSpec) -> Iterator[tuple[Instruction | None, int, float]]:
        """Yield gates with their length (s), and for each wait None, its qubit and its length."""
        try:
            if not spec.durations_s:
                raise Unsupported("no durations")
            line = Timeline("auto", circuit, self._times, "alap")
        except Unsupported:  # no times, or an `if`: then waiting is not counted
            yield from ((step, 0, 0.0) for step in reversed(tuple(circuit.flat())) if step.name in GATES)
            return
        ends: dict[int, list[tuple[int, float]]] = {}
        for wait in line.waits:
            if not wait.fresh:
                self.has_waits = True
                ends.setdefault(wait.before, []).append((wait.qubit, (wait.end - wait.start) / ATTOSECONDS))
        for position in range(len(line.steps), -1, -1):
            if position < len(line.steps) and not is_idle(line.steps[position].step):
                placed = line.steps[position]
                if placed.step.name in GATES:
                    yield placed.step, 0, (placed.end - placed.start) / ATTOSECONDS
            yield from ((None, qubit, time_s) for qubit, time_s in ends.get(position, ()))

    def wears(self, observable: Observable, measured: Sequence[int]) -> list[Wear]:
        """Return what noise does to the terms of an observable, those without identity alone; the largest ones.

        Args:
            observable: on the circuit's qubits.
            measured: qubits that are read, each of which may be misread.
        """
        terms = [(string, abs(factor)) for string, factor in observable.terms.items() if set(string) != {"I"} and factor]
        terms.sort(key=lambda term: -term[1])
        return [self._wear(string, factor, set(measured)) for string, factor in terms[:MOST_TERMS]]

    def _wear(self, string: str, weight: float, measured: set[int]) -> Wear:
        letters = dict(enumerate(string))
        low, high = self._rates.readout
        bits = sum(letter != "I" and qubit in measured for qubit, letter in letters.items())
        seen = max(0.0, 1 - low - high)
        spread = (low * (1 - low) + high * (1 - high)) / seen**2 if seen else 0.0
        found = Wear(weight, None, seen=seen**bits, known=bits * spread)
        walk = _Walk(self._rates, letters, self._pulse)
        for step, qubit, time_s in self._steps:
            if step is None:
                walk.wait(qubit, time_s)
            else:
                walk.gate(step, time_s)
        return walk.onto(found)


class _Walk:
    """Takes one Pauli string back through a circuit."""

    def __init__(self, rates: Rates, letters: dict[int, str], pulse: GateRate) -> None:
        self._rates = rates
        self._letters = letters
        self._pulse = pulse
        self._decay = self._relaxed = self._swing = self._twirled = self._drift = self._pulsed = 0.0
        self._gates = 0

    def onto(self, wear: Wear) -> Wear:
        """Return the wear with what was found."""
        return wear._replace(
            size=_size(self._letters),
            decay=self._decay + self._relaxed,
            relaxed=self._relaxed,
            swing=self._swing,
            gates=self._gates,
            twirled=self._twirled,
            drift=self._drift,
            pulsed=self._pulsed,
        )

    def wait(self, qubit: int, time_s: float) -> None:
        """Go back over a time in which a qubit waits."""
        letter = self._letters.get(qubit, "I")
        if letter == "I":
            return
        self._relaxed += self._rates.relaxed(letter, time_s)
        if letter != "Z":
            share = 2 / 3 if letter == UNKNOWN else 1.0
            self._drift += share * (self._rates.slow_dephasing_rad_per_s * time_s) ** 2
        self._pulsed += 2 * self._pulse.random * _share(1)

    def gate(self, step: Instruction, time_s: float) -> None:
        """Go back over a gate: first its errors, which come behind it, then the gate itself."""
        letters = [self._letters.get(qubit, "I") for qubit in step.qubits]
        if all(letter == "I" for letter in letters):
            return
        rate, share = self._rates.of(step), _share(len(step.qubits))
        self._decay += share * rate.random
        if time_s:
            self._relaxed += sum(self._rates.relaxed(letter, time_s) for letter in letters if letter != "I")
        if rate.coherent_rad:
            self._swing += rate.coherent_rad**2
            self._twirled += share * rate.coherent_rad**2 / 4
            self._gates += 1
        self._letters.update(zip(step.qubits, _before(step, letters), strict=True))


def _share(qubits: int) -> float:
    """Return how a random Pauli, not the identity, wears off another one on average: -ln of it to first order."""
    size = 4.0**qubits
    return size / (size - 1)


def _size(letters: Mapping[int, str]) -> float | None:
    """Return the size of a Pauli string's value in |0...0>."""
    if UNKNOWN in letters.values():
        return None
    return 1.0 if {*letters.values()} <= {"I", "Z"} else 0.0


def _before(step: Instruction, letters: Sequence[str]) -> Sequence[str]:
    """Return what a Pauli string becomes when it is taken back through a gate."""
    if step.controls:
        return [UNKNOWN] * len(letters)
    if len(letters) == 1:
        letter = letters[0]
        if letter == UNKNOWN or step.name in _SAME[letter]:
            return letters
        return [_TURNS[step.name]["XYZ".index(letter)] if step.name in _TURNS else UNKNOWN]
    name = _BACK.get(step.name, step.name)
    if name in BEHIND and UNKNOWN not in letters:
        code = BEHIND[name][4 * PAULIS.index(letters[0]) + PAULIS.index(letters[1])]
        return [PAULIS[code // 4], PAULIS[code % 4]]
    if name in _DIAGONAL and {*letters} <= {"I", "Z"}:
        return letters
    return [UNKNOWN] * len(letters)
