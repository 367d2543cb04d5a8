"""What differs between the call that was recorded and the one a replay makes, in words.

Calls are compared as tuples whose first field says what they are: a `Question` (`sample`, `estimate`, `gradient`), a step
(`("step", name, digest of its arguments)`) or a look at the clock (`("now",)`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from qloom.errors import Divergence
from qloom.tasks import Question, compiled_otherwise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qloom.tasks import Compiled

_STEP_FIELDS = ("kind", "name", "arguments")
_NAMES = {"step": "a classical step", "now": "the time", "sample": "samples", "estimate": "values", "gradient": "gradients"}
_STRUCTURE = "the circuit, observables or device options changed"


def first_difference(recorded: Sequence[Any], asked: Sequence[Any]) -> tuple[str, str]:
    """Return the first field that differs and what differs in it.

    >>> first_difference(("now",), ("step", "fit", b""))
    ('kind', 'recorded was the time, asked is a classical step')
    >>> first_difference(("step", "fit", b"1"), ("step", "fit", b"2"))
    ('arguments', "step 'fit' got other arguments")
    """
    is_question = asked[0] not in ("step", "now")
    for name, before, now in zip(Question._fields if is_question else _STEP_FIELDS, recorded, asked, strict=False):
        if before != now:
            return name, _in_words(name, before, now, asked)
    return "kind", f"recorded was {tuple(recorded)}, asked is {tuple(asked)}"


def divergence(
    recorded: Sequence[Any],
    asked: Sequence[Any],
    *,
    job_id: str,
    lane: str,
    position: int,
    compiled: Mapping[str, Compiled] | None = None,
) -> Divergence:
    """Return the error for a replay that asks something else than what was recorded.

    Args:
        recorded, asked: the calls.
        job_id, lane, position: where.
        compiled: digest of a prepared structure -> what a compiler made of it.
    """
    field, words = first_difference(recorded, asked)
    if field == "prepared" and (changed := _compiled_otherwise(recorded[1], asked[1], compiled or {})):
        words = changed
    return Divergence(
        f"the program no longer does what was recorded: lane {lane!r}, call {position}, field `{field}`: {words}. Recorded: "
        f"{_call_in_words(recorded)}. Asked: {_call_in_words(asked)}. The program, its arguments or what it reads changed. "
        f"`qloom job resume {job_id} --from-scratch` computes everything anew; `--accept-divergence` instead keeps what was "
        "recorded before this call and goes on fresh",
        field=field,
    )


def _call_in_words(call: Sequence[Any]) -> str:
    """Name a call for people, short.

    >>> _call_in_words(Question("sample", "0123456789abcdef", b"", 2, 100, None))
    'samples of structure 0123456789ab, 2 sets of 0 parameters, 100 shots'
    """
    if call[0] == "now":
        return "the time"
    if call[0] == "step":
        return f"step {call[1]!r}"
    kind, prepared, parameters, sets, shots, seed, options = call
    words = f"{_NAMES.get(kind, kind)} of structure {prepared[:12]}, {sets} set{'s' * (sets != 1)} of "
    words += f"{len(parameters) // (8 * sets) if sets else 0} parameters, {_shots(shots)}"
    return words + (f", seed {seed}" if seed is not None else "") + (f", options {options}" if options else "")


def _in_words(name: str, before: Any, now: Any, asked: Sequence[Any]) -> str:
    match name:
        case "kind":
            return f"recorded was {_NAMES.get(before, before)}, asked is {_NAMES.get(now, now)}"
        case "prepared":
            return f"{_STRUCTURE} (digest {before[:12]} recorded, {now[:12]} now)"
        case "parameters":
            return _first_number(before, now, asked[3])
        case "arguments":
            return f"step {asked[1]!r} got other arguments"
        case "shots":
            return f"recorded was {_shots(before)}, asked is {_shots(now)}"
    return f"recorded was {before!r}, asked is {now!r}"


def _compiled_otherwise(before: str, now: str, compiled: Mapping[str, Compiled]) -> str:
    """Say that the circuits are the same and what a compiler made of them is not; empty where that is not what differs."""
    then, today = compiled.get(before), compiled.get(now)
    if then is None or today is None or then.source != today.source:
        return ""
    return f"{compiled_otherwise(then, today)} (digest {before[:12]} recorded, {now[:12]} now)"


def _shots(value: int | None) -> str:
    return "exact values" if value is None else f"{value} shots"


def _first_number(before: bytes, now: bytes, sets: int) -> str:
    if len(before) != len(now):
        return f"recorded were {len(before) // 8} numbers, asked are {len(now) // 8}"
    old, new = (struct.unpack(f"<{len(values) // 8}d", values) for values in (before, now))
    # Bytes, not numbers, are compared: 0.0 and -0.0 are different angles to a digest.
    index = next(i for i in range(len(old)) if before[8 * i : 8 * i + 8] != now[8 * i : 8 * i + 8])
    columns = len(old) // sets if sets > 0 else len(old)
    return f"number {index % columns} of set {index // columns}: recorded was {old[index]!r}, asked is {new[index]!r}"
