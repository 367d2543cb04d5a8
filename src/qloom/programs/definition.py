"""A program: a function, its typed parameters, and how it is to be run."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from qloom.errors import InvalidProgram, InvalidSetting, UnknownName
from qloom.limits import Budget, Resources
from qloom.pipelines import chain_to_json, read_pipeline
from qloom.programs.parameters import EMPTY, Misfit, ProgramParameter, bind, checked, json_schema, read_signature, refuse, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a program is to be run. Values are checked and copied; names of devices and executors are checked by who opens them.

    Attributes:
        device: what `ctx.device` is; None for the default device.
        devices: name in the program -> device name, for `ctx.devices`.
        executor: where the classical part runs; None for the default executor.
        pipeline: stages round every device, from the device outward: names, or objects with options, as JSON.
        seed: an integer from 0 up that decides every random number; None for a fresh one.
        budget: a hard wall on what a job may spend.
        resources: limits of a job.
        input_data: input channel -> file or folder.
        data_files: patterns of files beside the program that travel with it.
        detach: whether a job goes on when the terminal that started it closes.
        sandbox: whether a job's program sees only its own folder, without a network; it then never runs outside.
        requirements: packages that a job needs, as PEP 508 texts, or the path of a requirements.txt relative to the program's
            file; None leaves it to the header of that file.

    Raises:
        InvalidSetting: an option with a value it cannot have.

    >>> RunOptions(pipeline=["zne"], seed=1).pipeline
    ('zne',)
    >>> RunOptions(seed=-1)
    Traceback (most recent call last):
    qloom.errors.InvalidSetting: option seed must be an integer from 0 up, got -1
    """

    device: str | None = None
    devices: dict[str, str] = field(default_factory=dict)
    executor: str | None = None
    pipeline: tuple[Any, ...] = ()
    seed: int | None = None
    budget: Budget | None = None
    resources: Resources = field(default_factory=Resources)
    input_data: dict[str, str] = field(default_factory=dict)
    data_files: tuple[str, ...] = ()
    detach: bool = False
    sandbox: bool = False
    requirements: tuple[str, ...] | str | None = None

    def __post_init__(self) -> None:
        for name, read in _READERS.items():
            object.__setattr__(self, name, read(name, getattr(self, name)))


