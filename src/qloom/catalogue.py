"""What is installed: devices, stages and executors, found through entry points, ours as anyone's."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from qloom.errors import InvalidSetting, MissingExtra, UnknownName
from qloom.kit.installed import State, path_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import EntryPoint

    from qloom.contracts import Device, Executor

GROUPS = {"device": "qloom.devices", "stage": "qloom.stages", "executor": "qloom.executors"}
"""Kind of part -> its entry-point group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One installed part.

    Attributes:
        kind: `device`, `stage` or `executor`.
        name: the name it is asked for by.
        version: of the distribution that brings it.
        distribution: that distribution.
        doc: first line of its documentation.
        options: option -> its annotation and default, as text.
        error: why it cannot be loaded; empty where it can.
        sealed: whether its code stays with the host and cannot be read by users.
    """

    kind: str
    name: str
    version: str = ""
    distribution: str = ""
    doc: str = ""
    options: dict[str, str] | None = None
    error: str = ""
    sealed: bool = False


def names(kind: str) -> list[str]:
    """Return the names of all installed parts of a kind, without loading any.

    >>> "sim" in names("device"), names("executor")
    (True, ['local'])
    """
    return sorted(entry.name for entry in _entries(kind))


def load(kind: str, name: str) -> Callable[..., Any]:
    """Return the factory registered under a name.

    Raises:
        UnknownName: nothing is registered under it; the nearest names are given.
        MissingExtra: it is registered, but a package it needs is not installed.
    """
    found = {entry.name: entry for entry in _entries(kind)}
    if name not in found:
        raise UnknownName.among(kind, name, found)
    return _load(found[name])


def create_device(name: str, *, threads: int | None = None) -> Device:
    """Return a device by its name, `name` or `scheme:rest`.

    Args:
        name: such as `sim` or `sim:engine=qulacs`.
        threads: the thread budget of a simulator; None leaves it to the device.
    """
    scheme, _, rest = name.partition(":")
    device: Device = load("device", scheme)(rest, threads=threads)
    return device


def check_device_name(name: str) -> str:
    """Refuse a device name whose scheme nobody registered, or whose options its module refuses; no device is made.

    What follows the colon is shown to the function `check_options(rest)` beside the registered one, where there is one.

    Returns:
        The name for use elsewhere: `check_options` may return its options so that they mean the same in every folder.

    Raises:
        UnknownName: no such device, or no such option.
        InvalidSetting: an option's value.
    """
    scheme, _, rest = name.partition(":")
    known = {entry.name: entry for entry in _entries("device")}
    if scheme not in known:
        raise UnknownName.among("device", name, known)
    if rest:
        beside = sys.modules.get(getattr(_load(known[scheme]), "__module__", ""))
        check = getattr(beside, "check_options", None)
        if check is not None and (settled := check(rest)):
            return f"{scheme}:{settled}"
    return name


def calibrate_device(name: str) -> Iterator[dict[str, Any]]:
    """Measure what a device's choices rest on, by the function `calibrate()` beside the registered one; see `devices.sim`.

    Raises:
        UnknownName: no such device.
        InvalidSetting: it has nothing to calibrate.
    """
    scheme = name.partition(":")[0]
    known = {entry.name: entry for entry in _entries("device")}
    if scheme not in known:
        raise UnknownName.among("device", name, known)
    beside = sys.modules.get(getattr(_load(known[scheme]), "__module__", ""))
    measure = getattr(beside, "calibrate", None)
    if measure is None:
        raise InvalidSetting(f"device {name} has nothing to calibrate; sim has")
    found: Iterator[dict[str, Any]] = measure()
    return found


def create_executor(name: str, **options: Any) -> Executor:
    """Return an executor by its name.

    Args:
        name: the name it is registered under.
        options: of that executor; `parts` lists them.
    """
    executor: Executor = load("executor", name)(**options)
    return executor


def parts(kind: str | None = None) -> list[Part]:
    """Return every installed part, broken ones with their error.

    >>> [part.name for part in parts("executor")]
    ['local']
    """
    kinds = GROUPS if kind is None else [kind]
    found = [_describe(each, entry) for each in kinds for entry in _entries(each)]
    return sorted(found, key=lambda part: (part.kind, part.name))


def _entries(kind: str) -> tuple[EntryPoint, ...]:
    if kind not in GROUPS:
        raise UnknownName.among("kind of part", kind, GROUPS)
    return _entries_seen(GROUPS[kind], path_state())


@lru_cache(maxsize=16)
def _entries_seen(group: str, _state: State) -> tuple[EntryPoint, ...]:
    """Read what is installed: 10 ms where that is much, so it is read again only when `_state` says that it changed."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


def _load(entry: EntryPoint) -> Callable[..., Any]:
    try:
        factory: Callable[..., Any] = entry.load()
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{entry.name} needs the package {error.name!r}, which is not installed here") from error
    return factory


def _describe(kind: str, entry: EntryPoint) -> Part:
    distribution, version = (entry.dist.name, entry.dist.version) if entry.dist else ("", "")
    part = Part(kind=kind, name=entry.name, distribution=distribution, version=version)
    try:
        factory = _load(entry)
    except Exception as error:  # noqa: BLE001  a plugin is others' code: whatever it raises when it is loaded is what is told
        return replace(part, error=f"{type(error).__name__}: {error}")
    doc = (inspect.getdoc(factory) or "").partition("\n")[0]
    named = [value for value in inspect.signature(factory).parameters.values() if value.kind is value.KEYWORD_ONLY]
    return replace(part, doc=doc, options={value.name: str(value).partition(":")[2].strip() for value in named})
