"""What is installed: devices, stages and executors, found through entry points, ours as anyone's."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from qloom.errors import BrokenPlugin, InvalidSetting, MissingExtra, UnknownName
from qloom.kit.installed import State, path_state
from qloom.kit.packages import origin_of, registered
from qloom.pipelines.describing import describe_stage, stage_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.metadata import EntryPoint

    from qloom.contracts import Device, Executor
    from qloom.contracts.stage import Stage, StageCost

GROUPS = {"device": "qloom.devices", "stage": "qloom.stages", "executor": "qloom.executors"}
"""Kind of part -> its entry-point group."""
_LONGEST_ERROR = 300
_JSON_TYPES = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "None": "null"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One installed part.

    Attributes:
        kind: `device`, `stage` or `executor`.
        name: the name it is asked for by.
        version: of the distribution that brings it.
        distribution: that distribution.
        author: of the distribution.
        licence: of the distribution; with a stage's own word behind it, such as the licence of a library that it drives.
        doc: first line of its documentation.
        error: why it cannot be used; empty where it can.
        options: JSON Schema of its options; None where it cannot be used.
        cost: of a stage with its default options: what circuits and shots are multiplied by, and the most rounds; None where an
            option has no default, and for other kinds.
        max_rounds: of a stage, whatever the options.
        gives: what a stage gives: `values`, and `counts` where it can.
        joins_branches: whether a stage stands behind parallel branches instead of in a chain.
        sealed: whether its code stays with the host and cannot be read by users.
    """

    kind: str
    name: str
    version: str = ""
    distribution: str = ""
    author: str = ""
    licence: str = ""
    doc: str = ""
    error: str = ""
    options: dict[str, Any] | None = None
    cost: StageCost | None = None
    max_rounds: int | None = None
    gives: tuple[str, ...] = ()
    joins_branches: bool = False
    sealed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return found | {"gives": list(self.gives), "cost": None if self.cost is None else self.cost._asdict()}


def names(kind: str) -> list[str]:
    """Return the names of all installed parts of a kind, without loading any.

    >>> "sim" in names("device"), names("executor")
    (True, ['local'])
    """
    return sorted({entry.name for entry in _entries(kind)})


def load(kind: str, name: str) -> Callable[..., Any]:
    """Return the factory registered under a name.

    Raises:
        UnknownName: nothing is registered under it; the nearest names are given.
        MissingExtra: it is registered, but a package it needs is not installed.
        BrokenPlugin: loading it fails, it cannot be called, or several packages register that name.
    """
    return _load(kind, _entry(kind, name))


def create_device(name: str, *, threads: int | None = None) -> Device:
    """Return a device by its name, `name` or `scheme:rest`.

    Args:
        name: such as `sim` or `sim:engine=qulacs`.
        threads: the thread budget of a simulator; None leaves it to the device.
    """
    scheme, _, rest = name.partition(":")
    device: Device = load("device", scheme)(rest, threads=threads)
    return device


def open_stage(name: str) -> Stage:
    """Return a stage by its name.

    Raises:
        UnknownName: nobody registered it; the nearest names are given.
        MissingExtra: a package that it needs is not installed.
        BrokenPlugin: it fails when it is loaded or made, it is no stage, or several packages register that name.
    """
    return _opened_stage(name, path_state())


@lru_cache(maxsize=64)
def _opened_stage(name: str, _state: State) -> Stage:
    return _made_stage(_entry("stage", name))


def _made_stage(entry: EntryPoint) -> Stage:
    factory = _load("stage", entry)
    try:
        stage: Stage = factory()
    except (Exception, SystemExit) as error:
        raise _broken("stage", entry, f"making it fails with {_told(error)}") from error
    if problem := stage_problem(entry.name, stage):
        raise _broken("stage", entry, f"what is registered is no stage: {problem}")
    return stage


def check_device_name(name: str) -> str:
    """Refuse a device name whose scheme nobody registered, or whose options its module refuses; no device is made.

    What follows the colon is shown to the function `check_options(rest)` beside the registered one, where there is one.

    Returns:
        The name for use elsewhere: `check_options` may return its options so that they mean the same in every folder.

    Raises:
        UnknownName: no such device, or no such option.
        InvalidSetting: an option's value.
        MissingExtra, BrokenPlugin: as `load`.
    """
    scheme, _, rest = name.partition(":")
    entry = _entry("device", scheme, asked=name)
    if rest:
        beside = sys.modules.get(getattr(_load("device", entry), "__module__", ""))
        check = getattr(beside, "check_options", None)
        if check is not None and (settled := check(rest)):
            return f"{scheme}:{settled}"
    return name


def calibrate_device(name: str) -> Iterator[dict[str, Any]]:
    """Measure what a device's choices rest on, by the function `calibrate()` beside the registered one; see `devices.sim`.

    Raises:
        UnknownName: no such device.
        InvalidSetting: it has nothing to calibrate.
        MissingExtra, BrokenPlugin: as `load`.
    """
    entry = _entry("device", name.partition(":")[0], asked=name)
    beside = sys.modules.get(getattr(_load("device", entry), "__module__", ""))
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


def parts(kind: str | None = None, *, details: bool = True) -> list[Part]:
    """Return every installed part, those that cannot be used with their error: one hides no other.

    Args:
        kind: `device`, `stage` or `executor`, also in the plural; None for all.
        details: whether options and costs are worked out.

    Raises:
        UnknownName: no such kind.

    >>> [part.name for part in parts("executor")]
    ['local']
    """
    _read_again()
    wanted = [*GROUPS] if kind is None else [kind.removesuffix("s")]
    found: list[Part] = []
    for each in wanted:
        entries = _entries(each)
        for entry in entries:
            alike = [other for other in entries if other.name == entry.name]
            found.append(_described(each, entry, alike, details=details))
    return sorted(found, key=lambda part: (part.kind, part.name, part.distribution))