class ProgramDefinition:
    """A function whose first parameter is the context, with its other parameters as a schema.

    Args:
        function: the function; plain or `async def`.
        options: how it is to be run.

    Attributes:
        function: the function itself.
        name: its name.
        module: the module it is defined in.
        options: how it is to be run.

    Raises:
        InvalidProgram: no context parameter, `*args`, `**kwargs`, positional-only parameters, a lambda or a generator.

    >>> def scan(ctx: "Context", bond_angstrom: float = 0.735, steps: int = 10) -> None:
    ...     "Scan a bond."
    >>> program = ProgramDefinition(scan)
    >>> program.check_arguments((), {"steps": 3})
    {'bond_angstrom': 0.735, 'steps': 3}
    >>> program.check_arguments((), {"bond_angstrom": "0.7", "step": 3})
    Traceback (most recent call last):
    qloom.errors.InvalidParameters: scan: bond_angstrom must be a number, got '0.7'; step is no parameter, did you mean 'steps'?
    """

    function: Callable[..., Any]
    name: str
    module: str
    options: RunOptions

    def __init__(self, function: Callable[..., Any], *, options: RunOptions | None = None) -> None:
        name = _function_name(function)
        self._signature = read_signature(function, name)
        self._resolved: dict[str, ProgramParameter] | None = None
        self.function = self.__wrapped__ = function
        self.name = self.__name__ = name
        self.module = self.__module__ = function.__module__
        self.__qualname__ = function.__qualname__
        self.__doc__ = inspect.getdoc(function)
        self.options = options or RunOptions()

    @property
    def is_async(self) -> bool:
        """Whether it is an `async def`; its job runs it with `asyncio.run`."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def parameters(self) -> dict[str, ProgramParameter]:
        """The parameters behind the context, by name, in order.

        Raises:
            InvalidProgram: an annotation cannot be read.
        """
        if self._resolved is None:
            self._resolved = resolve(self.function, self.name, self._signature)
        return self._resolved

    def with_options(self, **changes: Any) -> Self:
        """Return the same program with other options; those not named stay.

        Args:
            changes: fields of `RunOptions`.

        Raises:
            UnknownName: no such option, with the nearest names.
            InvalidSetting: an option with a value it cannot have.
        """
        for name in changes:
            if name not in _READERS:
                raise UnknownName.among("option", name, _READERS)
        return type(self)(self.function, options=replace(self.options, **changes))

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments as one object; NaN and infinities are refused besides."""
        return json_schema(self.name, self.__doc__ or "", self.parameters)

    def check_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as JSON by name, defaults filled in.

        Raises:
            InvalidParameters: arguments missing, surplus, mistyped, NaN or infinite; every one is named, in one message.
        """
        given, wrong = bind(self.name, self.parameters, args, kwargs)
        values, misfits = checked(self.parameters, given)
        refuse(self.name, misfits + wrong)
        return values

    def parse_arguments(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the arguments as JSON from texts, as the command line gives them: by annotation, JSON for compound ones.

        Raises:
            InvalidParameters: as for `check_arguments`.

        >>> def scan(ctx, bonds: list[float], verbose: bool = False): ...
        >>> ProgramDefinition(scan).parse_arguments({"bonds": "[0.7, 1]", "verbose": "yes"})
        {'bonds': [0.7, 1.0], 'verbose': True}
        """
        parsed: dict[str, Any] = {}
        unread: dict[str, str] = {}
        for name, text in texts.items():
            try:
                parsed[name] = self.parameters[name].parse(text) if name in self.parameters else text
            except Misfit as misfit:
                unread[name] = misfit.about(name)
        given, wrong = bind(self.name, self.parameters, (), parsed)
        readable = {name: parameter for name, parameter in self.parameters.items() if name not in unread}
        values, misfits = checked(readable, given)
        refuse(self.name, [*unread.values(), *misfits, *wrong])
        return values

    def decode_arguments(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments for the function from what `check_arguments` returned: models, enums and so on rebuilt.

        Raises:
            InvalidParameters: the document does not fit the parameters (any more).
        """
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for name, parameter in self.parameters.items():
            if name not in document:
                wrong += [f"{name} is missing ({parameter.expected})"] if parameter.default is EMPTY else []
                continue
            try:
                values[name] = parameter.from_json(document[name])
            except Misfit as misfit:
                wrong.append(misfit.about(name))
        refuse(self.name, wrong + bind(self.name, self.parameters, (), document)[1])
        return values

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}({', '.join(['ctx', *map(str, self._signature)])})>"


def inside_job() -> bool:
    """Whether this process runs a job's program, where starting another job at import would never end.

    >>> inside_job()
    False
    """
    return bool(os.environ.get("QLOOM_JOB_ID"))


def _function_name(function: object) -> str:
    name = getattr(function, "__name__", "")
    if not callable(function) or isinstance(function, type) or not name or not hasattr(function, "__module__"):
        raise InvalidProgram(f"a program is a function, got {function!r}; put @qloom.program above a `def`")
    if name == "<lambda>":
        raise InvalidProgram("a lambda has no name and no annotations; write the program as a `def`")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidProgram(
            f"program {name} yields; a program returns its result (ctx.progress and ctx.log_metric tell of its progress)"
        )
    return str(name)


# ---- options ---------------------------------------------------------------------------------------------------------


def _refused(name: str, what: str, value: object) -> InvalidSetting:
    return InvalidSetting(f"option {name} must be {what}, got {value!r}")


def _text(name: str, value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise _refused(name, "a name, as text", value)
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
        hint = f"; write [{value!r}]" if isinstance(value, str) else ""
        raise InvalidSetting(f"option {name} must be a list of names, got {value!r}{hint}")
    return tuple(value)


def _mapping(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _refused(name, "a dict of names", value)
    found: dict[str, str] = {}
    for key, item in value.items():
        text = os.fspath(item) if isinstance(item, os.PathLike) and name == "input_data" else item
        if not isinstance(key, str) or not key or not isinstance(text, str) or not text:
            raise _refused(name, "a dict of names, all of them text", value)
        found[key] = text
    return found


def _seed(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < 0:
        raise _refused(name, "an integer from 0 up", value)
    return int(value.__index__())


def _budget(name: str, value: object) -> Budget | None:
    if value is not None and not isinstance(value, Budget):
        raise _refused(name, "a qloom.Budget, such as Budget(usd=5)", value)
    return value


def _resources(name: str, value: object) -> Resources:
    if isinstance(value, dict):
        return Resources.from_json(value)
    if not isinstance(value, Resources):
        raise _refused(name, "a qloom.Resources or a dict, such as Resources(cpus=2)", value)
    return value


def _pipeline(_name: str, value: object) -> tuple[Any, ...]:
    return tuple(chain_to_json(read_pipeline(value)))


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _refused(name, "True or False", value)
    return value


def _requirements(name: str, value: object) -> tuple[str, ...] | str | None:
    """Texts are read as requirements, and files opened, by who builds the environment: a job's process has no such file."""
    if value is None:
        return None
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if isinstance(path, str):
        if not path.endswith(".txt"):
            hint = "" if path is not value else f"; write [{value!r}]"
            raise InvalidSetting(f"option {name} must be a list of requirements or the path of a .txt file, got {value!r}{hint}")
        return path
    return _texts(name, value)


_READERS: dict[str, Callable[[str, object], object]] = {
    "device": _text,
    "devices": _mapping,
    "executor": _text,
    "pipeline": _pipeline,
    "seed": _seed,
    "budget": _budget,
    "resources": _resources,
    "input_data": _mapping,
    "data_files": _texts,
    "detach": _flag,
    "sandbox": _flag,
    "requirements": _requirements,
}

__all__ = ["ProgramDefinition", "RunOptions", "inside_job"]
