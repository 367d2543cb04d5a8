"""How specs and requirements are read and written: fields that are checked, JSON, and text of one line."""

from __future__ import annotations

import json
import math
import re
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from qloom.circuits.gates import ALIASES, GATES
from qloom.errors import InvalidSetting, UnknownName
from qloom.specs.connectivity import Connectivity

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Reader = Callable[[str, Any], Any]
    """Takes what a value is called in errors, and the value; returns it as the field holds it, or raises."""

ERROR_KINDS = ("bit_flip", "phase_flip", "amplitude_damping", "depolarizing", "dephasing", "crosstalk", "readout")
"""Kinds of error that a device may state and a program may limit."""
TIMES = ("measure", "reset", "default:1", "default:2", "default:3", "default", "dt")
"""What has a time besides gates: all others on one, two or three qubits, whatever else there is, the unit of delays in `dt`."""
KEY = re.compile(r"([A-Za-z_]\w*)\s*:\s*", re.ASCII)
WORD = re.compile(r"[A-Za-z_][\w.-]*(?=\s*(?:;|$))", re.ASCII)
END = re.compile(r"\s*(?:;\s*|$)")
CONSTANTS = frozenset({"true", "false", "null", "NaN", "Infinity"})
"""Words that mean something else than themselves in JSON, so that text of that spelling is written in quotes."""


class Alias(NamedTuple):
    """Another way to say a field in JSON and in text: the field, and the value it gets."""

    field: str
    convert: Callable[[float], float]


