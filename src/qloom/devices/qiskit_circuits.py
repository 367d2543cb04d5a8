"""Circuits made ready for one Qiskit backend: transpiled once, with every formula as one parameter, and measured in any basis."""

from __future__ import annotations

import threading
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.circuits import Circuit, Expression, Parameter
from qloom.devices.qiskit_cache import facts_of
from qloom.errors import Unsupported
from qloom.kit.angle_table import AngleTable
from qloom.kit.qiskit_back import final_layout, initial_layout
from qloom.kit.qiskit_compiler import with_contents
from qloom.kit.qiskit_out import to_qiskit
from qloom.kit.transpiling import DIGITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from qloom.circuits import Angle, Instruction
    from qloom.circuits.expressions import Node
    from qloom.devices.qiskit_cache import KeptCircuits, TargetFacts

METER = "meter"
"""The register that all qubits are measured into for expectation values."""


class Transpiler:
    """Qiskit's transpiler for one backend.

    Args:
        backend: a `BackendV2`.
        level: Qiskit's optimization level.
        seed: of its random tries.
        kept: what was transpiled before, in other processes too; None to transpile each time.

    >>> from qiskit.providers.basic_provider import BasicSimulator
    >>> from qloom.circuits import Circuit
    >>> Transpiler(BasicSimulator(), 1, 0).run(to_qiskit(Circuit(1).h(0).h(0))).count_ops()
    OrderedDict()
    """

    def __init__(self, backend: Any, level: int, seed: int, kept: KeptCircuits | None = None) -> None:
        from qiskit import __version__ as version

        self._backend = backend
        self._level = level
        self._seed = seed
        self._managers: dict[bool, Any] = {}
        self._lock = threading.Lock()
        self._kept = kept
        self._seen: tuple[Any, TargetFacts] | None = None
        self._name = f"qiskit {version}"
        self._options = f"(seed {seed}, level {level})"
        self.text = f"{self._name} {self._options}"

    def facts(self) -> TargetFacts:
        """Return what the backend is now; passes that were made for what it was before are dropped."""
        target = self._backend.target
        with self._lock:
            if self._seen is None or self._seen[0] is not target:
                found = facts_of(self._backend, target)
                if self._seen is not None and self._seen[1] != found:
                    self._managers.clear()
                self._seen = target, found
            return self._seen[1]

    def full_text(self) -> str:
        """Return all that decides what becomes of a circuit: compiler, target, seed, level."""
        return f"{self._name} for target {self.facts().digest[:12]} {self._options}"

    def ready(self, content: str, build: Callable[[], Any], *, placed: Sequence[int] | None = None, fixed: bool = False) -> Any:
        """Return what `run` makes of a circuit, or made of it before.

        Args:
            content: tells the circuit from all others.
            build: makes the Qiskit circuit, where it must be transpiled.
            placed, fixed: as for `run`.

        Raises:
            Unsupported: as `run`.
        """
        facts = self.facts()
        if self._kept is None or not facts.is_whole:
            return self.run(build(), placed=placed, fixed=fixed)
        where = None if placed is None else list(placed)
        key = self._kept.key(content=content, target=facts.digest, compiler=self.text, placed=where, fixed=fixed)
        return self._kept.get(key, self._backend.target, lambda: self.run(build(), placed=placed, fixed=fixed))

    def run(self, circuit: Any, *, placed: Sequence[int] | None = None, fixed: bool = False) -> Any:
        """Return the circuit in the backend's gates, on its qubits.

        Args:
            circuit: a Qiskit circuit.
            placed: the backend's qubit for each of the circuit's; None for where the transpiler wants it.
            fixed: whether qubit i is the backend's qubit i and stays it, and gates are only translated.

        Raises:
            Unsupported: the transpiler finds no way; what it says is in the message.
        """
        from qiskit.exceptions import QiskitError

        try:
            with self._lock:
                return self._manager(placed, fixed=fixed).run(circuit)
        except QiskitError as error:
            advice = "; with a verbatim block, circuits stay on the qubits that they name" if fixed else ""
            raise Unsupported(
                f"Qiskit's transpiler finds no way onto {self._backend.name}: {str(error.message).strip()}{advice}"
            ) from error

    def _manager(self, placed: Sequence[int] | None, *, fixed: bool) -> Any:
        """Return Qiskit's passes; made once where they fit any circuit, since that takes longer than a small circuit."""
        from qiskit.transpiler import generate_preset_pass_manager

        if placed is None and fixed in self._managers:
            return self._managers[fixed]
        more: dict[str, Any] = {"layout_method": "trivial", "routing_method": "none"} if fixed else {}
        more |= {} if placed is None else {"initial_layout": list(placed)}
        level = 0 if fixed else self._level
        made = generate_preset_pass_manager(level, backend=self._backend, seed_transpiler=self._seed, **more)
        if placed is None:
            self._managers[fixed] = made
        return made


