"""What Qiskit's transpiler made for a backend, kept in the compile cache as JSON, and found by all that decided it."""

from __future__ import annotations

import json
import logging
import sys
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.devices.qiskit_text import from_document, to_document
from qloom.kit.compile_cache import CompileCache
from qloom.kit.text_cache import TextCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

log = logging.getLogger(__name__)

FORMAT_VERSION = 2
"""Of the keys and entries; raised whenever what is kept, or how it is made, changes."""
_BARE = frozenset({"qiskit.circuit.gate", "qiskit.circuit.instruction", "qiskit.circuit.controlledgate"})
"""Modules of classes that do not say what a gate does."""
_HOOKS = ("get_translation_stage_plugin", "get_scheduling_stage_plugin")
_TRIED = (0.7310585, -1.1180339)
"""Values of parameters at which a formula and what came back of it are compared."""
_TIMING = ("dt", "granularity", "min_length", "pulse_alignment", "acquire_alignment", "concurrent_measurements")


class TargetFacts(NamedTuple):
    """What a backend is to the transpiler.

    Attributes:
        digest: of its gates, couplings, error rates and durations, and the releases of the packages that decide more (hex,
            32 characters); a calibration that changes a number changes it.
        is_whole: whether nothing besides can decide what the transpiler makes. Not so where a gate, or a stage of the
            transpiler, comes from a package that has no version, or where angles are bounded, which a target does not tell.
    """

    digest: str
    is_whole: bool


def facts_of(backend: Any, target: Any) -> TargetFacts:
    """Return what decides how circuits are transpiled for a backend.

    Args:
        backend: a `BackendV2`.
        target: its `Target`.

    >>> from qiskit.providers.fake_provider import GenericBackendV2
    >>> first, again, other = (GenericBackendV2(num_qubits=2, seed=seed) for seed in (1, 1, 2))
    >>> facts_of(first, first.target) == facts_of(again, again.target), facts_of(first, first.target).is_whole
    (True, True)
    >>> facts_of(first, first.target) == facts_of(other, other.target)
    False
    """
    kinds = {name: _kind(target.operation_from_name(name)) for name in target.operation_names}
    own = type(backend).__module__
    hooks = [getattr(backend, name)() for name in _HOOKS if hasattr(backend, name)]
    modules = {kind.__module__ for kind in kinds.values()}
    if hooks or modules & _BARE:
        modules.add(own)
    versions = {module: _version(module) for module in modules}
    facts = {
        "backend": [own, type(backend).__qualname__, str(backend.name), str(backend.backend_version), _version(own)],
        "versions": sorted(versions.items()),
        "hooks": hooks,
        "num_qubits": target.num_qubits,
        "timing": [str(getattr(target, name)) for name in _TIMING],
        "qubits": [_numbers(each, ("t1", "t2", "frequency")) for each in target.qubit_properties or ()],
        "operations": [_operation(target, name, kinds[name]) for name in sorted(kinds)],
    }
    return TargetFacts(_digest(facts), "" not in versions.values() and not target.has_angle_bounds())


def _kind(operation: Any) -> type:
    return operation if isinstance(operation, type) else getattr(operation, "base_class", type(operation))


def _version(module: str) -> str:
    """Return the version of the package that a module is of; empty where it tells none."""
    return str(getattr(sys.modules.get(module.partition(".")[0]), "__version__", ""))


def _operation(target: Any, name: str, kind: type) -> list[Any]:
    operation = target.operation_from_name(name)
    own = [] if isinstance(operation, type) else [*map(str, operation.params), str(getattr(operation, "ctrl_state", None))]
    where = target[name] or {}
    places = sorted((list(qubits or ()), _numbers(values, ("error", "duration"))) for qubits, values in where.items())
    return [name, kind.__module__, kind.__qualname__, own, places]


def _numbers(values: Any, names: Iterable[str]) -> list[str]:
    return [str(getattr(values, name, None)) for name in names]


def _digest(facts: Any) -> str:
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