# ---- what is registered ----------------------------------------------------------------------------------------------


def _entries(kind: str) -> tuple[EntryPoint, ...]:
    if kind not in GROUPS:
        raise UnknownName.among("kind of plugin", kind, GROUPS)
    return _entries_seen(GROUPS[kind], path_state())


@lru_cache(maxsize=16)
def _entries_seen(group: str, _state: State) -> tuple[EntryPoint, ...]:
    """Read what is installed: 10 ms where that is much, so it is read again only when `_state` says that it changed."""
    return registered(group)


def _read_again() -> None:
    """Forget what was read: a package may have come within one tick of the clock that folders are stamped by."""
    importlib.invalidate_caches()
    _entries_seen.cache_clear()


def _entry(kind: str, name: str, *, asked: str = "") -> EntryPoint:
    """Return what is registered under a name; before a name is refused, everything is read again."""
    found = [entry for entry in _entries(kind) if entry.name == name]
    if not found:
        _read_again()
        found = [entry for entry in _entries(kind) if entry.name == name]
    if not found:
        raise UnknownName.among(kind, asked or name, names(kind))
    if len(found) > 1:
        raise BrokenPlugin(f"{kind} {name}: {_shared_name(found)}")
    return found[0]


def _shared_name(entries: Sequence[EntryPoint]) -> str:
    who = " and by ".join(sorted(f"{origin_of(entry.dist)} ({entry.value})" for entry in entries))
    return f"this name is registered by {who}, and cannot be used until only one of them is installed; uninstall the other"


# ---- loading ---------------------------------------------------------------------------------------------------------


def _load(kind: str, entry: EntryPoint) -> Callable[..., Any]:
    try:
        factory: Callable[..., Any] = entry.load()
    except (Exception, SystemExit) as error:  # a plugin is others' code: whatever it raises is told
        missing = (isinstance(error, ModuleNotFoundError) and error.name) or ""
        if missing and missing.partition(".")[0] != entry.module.partition(".")[0]:
            raise MissingExtra(
                f"{kind} {entry.name} needs the package {missing!r}, which is not installed here; install it beside"
                f" {origin_of(entry.dist)}"
            ) from error
        raise _broken(kind, entry, f"loading {entry.value} fails with {_told(error)}", _told(error)) from error
    if not callable(factory):
        raise _broken(kind, entry, f"what is registered ({entry.value}) is a {type(factory).__name__}, and cannot be called")
    return factory


def _broken(kind: str, entry: EntryPoint, what: str, why: str = "") -> BrokenPlugin:
    return BrokenPlugin(f"{kind} {entry.name} of {origin_of(entry.dist)} cannot be used: {what}", why=why or what)


def _told(error: BaseException) -> str:
    """Return an error in one line that is not too long."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}…"
    return f"{type(error).__name__}: {text}".removesuffix(": ")


# ---- describing ------------------------------------------------------------------------------------------------------


def _described(kind: str, entry: EntryPoint, alike: Sequence[EntryPoint], *, details: bool) -> Part:
    part = Part(kind=kind, name=entry.name, **origin_of(entry.dist)._asdict())
    if len(alike) > 1:
        return replace(part, error=_shared_name(alike))
    try:
        if kind == "stage":
            return _described_stage(part, entry, details=details)
        factory = _load(kind, entry)
        return replace(part, doc=_first_line(factory), options=_signature_schema(factory) if details else None)
    except BrokenPlugin as error:
        return replace(part, error=error.why)
    except MissingExtra as error:
        return replace(part, error=str(error))


def _described_stage(part: Part, entry: EntryPoint, *, details: bool) -> Part:
    stage = _made_stage(entry)
    part = replace(part, doc=_first_line(type(stage)))
    if not details:
        return part
    try:
        found = describe_stage(stage)
    except Exception as error:
        raise _broken("stage", entry, f"asking for its options and costs fails with {_told(error)}") from error
    licence = "; ".join(filter(None, (part.licence, found.licence)))
    return replace(
        part,
        licence=licence,
        options=found.options,
        cost=found.cost,
        max_rounds=found.max_rounds,
        gives=found.kinds,
        joins_branches=found.joins_branches,
    )


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def _signature_schema(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON Schema of a factory's options: types where they are JSON's, defaults where they can be written."""
    try:
        named = [value for value in inspect.signature(factory).parameters.values() if value.kind is value.KEYWORD_ONLY]
    except ValueError:  # a function in C that does not say
        named = []
    return {
        "type": "object",
        "properties": {one.name: _option_schema(one) for one in named},
        "required": [one.name for one in named if one.default is one.empty],
    }


def _option_schema(option: inspect.Parameter) -> dict[str, Any]:
    annotation = option.annotation if isinstance(option.annotation, str) else inspect.formatannotation(option.annotation)
    types = [_JSON_TYPES.get(part.strip(), "") for part in annotation.split("|")]
    schema: dict[str, Any] = {}
    if all(types):
        schema["type"] = types if len(types) > 1 else types[0]
    try:
        written = "" if option.default is option.empty else json.dumps(option.default)
    except (TypeError, ValueError):  # no JSON
        return schema
    return schema | {"default": json.loads(written, parse_constant=str)} if written else schema