class QiskitCircuit:
    """One circuit, ready for a backend: transpiled when it is first asked for, and then kept. Safe to use from several threads.

    Args:
        circuit: checked already.
        backend: a `BackendV2`.
        transpiler: for that backend.

    Attributes:
        table: from parameters to the values of the circuit's formulas, which are its parameters in Qiskit.
        source: the circuit.
    """

    def __init__(self, circuit: Circuit, backend: Any, transpiler: Transpiler) -> None:
        self.source = circuit
        self._target = backend.target
        self._transpiler = transpiler
        freed = _Freed()
        steps = tuple(freed.step(step) for step in circuit.instructions)
        self._names = freed.names()
        self._freed = Circuit.trusted(circuit.num_qubits, steps, circuit.num_clbits, self._names, circuit.name)
        self.table = AngleTable(circuit.parameters, freed.formulas())
        blocks = [step for step in with_contents(circuit.instructions) if step.name == "verbatim"]
        self._fixed = bool(blocks)
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {}
        self._notes: dict[int, dict[str, Any]] = {}
        self._check_verbatim(blocks)

    def sampled(self) -> Any:
        """Return the transpiled circuit with its measurements; one that measures nothing measures all qubits in order."""
        with self._lock:
            if "sampled" not in self._made:
                self._made["sampled"] = self._transpiled(self._measured())
            return self._made["sampled"]

    def unmeasured(self) -> Any:
        """Return the transpiled circuit without its final measurements."""
        with self._lock:
            if "unmeasured" not in self._made:
                self._made["unmeasured"] = self._transpiled(without_final_measurements(self._freed))
            return self._made["unmeasured"]

    def measured_in(self, basis: str) -> Any:
        """Return the transpiled circuit with all qubits measured, in the bases of these letters, into the register `meter`.

        The circuit itself is transpiled once; only the turns are transpiled for each basis, where its qubits have come to.
        """
        with self._lock:
            key = f"in {basis}"
            if key not in self._made:
                base = self.unmeasured()
                tail = self._transpiler.ready(f"turns to {basis}", lambda: _tail(basis), placed=final_layout(base))
                full = base.copy()
                full.add_register(tail.cregs[0])
                self._made[key] = full.compose(tail, qubits=range(tail.num_qubits), clbits=tail.cregs[0])
            return self._made[key]

    def bound(self, circuit: Any, values: Sequence[float]) -> Any:
        """Return a transpiled circuit with numbers in the place of its formulas, in the table's order."""
        used = {parameter.name for parameter in circuit.parameters}
        given = {name: value for name, value in zip(self._names, values, strict=True) if name in used}
        return circuit.assign_parameters(given)

    def arranged(self, circuit: Any, rows: Sequence[Sequence[float]]) -> list[list[float]]:
        """Return rows of values in the order of a transpiled circuit's own parameters, as primitives take them."""
        place = {name: index for index, name in enumerate(self._names)}
        order = [place[parameter.name] for parameter in circuit.parameters]
        return [[row[index] for index in order] for row in rows]

    def notes(self, circuit: Any) -> dict[str, Any]:
        """Return where the circuit's qubits are, and how much there is to run; worked out once for each circuit kept here."""
        count = self.source.num_qubits
        if id(circuit) not in self._notes:
            self._notes[id(circuit)] = {
                "layout": initial_layout(circuit, count),
                "final_layout": final_layout(circuit) or list(range(count)),
                "depth": int(circuit.depth()),
                "two_qubit_gates": sum(len(step.qubits) == 2 and step.name != "barrier" for step in circuit.data),
            }
        return dict(self._notes[id(circuit)])

    def digest(self, circuit: Any) -> str:
        """Return a digest of a transpiled circuit, angles to 10 decimals (hex, 32 characters)."""
        text = "\n".join([*_lines(circuit), str(initial_layout(circuit, self.source.num_qubits)), str(final_layout(circuit))])
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def _transpiled(self, circuit: Circuit) -> Any:
        return self._transpiler.ready(circuit.digest, lambda: to_qiskit(circuit), fixed=self._fixed)

    def _measured(self) -> Circuit:
        circuit = self._freed
        if any(step.name == "measure" for step in circuit.every()):
            return circuit
        clbits = max(circuit.num_clbits, circuit.num_qubits)
        wide = Circuit.trusted(circuit.num_qubits, circuit.instructions, clbits, circuit.parameters, circuit.name)
        return wide.measure_all()

    def _check_verbatim(self, blocks: Iterable[Instruction]) -> None:
        """Refuse a block with a gate that the backend does not have on those very qubits."""
        for step in (inner for block in blocks for inner in block.body):
            alone = step.kind != "gate" or step.name == "gphase"
            if not alone and (step.controls or not self._target.instruction_supported(step.name, step.qubits)):
                gate = f"{step.name} under {step.controls} more controls" if step.controls else step.name
                known = step.qubits in (self._target.qargs or ())
                native = ", ".join(sorted(self._target.operation_names_for_qargs(step.qubits))) if known else ""
                raise Unsupported(
                    f"gate {gate} on qubits {list(step.qubits)} in a verbatim block, which the backend does not run as it stands"
                    + (f"; it runs {native} there" if native else "")
                )


