"""The parameters of a program: read from its signature, checked before anything is queued, rebuilt where it runs.

Plain parameters (bool, int, float, str, optional or not, and those without annotation) are checked here; everything else by
pydantic, which is loaded only for programs that need it.
"""

from __future__ import annotations

import inspect
import json
import math
import typing
from types import UnionType
from typing import TYPE_CHECKING, Any

from qloom.errors import InvalidParameters, InvalidProgram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pydantic

EMPTY = inspect.Parameter.empty
PLAIN: dict[Any, str] = {bool: "true or false", int: "an integer", float: "a number", str: "text"}
"""Plain types and what an error calls their values."""

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
SHOWN_CHARACTERS = 60
SHOWN_ERRORS = 5


class Misfit(Exception):
    """A value does not fit its parameter; the text goes behind the parameter's name. Never leaves this room."""

    def about(self, name: str) -> str:
        """Return the whole complaint: `bonds[1] must be a number, got 'x'`."""
        text = str(self)
        return name + ("" if text.startswith(("[", ".")) else " ") + text


class ProgramParameter:
    """One parameter of a program.

    Attributes:
        name: its name in the signature.
        default: the default, `EMPTY` where there is none.
        kind: a key of `PLAIN`; `object` for any JSON value; None where pydantic checks.
        optional: whether None fits too.
        annotated: False where the kind was read off the default.
    """

    __slots__ = ("_adapter", "annotated", "annotation", "default", "kind", "name", "optional", "positional", "program")

    def __init__(self, program: str, parameter: inspect.Parameter, annotation: Any) -> None:
        self.program = program
        self.name = parameter.name
        self.default = parameter.default
        self.positional = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.annotated = annotation is not EMPTY
        self.annotation = annotation if self.annotated else type(self.default) if type(self.default) in PLAIN else Any
        self.kind, self.optional = _plain_kind(self.annotation)
        self._adapter: pydantic.TypeAdapter[Any] | None = None

    @property
    def expected(self) -> str:
        """What fits, in words."""
        is_class = isinstance(self.annotation, type)
        words = PLAIN.get(self.kind) or (self.annotation.__name__ if is_class else inspect.formatannotation(self.annotation))
        hint = "" if self.annotated or self.kind is object else " (as its default is; annotate the parameter to allow others)"
        return words + (" or null" if self.optional and self.kind in PLAIN else "") + hint

    def to_json(self, value: Any) -> Any:
        """Return a value as the JSON that `from_json` reads.

        Raises:
            Misfit: it does not fit.
        """
        value = _without_numpy(value)
        if self.kind is None:
            return self._compound_to_json(value)
        if value is None and (self.optional or self.kind is object):
            return None
        return _any_json(value) if self.kind is object else self._plain(value)

    def from_json(self, value: Any) -> Any:
        """Return what the program gets for a JSON value.

        Raises:
            Misfit: it does not fit.
        """
        if self.kind is None:
            return self._validate(value)
        return self.to_json(value)

    def parse(self, text: str) -> Any:
        """Return the value that a text from the command line means, by the annotation; still to be checked.

        Raises:
            Misfit: the text cannot be read so.
        """
        if self.optional and text.lower() in ("null", "none"):
            return None
        if self.kind in (None, object):
            return self._parse_json(text)
        if self.kind is bool:
            return _parse_bool(text)
        try:
            return self.kind(text)
        except ValueError:
            raise Misfit(f"must be {self.expected}, got {_shown(text)}") from None

    def default_json(self) -> tuple[Any, ...]:
        """Return the default as JSON in a tuple of one; an empty tuple where there is none that fits."""
        if self.default is EMPTY:
            return ()
        try:
            return (self.to_json(self.default),)
        except Misfit:
            return ()  # `x: float = None`: the function's own default stands where the argument is left out

    def _plain(self, value: Any) -> Any:
        if isinstance(value, bool) is not (self.kind is bool) or not isinstance(
            value, (int, float) if self.kind is float else self.kind
        ):
            raise Misfit(f"must be {self.expected}, got {_shown(value)}")
        if self.kind is not float:
            return self.kind(value)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise Misfit(f"must be a finite number, got {_shown(value)}")
        return number

    def _compound_to_json(self, value: Any) -> Any:
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        try:
            plain = to_jsonable_python(value, inf_nan_mode="constants", fallback=_without_numpy_inside)
        except (PydanticSerializationError, Misfit) as error:
            raise Misfit(f"must be {self.expected}, got {_shown(value)} ({error})") from None
        _refuse_infinite(plain)
        document = self.adapter().dump_python(self._validate(plain), mode="json", by_alias=True)
        _refuse_infinite(document)
        self._validate(document)  # what is written down must be readable where the program runs
        return document

    def _validate(self, plain: Any) -> Any:
        from pydantic import ValidationError

        try:
            return self.adapter().validate_json(json.dumps(plain), strict=True)
        except ValidationError as error:
            raise Misfit(_validation_text(error)) from None

    def _parse_json(self, text: str) -> Any:
        try:
            value = json.loads(text)
        except ValueError:
            return text
        if isinstance(value, str) or self.kind is object:
            return value
        try:
            self._compound_to_json(value)
        except Misfit:
            return text if self._fits(text) else value
        return value

    def _fits(self, value: Any) -> bool:
        try:
            self._compound_to_json(value)
        except Misfit:
            return False
        return True

    def adapter(self) -> pydantic.TypeAdapter[Any]:
        """Return pydantic's view of the parameter, made when first asked for.

        Raises:
            InvalidProgram: pydantic knows no JSON for the annotation.
        """
        if self._adapter is None:
            from pydantic import PydanticUserError, TypeAdapter

            try:
                self._adapter = TypeAdapter(self.annotation)
            except (PydanticUserError, TypeError, NameError) as error:
                raise InvalidProgram(
                    f"{self.program}: parameter {self.name} is annotated {self.expected}, which cannot be sent as JSON "
                    f"({str(error).splitlines()[0]}); use bool, int, float, str, lists, dicts, Literal, enums, dataclasses"
                ) from error
        return self._adapter


