"""The properties that Amazon Braket tells of its gate-model devices.

Read with the schemas of `amazon-braket-schemas`: `standardized_gate_model_qpu_device_properties`, versions 1 to 3, alone or as
the `standardized` part of a device's capabilities (https://github.com/amazon-braket/amazon-braket-schemas-python).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qloom.convert.noise_fidelity import depolarising, gate_name, possible_qubit
from qloom.errors import InvalidSetting, MissingExtra
from qloom.noise import ErrorChannel, GateNoise, NoiseModel, QubitNoise
from qloom.noise.schedule import UNIT_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    Place = tuple[int, ...] | str
    Gates = dict[str, dict[Place, GateNoise]]

STANDARD = "braket.device_schema.standardized_gate_model_qpu_device_properties"
_READOUT = "READOUT"
_BENCHMARKS = ("RANDOMIZED_BENCHMARKING", "SIMULTANEOUS_RANDOMIZED_BENCHMARKING")
"""Fidelities of one-qubit gates, the wanted one first."""


def noise_from_braket(source: Any) -> NoiseModel:
    """Return the noise that the properties of a Braket gate-model device tell.

    Args:
        source: a device's capabilities with a standardized part, or that part, versions 1 to 3: JSON text, a dict, or the
            schema's object (`AwsDevice.properties`).

    Qubits keep the device's numbers. A one-qubit fidelity (randomised benchmarking) becomes depolarising after every gate on
    that qubit, a two-qubit fidelity after that gate on that pair, in both directions where one is told, and the best gate of
    a pair stands for others on it; pairs without any have the median. Durations (version 3) let qubits relax in gates, and the
    error is reduced by that, as a fidelity holds both. A readout fidelity F becomes errors of 1 - F for 0 and for 1.

    Raises:
        InvalidSetting: no such properties, or values that cannot be; what is left out is in the model's `notes`.
        MissingExtra: `amazon-braket-schemas` is not installed.
    """
    whole = _schema(source)
    told = whole if whole.braketSchemaHeader.name == STANDARD else getattr(whole, "standardized", None)
    if told is None:
        raise InvalidSetting(f"{whole.braketSchemaHeader.name} has no standardized properties, so it tells nothing of noise")
    paradigm = getattr(whole, "paradigm", None)
    found = _Device()
    if told.braketSchemaHeader.version == "3":
        found.whole_device(told, getattr(paradigm, "qubitCount", None))
    else:
        found.each_qubit(told)
    names = list(getattr(paradigm, "nativeGateSet", None) or ())
    native = [name for name in map(gate_name, (name.lower() for name in names)) if name]
    found.notes += [f"native gate {name}: the circuit form has no such gate" for name in names if not gate_name(name.lower())]
    updated = getattr(told, "updatedAt", None) or getattr(getattr(whole, "service", None), "updatedAt", None)
    return NoiseModel(
        gates=found.gates,
        qubits=found.qubits,
        native_gates=native or None,
        calibration_id=updated.isoformat() if updated else "",
        notes=found.notes,
        name="from Amazon Braket",
    )


def _schema(source: Any) -> Any:
    """Return the schema's object."""
    try:
        from braket.schema_common import BraketSchemaBase
        from pydantic.v1 import ValidationError
    except ImportError as error:
        raise MissingExtra("properties of Braket devices need their schema: pip install 'qloom[aws]'") from error
    if isinstance(source, BraketSchemaBase):
        return source
    if isinstance(getattr(source, "properties", None), BraketSchemaBase):
        return source.properties
    text = source if isinstance(source, str | bytes) else json.dumps(source)
    try:
        return BraketSchemaBase.parse_raw_schema(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidSetting(f"these are no properties of a Braket device: {place}: {first['msg']}") from error
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSetting(f"these are no properties of a Braket device: {error}") from error


class _Device:
    """Gates and qubits as they are found."""

    def __init__(self) -> None:
        self.gates: Gates = {"default:1": {}, "default:2": {}}
        self.qubits: dict[Any, QubitNoise] = {}
        self.notes: list[str] = []

    # ---- versions 1 and 2: every qubit and pair has its own ----------------------------------------------------------

    def each_qubit(self, told: Any) -> None:
        """Read properties of qubits and of pairs."""
        for label, row in told.oneQubitProperties.items():
            qubit = _number(label)
            fidelities = {str(entry.fidelityType.name): entry.fidelity for entry in row.oneQubitFidelity}
            read = fidelities.pop(_READOUT, None)
            readout = None if read is None else (1 - read, 1 - read)
            self.qubits[qubit] = possible_qubit(qubit, _seconds(row.T1), _seconds(row.T2), readout, self.notes)
            self._one(qubit, fidelities, 0.0)
        best: dict[tuple[int, ...], float] = {}
        for label, row in told.twoQubitProperties.items():
            pair = tuple(_number(part) for part in label.split("-"))
            for entry in row.twoQubitGateFidelity:
                place = _directed(pair, entry.direction)
                self._two(entry.gateName, place, entry.fidelity)
                best[place] = max(entry.fidelity, best.get(place, 0.0))
        self._other_pairs(best)

    def _one(self, qubit: int | str, fidelities: dict[str, float], duration_s: float) -> None:
        used = next((name for name in _BENCHMARKS if name in fidelities), None)
        self.notes += [f"qubit {qubit}: the fidelity {name} is not used" for name in fidelities if name != used]
        errors: tuple[ErrorChannel, ...] = ()
        if used is not None:
            errors = depolarising(f"gates on qubit {qubit}", fidelities[used], [self.qubits[qubit]], duration_s, self.notes)
        if errors or duration_s:
            self.gates["default:1"]["default" if qubit == "default" else (int(qubit),)] = GateNoise(duration_s, errors)

    def _two(self, name: str, place: tuple[int, ...], fidelity: float) -> None:
        known = gate_name(name.lower())
        if known is None:
            self.notes.append(
                f"{name} on {list(place)}: the circuit form has no such gate; it stands for other gates on that pair"
            )
            return
        self._pair(self.gates.setdefault(known, {}), place, fidelity)

    def _pair(self, table: dict[Place, GateNoise], place: tuple[int, ...], fidelity: float) -> None:
        pair = [self.qubits.get(qubit, QubitNoise()) for qubit in place]
        entry = GateNoise(errors=depolarising(f"gates on {list(place)}", fidelity, pair, 0.0, self.notes))
        table[place] = entry
        table.setdefault(place[::-1], entry)

    def _other_pairs(self, best: dict[tuple[int, ...], float]) -> None:
        for place, fidelity in best.items():
            self._pair(self.gates["default:2"], place, fidelity)
        if best:
            middle = sorted(best.values())[(len(best) - 1) // 2]
            errors = depolarising("gates on other pairs", middle, [QubitNoise()] * 2, 0.0, self.notes)
            self.gates["default:2"]["default"] = GateNoise(errors=errors)
            self.notes.append(
                f"gates on pairs that are not told of have the median of those that are, a fidelity of {middle:.6g}"
            )

    # ---- version 3: one value for the device, some for qubits --------------------------------------------------------

    def whole_device(self, told: Any, count: int | None) -> None:
        """Read properties of the device, and of single qubits where they are told."""
        read = _first("readout", told.readoutFidelity, self.notes)
        readout = None if read is None else (1 - read, 1 - read)
        qubit = possible_qubit("default", _seconds(told.T1), _seconds(told.T2), readout, self.notes)
        singles = {_number(label): row.oneQubitFidelity for label, row in (told.oneQubitProperties or {}).items()}
        self.qubits = dict.fromkeys(range(count) if count else singles or ["default"], qubit) | dict.fromkeys(singles, qubit)
        one_s, two_s = _seconds(told.singleQubitGateDuration) or 0.0, _seconds(told.twoQubitGateDuration) or 0.0
        one = _first("one-qubit gates", told.singleQubitFidelity, self.notes)
        errors = () if one is None else depolarising("gates on one qubit", one, [qubit], one_s, self.notes)
        self.gates["default:1"]["default"] = GateNoise(one_s, errors)
        for number, rows in singles.items():
            own = _first(f"qubit {number}", rows, self.notes)
            if own is not None:
                errors = depolarising(f"gates on qubit {number}", own, [qubit], one_s, self.notes)
                self.gates["default:1"][(number,)] = GateNoise(one_s, errors)
        two = _first("two-qubit gates", told.twoQubitGateFidelity, self.notes)
        errors = () if two is None else depolarising("gates on two qubits", two, [qubit, qubit], two_s, self.notes)
        self.gates["default:2"]["default"] = GateNoise(two_s, errors)
        for name, time in (("measure", told.readoutDuration), ("reset", told.activeResetDuration)):
            self.gates[name] = {"default": GateNoise(_seconds(time) or 0.0)}


def _first(what: str, rows: Sequence[Any] | None, notes: list[str]) -> float | None:
    """Return the fidelity by randomised benchmarking, or the first one there is; the others are noted."""
    listed = list(rows or ())
    if not listed:
        return None
    named = [row for row in listed if row.fidelityType is not None and row.fidelityType.name.value == _BENCHMARKS[0]]
    chosen = (named or listed)[0]
    notes += [f"{what}: the fidelity {row.fidelity} is not used, {chosen.fidelity} is" for row in listed if row is not chosen]
    return float(chosen.fidelity)


def _directed(pair: tuple[int, ...], direction: Any) -> tuple[int, ...]:
    if not direction:
        return pair
    named = {str(getattr(key, "value", key)): qubit for key, qubit in direction.items()}
    return (named["control"], named["target"]) if {"control", "target"} <= named.keys() else pair


def _seconds(time: Any) -> float | None:
    """Return a time of the schema in seconds; None where it is not told, or told as 0."""
    if time is None or not time.value:
        return None
    told = str(getattr(time.unit, "value", time.unit))
    unit = told.lower()  # version 1 leaves the text free
    if unit not in UNIT_S:
        raise InvalidSetting(f"a time of Braket's properties is in {told!r}; {', '.join(UNIT_S)} are known")
    return float(time.value) * UNIT_S[unit]


def _number(label: str) -> int:
    if not label.isdecimal():
        raise InvalidSetting(f"a qubit of Braket's properties is named {label!r}; only numbers are known")
    return int(label)
