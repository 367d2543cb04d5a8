"""Qiskit backends by name: `module:name`, with arguments for a factory; and what their `Target` says, as a device spec."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.circuits.gates import GATES
from qloom.devices.engines import most_qubits
from qloom.errors import InvalidSetting, MissingExtra, UnknownName
from qloom.kit.qiskit_compiler import LEVELS
from qloom.kit.qiskit_out import require_qiskit
from qloom.specs import Connectivity, DeviceSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SCHEME = "qiskit"
FORM = "qiskit:module:name, or qiskit:module:name:argument=value,..."
OPTIONS = ("run.sampler", "transpile.level", "transpile.seed")
"""Ours; told from the factory's arguments by their dots."""

_ARGUMENT = re.compile(r"\s*([A-Za-z_][\w.]*)\s*=\s*", re.ASCII)
_SIMULATORS = ("qiskit_aer.", "qiskit.providers.")
"""Where backends live that are simulators."""


class Wanted(NamedTuple):
    """What a device's name asks for.

    Attributes:
        module, name: where the backend, or what makes it, is found; the name may have dots.
        arguments: for what makes it.
        sampler: `module:name` of a V2 sampler that runs the circuits; empty where the backend runs them itself.
        level: Qiskit's optimization level, 0 to 3.
        seed: of the transpiler.
    """

    module: str
    name: str
    arguments: dict[str, Any]
    sampler: str = ""
    level: int = 1
    seed: int = 0


def read_name(rest: str) -> Wanted:
    """Return what stands after `qiskit:`.

    Values are JSON; what is no JSON, and begins with no bracket or quotation mark, is text.

    Raises:
        InvalidSetting: not of that form, an argument given twice, or an option's value.
        UnknownName: an option (a name with a dot) that there is not.

    >>> read_name("qiskit_aer:AerSimulator:method=density_matrix,noise_model=null,transpile.level=2")[:3]
    ('qiskit_aer', 'AerSimulator', {'method': 'density_matrix', 'noise_model': None})
    >>> read_name("a.b:C:coupling_map=[[0, 1], [1, 2]],num_qubits=3").arguments
    {'coupling_map': [[0, 1], [1, 2]], 'num_qubits': 3}
    """
    module, _, behind = rest.partition(":")
    name, _, text = behind.partition(":")
    if not module.strip() or not name.strip():
        raise InvalidSetting(f"a Qiskit backend is named {FORM}; got '{SCHEME}:{rest}'")
    given = _arguments(text)
    options = {key: given.pop(key) for key in list(given) if "." in key}
    for key in options:
        if key not in OPTIONS:
            raise UnknownName.among(f"option of {SCHEME}", key, OPTIONS)
    sampler = options.get("run.sampler", "")
    if not isinstance(sampler, str) or (sampler and not all(sampler.partition(":")[::2])):
        raise InvalidSetting(f"{SCHEME}: run.sampler is named module:name, got {sampler!r}")
    return Wanted(
        module.strip(),
        name.strip(),
        given,
        sampler,
        _whole("transpile.level", options.get("transpile.level", 1), LEVELS[-1]),
        _whole("transpile.seed", options.get("transpile.seed", 0), (1 << 32) - 1),
    )