# ---- the signature ---------------------------------------------------------------------------------------------------


def read_signature(function: Callable[..., Any], name: str) -> tuple[inspect.Parameter, ...]:
    """Return the parameters behind the context.

    Raises:
        InvalidProgram: no context parameter, `*args`, `**kwargs` or positional-only parameters; the line to write is given.
    """
    parameters = tuple(inspect.signature(function).parameters.values())
    if not parameters or not _is_context(parameters[0]):
        raise InvalidProgram(f"program {name} has no context parameter; write `{_fixed_line(function, name, parameters)}`")
    for parameter in parameters[1:]:
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise InvalidProgram(
                f"program {name}: parameter {parameter.name} is positional-only; arguments travel by name, drop the `/`"
            )
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise InvalidProgram(f"program {name} takes `{parameter}`; name each parameter, so that a schema can be made of them")
    return parameters[1:]


def _is_context(parameter: inspect.Parameter) -> bool:
    if parameter.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        return False
    annotation = parameter.annotation
    if parameter.name in ("ctx", "context"):
        return annotation not in PLAIN
    called = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return str(called).strip("'\"").rpartition(".")[2] == "Context"


def _fixed_line(function: Callable[..., Any], name: str, parameters: Sequence[inspect.Parameter]) -> str:
    rest = inspect.Signature([parameter for parameter in parameters if parameter.name not in ("ctx", "context", "self")])
    word = "async def" if inspect.iscoroutinefunction(function) else "def"
    return f"{word} {name}(ctx: qloom.Context{', ' if rest.parameters else ''}{str(rest)[1:-1]}):"


def resolve(function: Callable[..., Any], name: str, parameters: Sequence[inspect.Parameter]) -> dict[str, ProgramParameter]:
    """Return the parameters with their annotations evaluated (they may be text).

    Raises:
        InvalidProgram: an annotation names something that is not defined.
    """
    return {item.name: ProgramParameter(name, item, _annotation(function, name, item)) for item in parameters}


def _annotation(function: Callable[..., Any], name: str, parameter: inspect.Parameter) -> Any:
    if parameter.annotation is EMPTY or parameter.annotation in PLAIN:
        return parameter.annotation
    holder = type("Holder", (), {"__annotations__": {"value": parameter.annotation}})
    try:
        names = getattr(inspect.unwrap(function), "__globals__", {})
        return typing.get_type_hints(holder, globalns=names, localns=names, include_extras=True)["value"]
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise InvalidProgram(
            f"program {name}: the annotation {parameter.annotation!r} of parameter {parameter.name} cannot be read: {error}; "
            "import or define it at the top level of the file"
        ) from error


def _plain_kind(annotation: Any) -> tuple[Any, bool]:
    """Return (key of PLAIN, `object` or None, whether None fits)."""
    if annotation in (Any, object):
        return object, True
    if typing.get_origin(annotation) in (typing.Union, UnionType):
        members = typing.get_args(annotation)
        plain = [member for member in members if member is not type(None)]
        if len(plain) == 1 and len(members) == 2 and plain[0] in (bool, int, float, str):
            return plain[0], True
        return None, False
    return (annotation, False) if annotation in (bool, int, float, str) else (None, False)


# ---- checking --------------------------------------------------------------------------------------------------------


