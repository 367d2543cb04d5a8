"""What state-vector engines cost on this machine: measured once, kept as a file, used to pick the engine of large circuits.

An operation costs an engine a time that depends on its kind and on the number of qubits. Both tables are measured by
`qloom device calibrate sim`; before that a table holds that came with qloom, from a machine with two cores. Between the measured
sizes the time of an operation is a straight line over the qubits on a logarithmic scale, since the state doubles with each.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom.circuits import Circuit
from qloom.devices.lowering import fuse, lower
from qloom.errors import InvalidSetting
from qloom.kit.files import raise_storage, read_json, write_json
from qloom.kit.state_folder import state_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from qloom.devices.engines import EngineLibrary
    from qloom.devices.lowering import Operation
    from qloom.tasks import FloatArray

FORMAT = 1
KINDS = ("turn", "diagonal", "flip", "phase", "pair", "many")
"""Kinds of operations: on one qubit; diagonal on one; CX and X; diagonal on two; any other on two; with more qubits."""
SIZES = (2, 6, 10, 14, 17, 18, 19, 20, 21)
"""Qubits that are measured; up to 16 a state fits into a core's cache. The last, 32 MiB, fits into none of most machines:
from there on each qubit doubles the time (measured: 22 qubits take 2.1 times as long), so more would say nothing new and take
most of the time."""
LAYER = 12
"""The most operations of one kind that are timed together."""
REPEAT_S, REPEATS = 0.01, 3
"""A timing is repeated until it took so long, and so often at least; the fastest counts."""
LARGE, GROWTH = 17, 1.5
"""From so many qubits up, each doubles a state that fits into no cache: what grows by less was disturbed when it was measured."""
_DIAGONAL = frozenset({"z", "s", "t", "rz", "p"})
_FLIPS = frozenset({"x"})
_PHASES = frozenset({"z", "p", "rz", "rzz"})


@dataclass(frozen=True, slots=True)
class Work:
    """What a circuit asks of an engine: how many operations of each kind, on how many qubits.

    Attributes:
        num_qubits: of the circuit.
        fused: operations of each kind as lightning runs them, runs on one qubit made one.
        plain: as qulacs runs them, each by itself.

    >>> work = Work.of(Circuit(2).h(0).rz(0.3, 0).cx(0, 1))
    >>> work.fused, work.plain
    (Counter({'turn': 1, 'flip': 1}), Counter({'turn': 1, 'diagonal': 1, 'flip': 1}))
    """

    num_qubits: int
    fused: Counter[str]
    plain: Counter[str]

    @classmethod
    def of(cls, circuit: Circuit) -> Work:
        """Count a circuit's operations; only for circuits of gates, with measurements at the end."""
        plain = lower(circuit)
        return cls(circuit.num_qubits, Counter(map(kind_of, fuse(plain))), Counter(map(kind_of, plain)))

    def counts(self, engine: str) -> Counter[str]:
        """Return the operations of each kind that an engine runs."""
        return self.plain if engine == "qulacs" else self.fused


def kind_of(operation: Operation) -> str:
    """Return the kind of a native operation, one of `KINDS`."""
    qubits = len(operation.controls) + len(operation.targets)
    if qubits == 1:
        return "diagonal" if operation.name in _DIAGONAL else "flip" if operation.name in _FLIPS else "turn"
    if qubits > 2:
        return "many"
    return "flip" if operation.name in _FLIPS else "phase" if operation.name in _PHASES else "pair"


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one operation, by engine and threads, kind and size.

    Attributes:
        sizes: qubits, ascending.
        seconds: `"<engine>/<threads>"` -> kind -> seconds at each size.
        overheads: the same key -> seconds of a run without any operation, at each size.
    """

    sizes: tuple[int, ...]
    seconds: Mapping[str, Mapping[str, tuple[float, ...]]]
    overheads: Mapping[str, tuple[float, ...]]

    def knows(self, engine: str, threads: int) -> bool:
        """Whether that engine was measured with so many threads."""
        return f"{engine}/{threads}" in self.seconds

    def of(self, work: Work, engine: str, threads: int) -> float:
        """Return the seconds of one run, sampling left out, which is the same for all.

        Raises:
            KeyError: that engine was not measured with so many threads; ask `knows`.
        """
        key = f"{engine}/{threads}"
        table = self.seconds[key]
        operations = sum(count * self._at(work.num_qubits, table[kind]) for kind, count in work.counts(engine).items())
        return self._at(work.num_qubits, self.overheads[key]) + operations

    def _at(self, qubits: int, values: Sequence[float]) -> float:
        """Return a value between the measured sizes; beyond the last, each qubit doubles it."""
        if qubits > self.sizes[-1]:
            return values[-1] * 2.0 ** (qubits - self.sizes[-1])
        place = min(max(1, sum(size < qubits for size in self.sizes)), len(self.sizes) - 1)
        left, right = self.sizes[place - 1], self.sizes[place]
        low, high = math.log(values[place - 1]), math.log(values[place])
        return math.exp(low + (high - low) * (qubits - left) / (right - left))

    def to_json(self) -> dict[str, Any]:
        """Return the table as it stands in its file."""
        return {
            "format": FORMAT,
            "sizes": list(self.sizes),
            "seconds": {key: {kind: list(values) for kind, values in table.items()} for key, table in self.seconds.items()},
            "overheads": {key: list(values) for key, values in self.overheads.items()},
        }

    @classmethod
    def from_json(cls, document: Any, where: str) -> Costs:
        """Return the table of a file.

        Args:
            document: what the file holds.
            where: the file, for messages.

        Raises:
            InvalidSetting: it is no such table.
        """
        try:
            if document["format"] != FORMAT:
                raise InvalidSetting(f"{where} has format {document['format']}, this qloom reads {FORMAT}; calibrate anew")
            sizes = tuple(int(size) for size in document["sizes"])
            seconds = {
                str(key): {kind: _positive_row(table[kind], len(sizes)) for kind in KINDS}
                for key, table in document["seconds"].items()
            }
            overheads = {key: _positive_row(document["overheads"][key], len(sizes)) for key in seconds}
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InvalidSetting(f"{where} is no calibration of sim ({error!r}); run `qloom device calibrate sim`") from error
        if len(sizes) < 2 or list(sizes) != sorted(set(sizes)):
            raise InvalidSetting(f"{where} is no calibration: its sizes are {list(sizes)}; run `qloom device calibrate sim`")
        return cls(sizes, seconds, overheads)


def _positive_row(values: Iterable[Any], length: int) -> tuple[float, ...]:
    found = tuple(float(value) for value in values)
    if len(found) != length or not all(0 < value < math.inf for value in found):
        raise ValueError(f"{len(found)} numbers above 0 are wanted for {length} sizes")
    return found


# ---- where it is kept ------------------------------------------------------------------------------------------------


def costs_file(environment: Mapping[str, str] | None = None) -> Path:
    """Return where this machine's table is, or would be."""
    return state_folder(dict(os.environ) if environment is None else environment) / "calibration" / "sim.json"


