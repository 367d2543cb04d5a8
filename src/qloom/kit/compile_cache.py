"""The compile cache: what a compiler made of a circuit, kept as text in `$QLOOM_HOME/cache/compiled/`."""

from __future__ import annotations

import json
import logging
import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from qloom.errors import CorruptRecord, InvalidSetting
from qloom.kit.circuit_text import circuit_from_json, circuit_to_json
from qloom.kit.qiskit_compiler import COMPILER, Skeleton, machine_size
from qloom.kit.state_folder import state_folder
from qloom.kit.text_cache import TextCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from qloom.circuits import Circuit
    from qloom.specs import DeviceSpec

log = logging.getLogger(__name__)

FORMAT_VERSION = 2
"""Of the keys and of the entries; raised whenever what is kept, or how it is made, changes."""
LIMIT_BYTES = 256 << 20
LIMIT_VARIABLE = "QLOOM_COMPILE_CACHE_BYTES"


class CompileCache:
    """Compiled circuits by what decided them. A cache that cannot be read or written costs the time to compile, nothing else.

    Args:
        folder: where entries are; made when the first one is kept.
        limit_bytes: how much it may hold; the circuits that were not used for longest go first.

    >>> import pathlib, tempfile
    >>> cache = CompileCache.below(pathlib.Path(tempfile.mkdtemp()))
    >>> cache.folder.parts[-2:], cache.limit_bytes
    (('cache', 'compiled'), 268435456)
    """

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._texts = TextCache(folder, limit_bytes=limit_bytes)

    @classmethod
    def below(cls, home: Path, *, limit_bytes: int = LIMIT_BYTES) -> CompileCache:
        """Return the cache of this folder of state."""
        return cls(home / "cache" / "compiled", limit_bytes=limit_bytes)

    @classmethod
    def default(cls, environment: Mapping[str, str] | None = None) -> CompileCache:
        """Return the cache that the environment names: `QLOOM_HOME`, and `QLOOM_COMPILE_CACHE_BYTES` for its bound.

        Raises:
            InvalidSetting: one of them has a value that it cannot have.

        >>> CompileCache.default({"QLOOM_HOME": "/tmp/q", "QLOOM_COMPILE_CACHE_BYTES": "1000000"}).limit_bytes
        1000000
        """
        values = os.environ if environment is None else environment
        said = values.get(LIMIT_VARIABLE) or str(LIMIT_BYTES)
        if not (said.isascii() and said.isdigit() and int(said)):
            raise InvalidSetting(f"{LIMIT_VARIABLE} is a number of bytes from 1 up, got {said!r}")
        return cls.below(state_folder(values), limit_bytes=int(said))

    @property
    def folder(self) -> Path:
        """Where entries are."""
        return self._texts.folder

    @property
    def limit_bytes(self) -> int:
        """How much the folder may hold."""
        return self._texts.limit_bytes

    def get(self, key: str, template: Circuit, make: Callable[[], Skeleton]) -> Skeleton:
        """Return what is kept under a key; else make it, and keep it. Of several processes that make it at once all get one's.

        Args:
            key: what `key_of` returned.
            template: what is compiled.
            make: compiles it.
        """
        text = self._texts.read(key)
        found = None if text is None else self._read(key, template, text)
        if found is not None:
            return found
        made = make()
        if text is not None:
            self._texts.forget(key)
        written = json.dumps(to_document(made), separators=(",", ":"))
        kept = self._texts.keep(key, written)
        return (self._read(key, template, kept) or made) if kept != written else made

    def _read(self, key: str, template: Circuit, text: str) -> Skeleton | None:
        try:
            found = from_document(json.loads(text))
            _check_of(template, found)
        except (ValueError, RecursionError, CorruptRecord) as error:
            log.warning("the compiled circuit %s in %s cannot be read (%s) and is made anew", key, self.folder, error)
            return None
        return found


def _check_of(template: Circuit, found: Skeleton) -> None:
    if (
        not set(found.circuit.parameters) <= set(template.parameters)
        or not len(found.initial) == len(found.final) == template.num_qubits
    ):
        raise CorruptRecord("it is of another circuit; let it be made anew")


def key_of(template: Circuit, spec: DeviceSpec, *, version: str, seed: int, level: int, calibration: str) -> str:
    """Return the key of a compiled circuit: equal where everything that decides it is, on every machine.

    Args:
        template: the circuit, with `p0`, `p1`, ... for what is symbolic in it.
        spec: the device that it is made ready for.
        version: of the compiler.
        seed, level: as the compiler gets them.
        calibration: id of the device's calibration; empty where none counts.
    """
    facts = {
        "format": FORMAT_VERSION,
        "structure": template.structure_digest,
        "content": template.digest,
        "device": spec.name,
        "num_qubits": machine_size(template, spec),
        "gates": sorted(spec.gates),
        "native_gates": None if spec.native_gates is None else sorted(spec.native_gates),
        "features": sorted(spec.features),
        "connectivity": spec.connectivity.to_json(),
        "calibration": calibration,
        "compiler": COMPILER,
        "version": version,
        "seed": seed,
        "level": level,
    }
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def to_document(skeleton: Skeleton) -> dict[str, Any]:
    """Return a compiled circuit as JSON."""
    return {
        "format": FORMAT_VERSION,
        "circuit": circuit_to_json(skeleton.circuit),
        "initial": list(skeleton.initial),
        "final": list(skeleton.final),
    }


def from_document(document: Any) -> Skeleton:
    """Return the compiled circuit that a document holds.

    Raises:
        CorruptRecord: it is none, or its layouts are none of its circuit's qubits.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT_VERSION:
        raise CorruptRecord(f"no compiled circuit of format {FORMAT_VERSION}; let it be made anew")
    circuit = circuit_from_json(document.get("circuit"))
    return Skeleton(circuit, *(_layout(document.get(name), circuit.num_qubits) for name in ("initial", "final")))


def _layout(written: Any, num_qubits: int) -> tuple[int, ...]:
    is_list = isinstance(written, list) and all(type(qubit) is int and 0 <= qubit < num_qubits for qubit in written)
    if not is_list or len(set(written)) != len(written):
        raise CorruptRecord(f"{written!r} is no layout on {num_qubits} qubits; let it be made anew")
    return tuple(written)
