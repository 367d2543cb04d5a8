"""The JSON form of a noise model, version 1: `docs/reference/noise-model.md` describes it."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom.errors import InvalidSetting, StorageFailed, UnknownName
from qloom.noise.entries import ErrorChannel, GateNoise, QubitNoise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from qloom.noise.model import NoiseModel

FORMAT = "qloom-noise"
VERSION = 1
MAX_BYTES = 64 * 1024 * 1024
"""The largest file that is read."""
_PLAIN: dict[str, tuple[type, str]] = {
    "name": (str, "text"),
    "calibration_id": (str, "text"),
    "schedule": (str, "text"),
    "strict": (bool, "true or false"),
}
_LISTS = ("native_gates", "notes")
_FIELDS = {"format", "version", "dt_s", "qubits", "gates", *_PLAIN, *_LISTS}
_QUBIT_FIELDS = ("t1_s", "t2_s", "excited_population", "readout")
_READOUT_FIELDS = ("p1_given_0", "p0_given_1")
_GATE_FIELDS = ("duration_s", "errors", "relaxation")
_ERROR_FIELDS = ("channel", "parameters", "on")


# ---- writing -----------------------------------------------------------------------------------------------------------


def document(model: NoiseModel, other_qubits: QubitNoise | None) -> dict[str, Any]:
    """Return a model as JSON; what is as it would be without its field is left out."""
    qubits = {} if other_qubits is None else {"default": _qubit_out(other_qubits)}
    qubits |= {str(number): _qubit_out(entry) for number, entry in sorted(model.qubits.items())}
    gates = {
        name: {_place_out(place): _gate_out(entry) for place, entry in sorted(table.items(), key=lambda row: row[0] or ())}
        for name, table in sorted(model.gates.items())
    }
    fields: dict[str, Any] = {
        "name": model.name,
        "calibration_id": model.calibration_id,
        "notes": list(model.notes),
        "schedule": model.schedule,
        "dt_s": model.dt_s,
        "native_gates": None if model.native_gates is None else sorted(model.native_gates),
        "strict": model.strict,
        "qubits": qubits,
        "gates": gates,
    }
    kept = {key: value for key, value in fields.items() if value or key == "schedule" or (key == "native_gates" and value == [])}
    return {"format": FORMAT, "version": VERSION, **kept}


def _qubit_out(entry: QubitNoise) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(entry, name) for name in _QUBIT_FIELDS[:3] if getattr(entry, name)}
    return found if entry.readout is None else {**found, "readout": dict(zip(_READOUT_FIELDS, entry.readout, strict=True))}


def _gate_out(entry: GateNoise) -> dict[str, Any]:
    found: dict[str, Any] = {"duration_s": entry.duration_s} if entry.duration_s else {}
    if entry.errors:
        found["errors"] = [
            {"channel": error.channel, "parameters": list(error.parameters), "on": list(error.on)} for error in entry.errors
        ]
    return found if entry.relaxation else {**found, "relaxation": False}


def _place_out(place: tuple[int, ...] | None) -> str:
    return "default" if place is None else "-".join(map(str, place))


# ---- reading -----------------------------------------------------------------------------------------------------------


def parsed(written: str | bytes) -> Any:
    """Return JSON text as a document; a field that stands twice, NaN and infinities are refused."""
    try:
        return json.loads(written, object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError as error:  # no JSON, no UTF-8, or a number of too many digits
        raise InvalidSetting(f"a noise model is JSON, and this is not: {error}") from error
    except RecursionError as error:
        raise InvalidSetting("a noise model is JSON of at most five levels, and this is nested far deeper") from error


def arguments(given: object) -> dict[str, Any]:
    """Return a document as the arguments of `NoiseModel`."""
    fields = _mapping("a noise model", given)
    if fields.get("format") != FORMAT:
        raise InvalidSetting(f'a noise model has "format": "{FORMAT}", got {_shown(fields.get("format"))}')
    if type(fields.get("version")) is not int or fields["version"] != VERSION:
        raise InvalidSetting(f"this qloom reads noise models of version {VERSION}, got {_shown(fields.get('version'))}")
    _known("field of a noise model", fields, _FIELDS)
    found: dict[str, Any] = {}
    for name, (kind, words) in _PLAIN.items():
        if name in fields:
            found[name] = _of(kind, words, name, fields[name])
    for name in _LISTS:
        if name in fields:
            listed = _of(list, "a list of texts", name, fields[name])
            found[name] = [_of(str, "text", name, item) for item in listed]
    if "dt_s" in fields:
        found["dt_s"] = _number("dt_s", fields["dt_s"])
    found["qubits"] = dict(_qubits_in(_mapping("qubits", fields.get("qubits", {}))))
    found["gates"] = {name: dict(_gates_in(name, table)) for name, table in _mapping("gates", fields.get("gates", {})).items()}
    return found


def _qubits_in(table: Mapping[str, Any]) -> Iterator[tuple[int | str, QubitNoise]]:
    for number, given in table.items():
        where = f"qubits.{number}"
        with _at(where):
            entry = dict(_mapping(where, given))
            _known("field of a qubit", entry, _QUBIT_FIELDS)
            if "readout" in entry:
                readout = _mapping("readout", entry["readout"])
                _known("field of a readout", readout, _READOUT_FIELDS)
                entry["readout"] = tuple(_number(name, readout.get(name)) for name in _READOUT_FIELDS)
            numbers = {name: _number(name, value) for name, value in entry.items() if name != "readout"}
            yield number if number == "default" else _whole(number), QubitNoise(**{**entry, **numbers})


def _gates_in(name: str, table: object) -> Iterator[tuple[tuple[int, ...] | str, GateNoise]]:
    for place, given in _mapping(f"gates.{name}", table).items():
        where = f"gates.{name}.{place}"
        with _at(where):
            entry = _mapping(where, given)
            _known("field of a gate", entry, _GATE_FIELDS)
            errors = [_error_in(error) for error in _of(list, "a list", "errors", entry.get("errors", []))]
            relaxation = _of(bool, "true or false", "relaxation", entry.get("relaxation", True))
            noise = GateNoise(_number("duration_s", entry.get("duration_s", 0.0)), tuple(errors), relaxation)
            yield place if place == "default" else tuple(_whole(part) for part in place.split("-")), noise


def _error_in(given: object) -> ErrorChannel:
    fields = _mapping("an error", given)
    _known("field of an error", fields, _ERROR_FIELDS)
    channel = _of(str, "a channel's name", "channel", fields.get("channel"))
    numbers = [
        _number(f"a parameter of {channel}", value) for value in _of(list, "a list", "parameters", fields.get("parameters"))
    ]
    return ErrorChannel(channel, tuple(numbers), tuple(_of(list, "a list", "on", fields.get("on", []))))


@contextmanager
def _at(where: str) -> Iterator[None]:
    """Name the place in errors."""
    try:
        yield
    except (InvalidSetting, UnknownName) as error:
        raise type(error)(f"{where}: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidSetting(f"the field {twice!r} stands twice in one object; keep one")
    return found


def _no_number(text: str) -> float:
    raise InvalidSetting(f"{text} is no number of a noise model; leave the field out where there is no value")


def _known(kind: str, fields: Mapping[str, Any], names: Any) -> None:
    for name in fields:
        if name not in names:
            raise UnknownName.among(kind, name, names)


def _mapping(where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidSetting(f"{where} is an object with named fields, got {_shown(value)}")
    return value


def _of(kind: type, words: str, where: str, value: Any) -> Any:
    if type(value) is not kind:
        raise InvalidSetting(f"{where} is {words}, got {_shown(value)}")
    return value


def _number(where: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidSetting(f"{where} is a number, got {_shown(value)}")
    return value


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and str(int(text[:9])) == text):
        raise InvalidSetting(f"qubits are written as 3 or 0-1, or 'default' for all others, got {text[:40]!r}")
    return int(text)


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:60]


# ---- files -------------------------------------------------------------------------------------------------------------


def read(path: str | Path, from_text: Callable[[bytes], NoiseModel]) -> NoiseModel:
    """Return the model that `from_text` makes of a file's content; errors name the file. See `NoiseModel.load`."""
    try:
        with Path(path).open("rb") as file:
            written = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise InvalidSetting(f"there is no noise model file {path} (in {Path.cwd()})") from error
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"the noise model file {path} cannot be read: {error}") from error
    if len(written) > MAX_BYTES:
        raise InvalidSetting(f"the noise model file {path} has more than {MAX_BYTES} bytes, the limit")
    with _at(str(path)):
        return from_text(written)


def write(path: str | Path, written: str) -> None:
    """Write a file, whole or not at all; see `NoiseModel.save`."""
    target = Path(path)
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            aside.write_text(written, encoding="utf-8")
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailed(f"the noise model cannot be written to {path}: {error}") from error
