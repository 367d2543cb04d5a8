"""Devices that a program brings along: `python:module:function`.

The function is found in the job's own source (or anywhere on `sys.path`), takes no arguments and returns a device. It runs
inside the program's process, with the program's rights; to share a device with others, register an entry point instead.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from qloom.contracts import Device
from qloom.errors import InvalidSetting, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable


def create(rest: str = "", *, threads: int | None = None) -> Device:  # noqa: ARG001  every factory takes a thread budget
    """A device that the program brings along, made by a function of its own: `python:module:function`.

    Args:
        rest: `module:function`.
        threads: left to the function; here so that all factories are called alike.

    Raises:
        InvalidSetting: not of that form, or what the function returns is no device.
        UnknownName: no such module or function.

    >>> create("qloom.devices.sim")
    Traceback (most recent call last):
    qloom.errors.InvalidSetting: a Python device is named python:module:function, got 'python:qloom.devices.sim'
    """
    module_name, colon, function_name = rest.partition(":")
    if not colon or not module_name or not function_name:
        raise InvalidSetting(f"a Python device is named python:module:function, got 'python:{rest}'")
    device = _function(module_name, function_name)()
    if not isinstance(device, Device):
        raise InvalidSetting(
            f"python:{rest} returned a {type(device).__qualname__}, which is no device (see qloom.contracts.Device)"
        )
    return device


def _function(module_name: str, function_name: str) -> Callable[[], object]:
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        message = (
            f"no module called {module_name!r} for the device python:{module_name}:{function_name}; does the program import it?"
        )
        raise UnknownName(message) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]
        raise UnknownName.among(f"function in {module_name}", function_name, names)
    made: Callable[[], object] = function
    return made