def _whole(name: str, value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise InvalidSetting(f"{SCHEME}: {name} is an integer from 0 to {most}, got {value!r}")
    return value


def _arguments(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    place = 0
    while text[place:].strip():
        head = _ARGUMENT.match(text, place)
        if head is None:
            raise InvalidSetting(f"{SCHEME}: arguments are name=value,name=value; got {text[place:]!r}")
        if head[1] in found:
            raise InvalidSetting(f"{SCHEME}: {head[1]} is given twice")
        found[head[1]], place = _value(head[1], text, head.end())
    return found


def _value(name: str, text: str, start: int) -> tuple[Any, int]:
    """Return a value, and where the next argument begins."""
    if text[start : start + 1] in ("[", "{", '"'):
        try:
            value, end = json.JSONDecoder().raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise InvalidSetting(f"{SCHEME}: the value of {name} is no JSON: {error}") from error
        behind = text[end:].lstrip()
        if behind and not behind.startswith(","):
            raise InvalidSetting(f"{SCHEME}: a comma must follow the value of {name}, got {behind!r}")
        return value, len(text) - len(behind) + 1
    end = text.find(",", start)
    piece = text[start : len(text) if end < 0 else end].strip()
    if not piece:
        raise InvalidSetting(f"{SCHEME}: {name} needs a value, as in {name}=5")
    after = len(text) if end < 0 else end + 1
    try:
        return json.loads(piece), after
    except json.JSONDecodeError:
        return piece, after


def load_backend(wanted: Wanted) -> Any:
    """Return the backend that a name asks for.

    Raises:
        MissingExtra: Qiskit is not installed.
        UnknownName: no such module, nothing of that name in it (with the nearest names), or an argument that it does not take.
        InvalidSetting: what is there is no `BackendV2`, and makes none.

    >>> load_backend(read_name("qiskit.providers.basic_provider:BasicSimulator")).name
    'basic_simulator'
    """
    require_qiskit()
    found = _find(wanted.module, wanted.name)
    return _made(found, f"{wanted.module}:{wanted.name}", wanted.arguments)


def _made(found: Any, where: str, arguments: dict[str, Any]) -> Any:
    from qiskit.exceptions import QiskitError
    from qiskit.providers import BackendV2

    if isinstance(found, BackendV2):
        if arguments:
            raise InvalidSetting(f"{where} is a backend already, so it takes no arguments; got {', '.join(arguments)}")
        return found
    if not callable(found):
        raise InvalidSetting(f"{where} is a {type(found).__qualname__}: neither a Qiskit BackendV2 nor something that makes one")
    _check_arguments(found, where, arguments)
    try:
        backend = found(**arguments)
    except (QiskitError, TypeError, ValueError) as error:
        shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise InvalidSetting(f"{where}({shown}) made no backend: {type(error).__name__}: {error}") from error
    if not isinstance(backend, BackendV2):
        raise InvalidSetting(f"{where} made a {type(backend).__qualname__}, which is no Qiskit BackendV2")
    return backend


def _find(module_name: str, name: str) -> Any:
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise UnknownName(
                f"no module called {error.name!r} here, for {SCHEME}:{module_name}:{name}; is it installed?"
            ) from error
        raise MissingExtra(f"{module_name} needs the package {error.name!r}, which is not installed here") from error
    place = module_name
    for part in name.split("."):
        if not hasattr(found, part):
            known = [each for each in dir(found) if not each.startswith("_")]
            raise UnknownName.among(f"name in {place}", part, known)
        found, place = getattr(found, part), f"{place}.{part}"
    return found


def _check_arguments(found: Callable[..., Any], where: str, arguments: dict[str, Any]) -> None:
    """Refuse an argument that a factory does not take, by name; one without a readable signature takes any."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return
    known = [each.name for each in parameters if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)]
    for name in arguments:
        if name not in known:
            raise UnknownName.among(f"argument of {where}", name, known)


def make_sampler(text: str, backend: Any) -> Any:
    """Return the V2 sampler of that name, for a backend.

    Args:
        text: `module:name` of a class with `from_backend`, or one whose argument is a backend.
        backend: what it runs on.

    Raises:
        UnknownName, MissingExtra: as `load_backend`.
        InvalidSetting: what is there makes no `BaseSamplerV2`.

    >>> backend = load_backend(read_name("qiskit.providers.basic_provider:BasicSimulator"))
    >>> type(make_sampler("qiskit.primitives:BackendSamplerV2", backend)).__name__
    'BackendSamplerV2'
    """
    require_qiskit()
    from qiskit.primitives import BaseSamplerV2

    module, _, name = text.partition(":")
    found = _find(module, name)
    if not callable(found):
        raise InvalidSetting(f"{text} is a {type(found).__qualname__}, which makes no sampler")
    make = getattr(found, "from_backend", found)
    by_name = "backend" in inspect.signature(make).parameters
    sampler = make(backend=backend) if by_name else make(backend)
    if not isinstance(sampler, BaseSamplerV2):
        raise InvalidSetting(f"{text} made a {type(sampler).__qualname__}, which is no Qiskit BaseSamplerV2")
    return sampler


# ---- what a backend can do ---------------------------------------------------------------------------------------------


def spec_of(name: str, backend: Any, *, exact: bool) -> DeviceSpec:
    """Return what a backend can do, from its `Target`.

    Args:
        name: the device's.
        backend: a `BackendV2`.
        exact: whether it gives exact expectation values.

    >>> from qloom.devices.qiskit_loading import load_backend, read_name
    >>> made = load_backend(read_name("qiskit.providers.fake_provider:GenericBackendV2:num_qubits=3,seed=1"))
    >>> spec = spec_of("three", made, exact=False)
    >>> spec.num_qubits, sorted(spec.native_gates), spec.connectivity.brief(), 0 < spec.error_rate("readout") < 0.1
    (3, ['cx', 'id', 'rz', 'sx', 'x'], '0-1 0-2 1-2', True)
    """
    target = backend.target
    names = set(target.operation_names)
    stated = target.num_qubits
    errors = {gate: _errors(target, gate) for gate in sorted(names & GATES.keys())}
    notes: dict[str, Any] = {"backend": str(backend.name)}
    if stated is None:
        notes["num_qubits"] = "not stated by the backend: as many as a state vector fits into memory"
    if known := {gate: max(rates) for gate, rates in errors.items() if rates}:
        notes["largest_gate_errors"] = known
    return DeviceSpec(
        name=name,
        num_qubits=most_qubits(None) if stated is None else int(stated),
        gates=frozenset(GATES),
        native_gates=frozenset(errors) | ({"gphase"} if "global_phase" in names else frozenset()),
        features=_features(names),
        connectivity=_connectivity(target),
        transpiles=True,
        exact_values=exact,
        exactness="the backend's own estimator" if exact else "",
        gradients=exact,
        noise=_noise(backend, [rate for rates in errors.values() for rate in rates]),
        durations_s=_durations(target, errors),
        kind="simulator" if is_simulator(backend) else "qpu",
        notes=notes,
    )


def is_simulator(backend: Any) -> bool:
    """Return whether a backend is one of the simulators that Qiskit and Aer bring."""
    return f"{type(backend).__module__}.".startswith(_SIMULATORS)


def _errors(target: Any, name: str) -> list[float]:
    """Return the error rates of an operation, as far as they are stated."""
    stated = (properties.error for properties in (target[name] or {}).values() if properties is not None)
    return [float(error) for error in stated if error is not None]


def _durations(target: Any, gates: Iterable[str]) -> dict[str, float]:
    """Return the longest time (s) of each operation for which one is stated, and that of `dt`."""
    found = {} if target.dt is None else {"dt": float(target.dt)}
    for name in (*gates, *sorted({"measure", "reset"} & set(target.operation_names))):
        stated = (properties.duration for properties in (target[name] or {}).values() if properties is not None)
        if times := [float(time) for time in stated if time is not None]:
            found[name] = max(times)
    return found


def _noise(backend: Any, gate_errors: list[float]) -> dict[str, float] | None:
    """Return the largest rates: gate errors count as depolarizing. None where there is noise that the Target does not state."""
    readout = _errors(backend.target, "measure") if "measure" in backend.target.operation_names else []
    found = {"readout": max(readout)} if readout else {}
    found |= {"depolarizing": max(gate_errors)} if gate_errors else {}
    unknown = not is_simulator(backend) or getattr(backend.options, "noise_model", None) is not None
    return None if unknown and not found else found


def _features(names: set[str]) -> frozenset[str]:
    found = {"controls", "verbatim"} | ({"reset", "delay"} & names)
    if "if_else" in names:
        found |= {"conditionals"}
    # A Target does not say whether a qubit may go on after it was measured; what resets or branches lets it.
    return frozenset(found | ({"mid_circuit_measurement"} if {"reset", "if_else"} & names else set()))


def _connectivity(target: Any) -> Connectivity:
    coupling = target.build_coupling_map()
    if coupling is None:
        return Connectivity.all_to_all()
    pairs = {(int(first), int(second)) for first, second in coupling.get_edges()}
    both = {pair for pair in pairs if pair[::-1] in pairs}
    return Connectivity.of(both, directed=pairs - both)
