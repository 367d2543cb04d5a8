"""Errors as records: what a program caught in its first life, it must catch in a replay too."""

from __future__ import annotations

import sys
from typing import Any

_PLAIN = (str, int, float, bool, type(None))
# Only classes of these modules are made again by name; to import anything that a record names would run foreign code.
_MODULES = ("qloom.errors", "builtins")


def describe(error: Exception) -> list[Any]:
    """Return an error as module, class name, arguments and plain attributes.

    >>> describe(ValueError("no"))
    ['builtins', 'ValueError', ['no'], {}]
    """
    arguments = list(error.args)
    if isinstance(error, OSError) and error.filename is not None:
        arguments.append(error.filename)  # taken out of `args` when it was made
    if not all(isinstance(item, _PLAIN) for item in arguments):
        arguments = [str(error)]
    attributes = {name: value for name, value in vars(error).items() if isinstance(value, _PLAIN)}
    return [type(error).__module__, type(error).__qualname__, arguments, attributes]


def restore(record: list[Any]) -> Exception | None:
    """Return the error again; None for a class of somebody else's, whose call is then made again.

    >>> restore(describe(ValueError("no")))
    ValueError('no')
    """
    module, name, arguments, attributes = record
    made = getattr(sys.modules.get(module), name, None) if module in _MODULES else None
    if not (isinstance(made, type) and issubclass(made, Exception)):
        return None
    # Without __init__, whose parameters are not those in `args`; BaseException.__new__ sets args, OSError's its numbers.
    error = made.__new__(made, *arguments)
    vars(error).update(attributes)
    return error