class Record:
    """A frozen dataclass whose fields are checked, and which has a JSON form and a text form.

    Attributes:
        KIND: what it is called in errors.
        READERS: field -> what checks it and brings it into its form.
        ALIASES: other names of fields when they are read.
    """

    __slots__ = ()
    KIND: ClassVar[str]
    READERS: ClassVar[Mapping[str, Reader]]
    ALIASES: ClassVar[Mapping[str, Alias]] = {}

    def __post_init__(self) -> None:
        for name, reader in self.READERS.items():
            given = getattr(self, name)
            value = reader(f"{self.KIND}: {name}", given)
            if value is not given:
                object.__setattr__(self, name, value)

    def to_json(self) -> dict[str, Any]:
        """Return every field as JSON; `from_json` gives an equal value back."""
        return {name: _plain(getattr(self, name)) for name in self.READERS}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Return what `to_json` wrote; fields that are absent have their defaults.

        Raises:
            UnknownName: a field that there is not, with the nearest ones.
            InvalidSetting: a value that a field cannot have, a field without a default that is absent, no JSON object.
        """
        if not isinstance(document, dict):
            raise InvalidSetting(f"{cls.KIND}: takes a JSON object of fields, got {_short(document)}")
        known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]  # every record is a dataclass
        given: dict[str, Any] = {}
        for name, value in document.items():
            field, read = name, value
            if name in cls.ALIASES:
                field, read = cls.ALIASES[name].field, cls.ALIASES[name].convert(number(f"{cls.KIND}: {name}", value))
            if field not in known:
                raise UnknownName.among(f"field of the {cls.KIND}", str(name), {*known, *cls.ALIASES})
            if field in given:
                raise InvalidSetting(f"{cls.KIND}: {field} is given twice, the second time as {name}")
            given[field] = read
        for name, one in known.items():
            if name not in given and one.default is MISSING and one.default_factory is MISSING:
                raise InvalidSetting(f"{cls.KIND}: {name} is missing")
        return cls(**given)

    def to_text(self) -> str:
        """Return the fields that are not at their defaults as one line, `field: value; field: value`.

        A value is a plain word, or JSON without any character outside of ASCII, so that no value can break the line.
        """
        defaults = {field.name: _default(field) for field in fields(self)}  # type: ignore[arg-type]  # as above
        kept = {name: getattr(self, name) for name in self.READERS if getattr(self, name) != defaults[name]}
        return "; ".join(f"{name}: {_text(value, f'{self.KIND}: {name}')}" for name, value in kept.items())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return what `to_text` wrote.

        Raises:
            UnknownName, InvalidSetting: as for `from_json`, and where the text is not of that form, with the column.
        """
        return cls.from_json(read_line(text, cls.KIND))

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what either `to_text` or, as JSON text, `to_json` wrote.

        Raises:
            UnknownName, InvalidSetting: as for both.
        """
        return cls.from_json(read_document(text, cls.KIND)) if text.lstrip().startswith("{") else cls.from_text(text)


# ---- text --------------------------------------------------------------------------------------------------------------


def read_line(line: str, kind: str) -> dict[str, Any]:
    r"""Return the fields in `field: value; field: value`.

    Raises:
        InvalidSetting: not of that form; the column, counted from 1, is named. A field that is given twice.

    >>> read_line('name: toss; notes: {"made": "here; there: \\"x\\""}; num_qubits: 4', "device spec")
    {'name': 'toss', 'notes': {'made': 'here; there: "x"'}, 'num_qubits': 4}
    """
    found: dict[str, Any] = {}
    at = len(line) - len(line.lstrip())
    while at < len(line):
        key = KEY.match(line, at)
        if key is None:
            raise InvalidSetting(f"{kind}: column {at + 1}: expected `field: value`, got {_short(line[at:])}")
        if key[1] in found:
            raise InvalidSetting(f"{kind}: column {at + 1}: {key[1]} is given twice")
        found[key[1]], at = _read_value(line, key.end(), f"{kind}: column {key.end() + 1}: {key[1]}")
        end = END.match(line, at)
        if end is None:
            raise InvalidSetting(f"{kind}: column {at + 1}: expected `;` after {key[1]}, got {_short(line[at:])}")
        at = end.end()
    return found


def read_document(text: str, kind: str) -> Any:
    """Return a JSON document.

    Raises:
        InvalidSetting: no JSON, a field given twice, or a number that is not finite.

    >>> read_document('{"a": 1, "a": 2}', "device spec")
    Traceback (most recent call last):
    qloom.errors.InvalidSetting: device spec: 'a' is given twice
    """
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSetting(f"{kind}: {error}") from error


def _read_value(line: str, at: int, what: str) -> tuple[Any, int]:
    word = WORD.match(line, at)
    if word is not None and word[0] not in CONSTANTS:
        return word[0], word.end()
    try:
        return _DECODER.raw_decode(line, at)
    except (ValueError, RecursionError) as error:
        advice = "text that is more than one word stands in double quotes"
        raise InvalidSetting(f"{what} is no JSON value and no word, got {_short(line[at:])}; {advice}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is given twice")
        found[name] = value
    return found


def _not_finite(name: str) -> float:
    raise ValueError(f"{name} is no number that JSON has")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_not_finite)


def _text(value: Any, what: str) -> str:
    plain = str(value) if isinstance(value, Connectivity) else _plain(value)
    if isinstance(plain, str) and plain not in CONSTANTS and WORD.fullmatch(plain):
        return plain
    try:
        return json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidSetting(f"{what} must be JSON: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return dict(value)
    return value.to_json() if hasattr(value, "to_json") else value


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


SHOWN_CHARACTERS = 60
"""How much of a wrong value an error shows."""


# ---- fields ------------------------------------------------------------------------------------------------------------


def text(what: str, value: Any) -> str:
    """Read text."""
    if not isinstance(value, str):
        raise InvalidSetting(f"{what} must be text, got {_short(value)}")
    return value


def flag(what: str, value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise InvalidSetting(f"{what} must be true or false, got {_short(value)}")
    return value


def number(what: str, value: Any) -> float:
    """Read a finite number from 0 up."""
    try:
        found = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        found = math.inf
    if not math.isfinite(found) or found < 0:
        raise InvalidSetting(f"{what} must be a finite number from 0 up, got {_short(value)}")
    return value if isinstance(value, float) else found


def whole(least: int) -> Reader:
    """Return what reads an integer from `least` up."""

    def read(what: str, value: Any) -> int:
        found = value if type(value) is int else _index(value)
        if found is None or found < least:
            raise InvalidSetting(f"{what} must be an integer from {least} up, got {_short(value)}")
        return found

    return read


def _index(value: Any) -> int | None:
    """The integer that a numpy scalar is."""
    return None if isinstance(value, bool) or not hasattr(value, "__index__") else int(value.__index__())


def optional(reader: Reader) -> Reader:
    """Return what reads a value that may be None."""
    return lambda what, value: None if value is None else reader(what, value)


def one_of(choices: Collection[str]) -> Reader:
    """Return what reads one of some words."""

    def read(what: str, value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise UnknownName.among(_inside(what), str(value), choices)
        return value

    return read


def words(what: str, value: Any) -> frozenset[str]:
    """Read a set of texts."""
    if isinstance(value, str) or not isinstance(value, frozenset | set | list | tuple):
        raise InvalidSetting(f"{what} must be a list of texts, got {_short(value)}")
    for item in value:
        if not isinstance(item, str):
            raise InvalidSetting(f"{what} must be a list of texts, got {_short(item)} in it")
    return value if isinstance(value, frozenset) else frozenset(value)


def row_of_words(what: str, value: Any) -> tuple[str, ...]:
    """Read texts whose order counts."""
    words(what, value)
    return value if isinstance(value, tuple) else tuple(value)


def _inside(what: str) -> str:
    """Turn `device spec: kind` into `kind of device spec`, for an error that begins with `no`."""
    record, _, field = what.partition(": ")
    return f"{field} of {record}"


def words_of(choices: Collection[str]) -> Reader:
    """Return what reads a set of some words."""

    def read(what: str, value: Any) -> frozenset[str]:
        found = words(what, value)
        for unknown in sorted(found.difference(choices)):
            raise UnknownName.among(_inside(what), unknown, choices)
        return found

    return read


def gates(what: str, value: Any) -> frozenset[str]:
    """Read gate names; those of other dialects become ours."""
    found = words(what, value)
    return found if found.isdisjoint(ALIASES) else frozenset(ALIASES.get(name, name) for name in found)


def rates(what: str, value: Any) -> dict[str, float]:
    """Read kinds of error with a rate from 0 to 1 each."""
    if not isinstance(value, dict):
        raise InvalidSetting(f"{what} must be an object of kinds of error and rates, got {_short(value)}")
    for kind, rate in value.items():
        if kind not in ERROR_KINDS:
            raise UnknownName.among(f"kind of error in {_inside(what)}", str(kind), ERROR_KINDS)
        if number(f"{what}: {kind}", rate) > 1:
            raise InvalidSetting(f"{what}: {kind} must be a rate from 0 to 1, got {rate!r}")
    return value


def times(what: str, value: Any) -> dict[str, float]:
    """Read times (s) of gates, of those of other dialects by our names, and of `TIMES`."""
    if not isinstance(value, dict):
        raise InvalidSetting(f"{what} must be an object of gate names and seconds, got {_short(value)}")
    found: dict[str, float] = {}
    for given, time in value.items():
        name = ALIASES.get(given, given)
        if name not in TIMES and not (name in GATES and GATES[name].num_qubits):
            raise UnknownName.among(f"gate with a time in {_inside(what)}", str(given), {*GATES, *TIMES} - {"gphase"})
        if name in found:
            raise InvalidSetting(f"{what}: the time of {name} is given twice, once as {given}; give it once")
        found[name] = number(f"{what}: {name}", time)
    return found


def json_object(what: str, value: Any) -> dict[str, Any]:
    """Read an object of facts."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise InvalidSetting(f"{what} must be an object with texts as names, got {_short(value)}")
    return value


def moment(what: str, value: Any) -> str:
    """Read a time as ISO 8601 writes it, with its offset from UTC; or empty text."""
    found = text(what, value)
    if found:
        from datetime import datetime  # late: few specs have one

        try:
            aware = datetime.fromisoformat(found).utcoffset() is not None
        except ValueError:
            aware = False
        if not aware:
            raise InvalidSetting(f"{what} must be a time with its offset, such as 2026-01-31T09:00:00Z, got {_short(value)}")
    return found