def bind(
    program: str, parameters: Mapping[str, ProgramParameter], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return name -> value as given, and what is wrong with the call: surplus, unknown or doubled arguments."""
    order = [parameter.name for parameter in parameters.values() if parameter.positional]
    given = dict(zip(order, args, strict=False))
    wrong = []
    if len(args) > len(order):
        wrong.append(f"takes {len(order)} argument{'s' * (len(order) != 1)} by position, got {len(args)}")
    for name, value in kwargs.items():
        if name in given:
            wrong.append(f"{name} is given twice")
        elif name not in parameters:
            wrong.append(_unknown(program, name, parameters))
        else:
            given[name] = value
    return given, wrong


def _unknown(program: str, name: str, parameters: Mapping[str, ProgramParameter]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, list(parameters), n=3, cutoff=0.5)
    if near:
        return f"{name} is no parameter, did you mean {' or '.join(map(repr, near))}?"
    return f"{name} is no parameter; {program} has {', '.join(parameters) or 'none'}"


def checked(parameters: Mapping[str, ProgramParameter], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return every argument as JSON, defaults filled in, and what does not fit."""
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for name, parameter in parameters.items():
        if name not in given or given[name] is parameter.default:
            for default in parameter.default_json():
                values[name] = default
            if parameter.default is EMPTY:
                wrong.append(f"{name} is missing ({parameter.expected})")
            continue
        try:
            values[name] = parameter.to_json(given[name])
        except Misfit as misfit:
            wrong.append(misfit.about(name))
        except RecursionError:
            wrong.append(f"{name} is nested too deeply, or contains itself")
    return values, wrong


def refuse(program: str, wrong: Sequence[str]) -> None:
    """Raise if anything is wrong, everything in one message.

    Raises:
        InvalidParameters: something is wrong.
    """
    if wrong:
        raise InvalidParameters(f"{program}: {'; '.join(wrong)}")


def json_schema(program: str, doc: str, parameters: Mapping[str, ProgramParameter]) -> dict[str, Any]:
    """Return the JSON Schema of the arguments as one object."""
    from pydantic import TypeAdapter

    schemas, shared = TypeAdapter.json_schemas(
        [(name, "validation", parameter.adapter()) for name, parameter in parameters.items()]
    )
    properties = {}
    for name, parameter in parameters.items():
        default = parameter.default_json()
        properties[name] = schemas[name, "validation"] | ({"default": default[0]} if default else {})
    return {
        "type": "object",
        "title": program,
        **({"description": doc} if doc else {}),
        "properties": properties,
        "required": [name for name, parameter in parameters.items() if parameter.default is EMPTY],
        "additionalProperties": False,
        **shared,
    }


def _parse_bool(text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise Misfit(f"must be true or false, got {_shown(text)}")
    return text.lower() in TRUE


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def _without_numpy(value: Any) -> Any:
    """Arrays become lists and numpy's scalars Python's; anything else stays as it is."""
    return value.tolist() if hasattr(value, "dtype") and hasattr(value, "tolist") else value


def _without_numpy_inside(value: Any) -> Any:
    if not hasattr(value, "dtype"):
        raise Misfit(f"a {type(value).__module__}.{type(value).__qualname__} is no JSON value")
    return _without_numpy(value)


def _any_json(value: Any) -> Any:
    """Return a value without annotation as JSON: numbers, text, lists and dicts of them."""
    value = _without_numpy(value)
    if isinstance(value, list | tuple):
        return [_any_json(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _any_json(item) for key, item in value.items()}
    if value is not None and not isinstance(value, bool | int | float | str):
        raise Misfit(f"must be a JSON value (numbers, text, lists, dicts with text as keys), got {_shown(value)}")
    _refuse_infinite(value)
    return value


def _refuse_infinite(document: Any) -> None:
    for where, value in _floats(document, ""):
        if not math.isfinite(value):
            raise Misfit(f"{where + ' ' if where else ''}must be a finite number, got {value}")


def _floats(document: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(document, float):
        yield where, document
    elif isinstance(document, list):
        for index, item in enumerate(document):
            yield from _floats(item, f"{where}[{index}]")
    elif isinstance(document, dict):
        for key, item in document.items():
            yield from _floats(item, f"{where}[{key!r}]")


def _validation_text(error: pydantic.ValidationError) -> str:
    texts = []
    for item in error.errors(include_url=False)[:SHOWN_ERRORS]:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"])
        said = item["msg"]
        said = (
            "must be " + said.removeprefix("Input should be ")
            if said.startswith("Input should be ")
            else said[:1].lower() + said[1:]
        )
        texts.append(f"{where} {said}, got {_shown(item['input'])}".strip())
    return ", and ".join(texts)
