"""What Qiskit's transpiler made for a backend, kept in the compile cache as QPY in base64, and found by all that decided it."""

from __future__ import annotations

import base64
import json
import logging
import struct
import sys
from hashlib import blake2b
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.devices.compile_cache import CompileCache
from qloom.kit.text_cache import TextCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

log = logging.getLogger(__name__)

FORMAT_VERSION = 1
"""Of the keys and entries; raised whenever what is kept, or how it is made, changes."""
_BARE = frozenset({"qiskit.circuit.gate", "qiskit.circuit.instruction", "qiskit.circuit.controlledgate"})
"""Modules of classes that do not say what a gate does."""
_HOOKS = ("get_translation_stage_plugin", "get_scheduling_stage_plugin")
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

    Args:
        cache: whose folder and bound they share.

    >>> import pathlib, tempfile
    >>> from qiskit import QuantumCircuit
    >>> kept = KeptCircuits(CompileCache.below(pathlib.Path(tempfile.mkdtemp())))
    >>> key, circuit = KeptCircuits.key(content="two flips"), QuantumCircuit(2)
    >>> kept.get(key, lambda: circuit) is circuit, kept.get(key, lambda: None) == circuit
    (True, True)
    """

    def __init__(self, cache: CompileCache) -> None:
        self._texts = TextCache(cache.folder, limit_bytes=cache.limit_bytes)

    @staticmethod
    def key(**facts: Any) -> str:
        """Return the key of what these facts decide, JSON values all; equal on every machine."""
        return _digest({"format": f"qpy {FORMAT_VERSION}", **facts})

    def get(self, key: str, make: Callable[[], Any]) -> Any:
        """Return the circuit that is kept under a key; else make it, and keep it. Of several processes all get one's."""
        text = self._texts.read(key)
        found = None if text is None else self._read(key, text)
        if found is not None:
            return found
        made = make()
        if text is not None:
            self._texts.forget(key)
        written = self._written(made)
        if written is None:
            return made
        kept = self._texts.keep(key, written)
        return made if kept == written else (self._read(key, kept) or made)

    def _read(self, key: str, text: str) -> Any:
        try:
            return from_text(text)
        except ValueError as error:
            log.warning("the compiled circuit %s in %s cannot be read (%s) and is made anew", key, self._texts.folder, error)
            return None

    def _written(self, made: Any) -> str | None:
        """Return a circuit as text; None where it does not come back from it as it was, so that none is mixed up."""
        try:
            text = to_text(made)
            back = from_text(text)
        except ValueError as error:
            log.info("a compiled circuit is not kept: %s", error)
            return None
        return text if back == made and list(_places(back)) == list(_places(made)) else None


def to_text(circuit: Any) -> str:
    """Return a Qiskit circuit with its layout as text (QPY in base64).

    Raises:
        ValueError: QPY has no form for something in it.
    """
    from qiskit import qpy
    from qiskit.exceptions import QiskitError

    file = BytesIO()
    try:
        qpy.dump(circuit, file)
    except (QiskitError, TypeError, AttributeError, struct.error) as error:
        raise ValueError(f"QPY cannot hold it: {error}") from error
    return base64.b64encode(file.getvalue()).decode()


def from_text(text: str) -> Any:
    """Return the Qiskit circuit that a text holds.

    Raises:
        ValueError: it holds none.

    >>> from qiskit import QuantumCircuit
    >>> from_text(to_text(QuantumCircuit(1))).num_qubits
    1
    >>> from_text("AAAA")
    Traceback (most recent call last):
    ValueError: no QPY of the form that this release writes
    """
    from qiskit import qpy
    from qiskit.exceptions import QiskitError

    content = base64.b64decode(text, validate=True)
    if content[:7] != b"QISKIT" + bytes([qpy.QPY_VERSION]):  # older forms hold formulas that are evaluated when they are read
        raise ValueError("no QPY of the form that this release writes")
    try:
        return qpy.load(BytesIO(content))[0]
    except (QiskitError, TypeError, AttributeError, LookupError, EOFError, struct.error) as error:
        raise ValueError(f"no QPY: {error}") from error


def _places(circuit: Any) -> Iterator[list[int]]:
    """Yield where the qubits of a transpiled circuit begin and end, where it was placed."""
    if circuit.layout is not None:
        yield circuit.layout.initial_index_layout(filter_ancillas=True)
        yield circuit.layout.final_index_layout(filter_ancillas=True)
