"""Values as Python text: what a notebook's variables become in the module that is shipped."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from qloom.circuits import Circuit, Expression, Instruction, Observable

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_CHARACTERS = 100_000
LIMIT_ELEMENTS = 10_000
NUMPY, CIRCUITS, PATHS = "import numpy as _numpy", "import qloom.circuits as _circuits", "import pathlib as _pathlib"


class NotLiteral(Exception):
    """A value that cannot be written as Python text; the message goes behind the variable's name. Never leaves this room."""


def literal(value: Any, needed: set[str]) -> str:
    """Return Python text that makes an equal value.

    Args:
        value: a number, text, bytes, None, lists, tuples, dicts and sets of those, a numpy array of at most 10,000
            numbers, a path, a circuit, an angle formula or an observable.
        needed: the import lines that the text needs are added here.

    Raises:
        NotLiteral: anything else; what it is, and where it stands inside.

    >>> literal({"a": (1, float("inf")), "b": {2}}, set())
    "{'a': (1, float('inf')), 'b': {2}}"
    """
    try:
        text = "".join(_pieces(value, "", needed))
    except RecursionError:
        raise NotLiteral("contains itself or is nested too deeply") from None
    if len(text) > LIMIT_CHARACTERS:
        raise NotLiteral(
            f"is too large to be written into the program ({len(text):,} characters, the limit is {LIMIT_CHARACTERS:,}); "
            "save it to a file and declare that in data_files, or pass it as a parameter"
        )
    return text


def _pieces(value: Any, where: str, needed: set[str]) -> Iterator[str]:
    kind = type(value)
    if value is None or value is ... or kind in (bool, int, str, bytes):
        yield repr(value)
    elif kind is float:
        yield _float(value)
    elif kind is complex:
        yield f"complex({_float(value.real)}, {_float(value.imag)})"
    elif kind in (list, tuple, set, frozenset, dict):
        yield from _container(value, where, needed)
    elif kind in (range, slice):
        yield repr(value)
    elif kind.__module__ == "numpy" and hasattr(value, "dtype") and hasattr(value, "tobytes"):
        yield from _array(value, where, needed)
    elif isinstance(value, PurePath):
        needed.add(PATHS)
        yield f"_pathlib.{'Path' if hasattr(value, 'exists') else 'PurePath'}({str(value)!r})"
    elif kind in _WORDS or isinstance(value, Expression):
        needed.add(CIRCUITS)
        yield from _WORDS.get(kind, _expression)(value, where, needed)
    else:
        raise NotLiteral(_live(value, where))


def _live(value: Any, where: str) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    return f"{f'holds at {where}' if where else 'is'} a live {name}; create it inside the program or pass it as a parameter"


def _float(value: float) -> str:
    return repr(value) if math.isfinite(value) else f"float({str(value)!r})"


def _container(value: Any, where: str, needed: set[str]) -> Iterator[str]:
    kind = type(value)
    if kind is dict:
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            yield ", " if index else ""
            yield from _pieces(key, f"{where} (a key)", needed)
            yield ": "
            yield from _pieces(item, f"{where}[{key!r}]", needed)
        yield "}"
        return
    if kind in (set, frozenset):
        # Sorted, so that equal notebooks give equal text: the order of a set of strings changes from process to process.
        items = sorted("".join(_pieces(item, f"{where} (an item)", needed)) for item in value)
        inner = "{" + ", ".join(items) + "}" if items else "set()"
        yield inner if kind is set else f"frozenset({inner})"
        return
    yield "[" if kind is list else "("
    for index, item in enumerate(value):
        yield ", " if index else ""
        yield from _pieces(item, f"{where}[{index}]", needed)
    yield "]" if kind is list else ",)" if len(value) == 1 else ")"


def _array(value: Any, where: str, needed: set[str]) -> Iterator[str]:
    if value.dtype.kind not in "biufc" or value.dtype.itemsize > (16 if value.dtype.kind == "c" else 8):
        raise NotLiteral(
            f"{f'holds at {where}' if where else 'is'} an array of dtype {value.dtype}, only numbers can be written down"
        )
    if value.size > LIMIT_ELEMENTS:
        raise NotLiteral(
            f"{f'holds at {where}' if where else 'is'} an array of {value.size:,} numbers, the limit is {LIMIT_ELEMENTS:,}; "
            "save it to a file and declare that in data_files, or pass it as a parameter"
        )
    needed.add(NUMPY)
    dtype = value.dtype.newbyteorder("=").name
    if type(value).__name__ != "ndarray":
        yield f"_numpy.dtype({dtype!r}).type("
        yield from _pieces(value.item(), where, needed)
        yield ")"
        return
    yield "_numpy.array("
    yield from _pieces(value.tolist(), where, needed)
    # An empty array's list has lost its shape.
    yield f", dtype={dtype!r})" + (f".reshape({value.shape!r})" if value.size == 0 else "")


def _expression(value: Expression, *_: Any) -> Iterator[str]:
    if type(value) is Expression:
        yield f"_circuits.Expression({value.node!r})"
    else:
        yield f"_circuits.Parameter({value.node[1]!r})"


def _instruction(value: Instruction, where: str, needed: set[str]) -> Iterator[str]:
    yield "_circuits.Instruction"
    yield from _container(tuple(value), where, needed)


def _circuit(value: Circuit, where: str, needed: set[str]) -> Iterator[str]:
    yield f"_circuits.Circuit({value.num_qubits}, "
    yield from _container(value.instructions, where, needed)
    yield f", num_clbits={value.num_clbits}, parameters={value.parameters!r}, name={value.name!r})"


def _observable(value: Observable, where: str, needed: set[str]) -> Iterator[str]:
    yield "_circuits.Observable("
    yield from _container(value.terms, where, needed)
    yield ")"


_WORDS: dict[type, Any] = {Circuit: _circuit, Instruction: _instruction, Observable: _observable}