class _Freed:
    """Puts one parameter in the place of each formula, equal formulas under one name."""

    def __init__(self) -> None:
        self._seen: dict[Node, Parameter] = {}

    def names(self) -> list[str]:
        return [parameter.name for parameter in self._seen.values()]

    def formulas(self) -> list[Angle]:
        return [Expression(node) for node in self._seen]

    def step(self, step: Instruction) -> Instruction:
        if not step.body and not step.orelse and not any(isinstance(angle, Expression) for angle in step.parameters):
            return step
        return step._replace(
            parameters=tuple(self._angle(angle) for angle in step.parameters),
            body=tuple(self.step(inner) for inner in step.body),
            orelse=tuple(self.step(inner) for inner in step.orelse),
        )

    def _angle(self, angle: Angle) -> Angle:
        if not isinstance(angle, Expression):
            return angle
        return self._seen.setdefault(angle.node, Parameter(f"p{len(self._seen)}"))


def without_final_measurements(circuit: Circuit) -> Circuit:
    """Return the circuit without measurements whose qubit nothing uses, and whose bit nothing reads, afterwards.

    >>> circuit = Circuit(2).h(0).measure([0, 1]).if_test(0, 1, Circuit(2).x(0)).measure(1)
    >>> [(step.name, step.qubits) for step in without_final_measurements(circuit).instructions]
    [('h', (0,)), ('measure', (0,)), ('if', (0,))]
    """
    kept: list[Instruction] = []
    qubits: set[int] = set()
    bits: set[int] = set()
    for step in reversed(circuit.instructions):
        if step.name == "measure":
            needed = [pair for pair in zip(step.qubits, step.clbits, strict=True) if pair[0] in qubits or pair[1] in bits]
            if needed:
                kept.append(step._replace(qubits=tuple(one for one, _ in needed), clbits=tuple(bit for _, bit in needed)))
                qubits.update(one for one, _ in needed)
            continue
        kept.append(step)
        bits.update(_bits_of(step))
        if step.name not in ("barrier", "delay"):
            qubits.update(step.qubits)
    steps = tuple(reversed(kept))
    return Circuit.trusted(circuit.num_qubits, steps, circuit.num_clbits, circuit.parameters, circuit.name)


def _bits_of(step: Instruction) -> Iterator[int]:
    yield from step.clbits
    for inner in (*step.body, *step.orelse):
        yield from _bits_of(inner)


def _tail(basis: str) -> Any:
    """Return the turns to a basis, and the measurement of all qubits."""
    from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister

    count = len(basis)
    tail = QuantumCircuit(QuantumRegister(count, "q"), ClassicalRegister(count, METER))
    for qubit, letter in enumerate(basis):
        if letter == "Y":
            tail.sdg(qubit)
        if letter in "XY":
            tail.h(qubit)
    tail.measure(range(count), range(count))
    return tail


def _lines(circuit: Any) -> Iterable[str]:
    """Yield the instructions of a Qiskit circuit as text that is equal for equal instructions."""
    qubits = {qubit: index for index, qubit in enumerate(circuit.qubits)}
    clbits = {bit: index for index, bit in enumerate(circuit.clbits)}
    for step in circuit.data:
        operation = step.operation
        numbers = [_rounded(value) for value in operation.params if not hasattr(value, "cregs")]  # the blocks come below
        on = [qubits[qubit] for qubit in step.qubits]
        into = [clbits[bit] for bit in step.clbits]
        yield f"{operation.name}|{numbers}|{on}|{into}|{getattr(operation, 'condition', None) is not None}"
        for block in getattr(operation, "blocks", ()):
            yield "{"
            yield from _lines(block)
            yield "}"


def _rounded(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str((np.round(value, DIGITS) + 0.0).tolist())
    if parameters := getattr(value, "parameters", None):
        # Qiskit's text of a formula has its terms in an order that may differ from process to process; its values do not.
        tried = value.bind({parameter: _tried(parameter.name) for parameter in parameters})
        return f"{sorted(parameter.name for parameter in parameters)} {_rounded(float(tried))}"
    return f"{round(float(value), DIGITS) + 0.0:.{DIGITS}f}" if isinstance(value, int | float) else str(value)


def _tried(name: str) -> float:
    """Return a value between 0.5 and 1.5 that only the parameter's name decides."""
    return 0.5 + int.from_bytes(blake2b(name.encode(), digest_size=6).digest()) / (1 << 48)