def current(path: Path | None = None) -> Costs:
    """Return this machine's table where it was calibrated, else the one that came with qloom.

    Raises:
        InvalidSetting: the file is no calibration.
    """
    found = costs_file() if path is None else path
    try:
        changed = found.stat().st_mtime_ns
    except OSError:
        return _shipped()
    return _read(found, changed)


@cache
def _shipped() -> Costs:
    text = files("qloom.devices").joinpath("costs.json").read_text(encoding="utf-8")
    return Costs.from_json(json.loads(text), "the table that came with qloom")


@cache
def _read(path: Path, _changed: int) -> Costs:
    return Costs.from_json(read_json(path), str(path))


def keep(costs: Costs, path: Path | None = None) -> Path:
    """Write this machine's table and return where.

    Raises:
        StorageFailed: it cannot be written.
    """
    found = costs_file() if path is None else path
    try:
        found.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise_storage(error, found)
    write_json(found, costs.to_json())
    return found


# ---- measuring -------------------------------------------------------------------------------------------------------


def layer(kind: str, num_qubits: int) -> Circuit:
    """Return a circuit of operations of one kind, spread over the qubits: at most 12, and one for each qubit or pair.

    >>> Work.of(layer("phase", 6)).fused
    Counter({'phase': 6})
    """
    circuit = Circuit(num_qubits)
    for first in range(min(num_qubits, LAYER)):
        second, third = (first + 1) % num_qubits, (first + 2) % num_qubits
        circuit = _add(circuit, kind, first, second, third)
    return circuit


def _add(circuit: Circuit, kind: str, first: int, second: int, third: int) -> Circuit:
    if kind == "turn":
        return circuit.ry(0.3, first)
    if kind == "diagonal":
        return circuit.rz(0.3, first)
    if kind == "phase":
        return circuit.cp(0.3, first, second)
    if kind == "pair":
        return circuit.gate("rxx", first, second, angles=[0.3])
    if kind == "many" and third != first:
        return circuit.ccx(first, second, third)
    return circuit.cx(first, second)


def measure(library: EngineLibrary, threads: int, sizes: Sequence[int] = SIZES) -> Costs:
    """Measure an engine in this process, which takes some seconds.

    Args:
        library: the engine.
        threads: as it is given; qulacs takes one number in a process only.
        sizes: qubits, ascending.
    """
    key = f"{library.name}/{threads}"
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    overheads: list[float] = []
    for place, size in enumerate(sizes):
        previous = sizes[max(0, place - 1)]
        empty = _seconds(library, Circuit(size), threads)
        overheads.append(empty)
        for kind in KINDS:
            circuit = layer(kind, size)
            count = sum(Work.of(circuit).counts(library.name).values())
            took = _seconds(library, circuit, threads)
            least = seconds[kind][-1] * GROWTH ** (size - previous) if seconds[kind] and previous >= LARGE else 0.0
            seconds[kind].append(max((took - empty) / count, took / count / 100, least))
    return Costs(tuple(sizes), {key: {kind: tuple(row) for kind, row in seconds.items()}}, {key: tuple(overheads)})


def _seconds(library: EngineLibrary, circuit: Circuit, threads: int) -> float:
    ready = library.compile(circuit, (), library.engine(circuit.num_qubits, threads))
    angles = ready.table.row(no_parameters())
    return fastest(lambda: ready.probabilities(angles))


def no_parameters() -> FloatArray:
    """Return the parameters of a circuit that has none."""
    import numpy as np

    return np.zeros(0)


def together(tables: Sequence[Costs]) -> Costs:
    """Return the tables of several engines as one; all of the same sizes."""
    return Costs(
        tables[0].sizes,
        {key: table for costs in tables for key, table in costs.seconds.items()},
        {key: row for costs in tables for key, row in costs.overheads.items()},
    )


def fastest(run: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some calls."""
    best, spent, calls = math.inf, 0.0, 0
    while spent < REPEAT_S or calls < REPEATS:
        calls += 1
        begun = time.perf_counter()
        run()
        took = time.perf_counter() - begun
        best, spent = min(best, took), spent + took
    return best