class KeptCircuits:
    """Transpiled Qiskit circuits in the compile cache. Whatever happens to its folder costs the time to transpile, nothing else.

    A circuit is kept only if it comes back from its text just as it was: same gates, bits, blocks and layout, and same numbers,
    bit for bit, in every formula. What has no text (see `qiskit_text`), or comes back otherwise, is transpiled each time.

    Args:
        cache: whose folder and bound they share.

    >>> import pathlib, tempfile
    >>> from qiskit import QuantumCircuit
    >>> from qiskit.transpiler import Target
    >>> kept = KeptCircuits(CompileCache.below(pathlib.Path(tempfile.mkdtemp())))
    >>> key, target, circuit = KeptCircuits.key(content="two flips"), Target(), QuantumCircuit(2)
    >>> kept.get(key, target, lambda: circuit) is circuit, kept.get(key, target, lambda: None) == circuit
    (True, True)
    """

    def __init__(self, cache: CompileCache) -> None:
        self._texts = TextCache(cache.folder, limit_bytes=cache.limit_bytes)

    @staticmethod
    def key(**facts: Any) -> str:
        """Return the key of what these facts decide, JSON values all; equal on every machine."""
        return _digest({"format": f"qiskit circuit {FORMAT_VERSION}", **facts})

    def get(self, key: str, target: Any, make: Callable[[], Any]) -> Any:
        """Return the circuit that is kept under a key; else make it, and keep it. Of several processes all get one's.

        Args:
            key: of all that decides the circuit.
            target: the backend's `Target`, whose gates it may have.
            make: transpiles it.
        """
        text = self._texts.read(key)
        found = None if text is None else self._read(key, target, text)
        if found is not None:
            return found
        made = make()
        if text is not None:
            self._texts.forget(key)
        written = _written(made, target)
        if written is None:
            return made
        kept = self._texts.keep(key, written)
        return made if kept == written else (self._read(key, target, kept) or made)

    def _read(self, key: str, target: Any, text: str) -> Any:
        try:
            return from_text(text, target)
        except ValueError as error:
            log.warning("the compiled circuit %s in %s cannot be read (%s) and is made anew", key, self._texts.folder, error)
            return None


def to_text(circuit: Any) -> str:
    """Return a Qiskit circuit with its layout as one line of JSON.

    Raises:
        ValueError: something in it has no form, or is no finite number.
    """
    return json.dumps({"format": FORMAT_VERSION, **to_document(circuit)}, separators=(",", ":"), allow_nan=False)


def from_text(text: str, target: Any, parameters: Mapping[str, Any] | None = None) -> Any:
    """Return the Qiskit circuit that a text holds.

    Args:
        text: of `to_text`.
        target, parameters: as for `from_document`.

    Raises:
        ValueError: it holds none.

    >>> from qiskit import QuantumCircuit
    >>> from qiskit.transpiler import Target
    >>> from_text(to_text(QuantumCircuit(1)), Target()).num_qubits
    1
    >>> from_text("[]", Target())
    Traceback (most recent call last):
    ValueError: no circuit of format 2
    """
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT_VERSION:
        raise ValueError(f"no circuit of format {FORMAT_VERSION}")
    return from_document(document, target, parameters)


def _written(made: Any, target: Any) -> str | None:
    """Return a circuit as text; None where it does not come back from it as it was, so that none is mixed up."""
    from qiskit.exceptions import QiskitError

    try:
        text = to_text(made)
        own = {parameter.name: parameter for parameter in made.parameters}
        if _is_same(from_text(text, target, own), made, text, sorted(own)):
            return text
        reason = "it comes back from its text otherwise"
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, QiskitError) as error:
        reason = f"{type(error).__name__}: {error}"  # also where another release of Qiskit has not what is read here
    log.info("a compiled circuit is not kept: %s", reason)
    return None


def _is_same(back: Any, made: Any, text: str, names: Sequence[str]) -> bool:
    if not _same_operations(back, made):
        return False
    if to_text(back) == text:  # everything but the kinds of operations is in it
        return True
    # Qiskit may have put the terms of a formula in another order: whether it comes to the same, to the last bit, is tried.
    tries = [{name: start + 0.3183098 * place for place, name in enumerate(names)} for start in _TRIED]
    return all(_with_numbers(back, each) == _with_numbers(made, each) for each in tries)


def _same_operations(back: Any, made: Any) -> bool:
    """Return whether operations are of equal kinds, definitions and angles, those of blocks too."""
    for one, other in zip(back.data, made.data, strict=True):
        if one.is_control_flow():
            blocks = zip(one.operation.blocks, other.operation.blocks, strict=True)
            if not all(_same_operations(*pair) for pair in blocks):
                return False
        elif one.is_standard_gate() and other.is_standard_gate():  # these are what their names say
            continue
        elif one.operation != other.operation:
            return False
    return True


def _with_numbers(circuit: Any, values: dict[str, float]) -> dict[str, Any]:
    bound = to_document(circuit.assign_parameters(values))
    return to_document(circuit) | {"phase": bound["phase"], "steps": bound["steps"]}
