"""Circuits made ready for a device's own gates and connections, once for each structure.

The work is Qiskit's transpiler's. What is symbolic in a circuit goes in as parameters `p0`, `p1`, ... and the formulas are put in
afterwards, so circuits that differ in formulas, or in names of parameters, are compiled once; the compile cache keeps the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NamedTuple

from qloom.circuits import Circuit, Expression, Instruction, Observable, Parameter
from qloom.errors import InvalidSetting, InvalidTask, MissingExtra, Unsupported
from qloom.kit.compile_cache import key_of
from qloom.kit.qiskit_compiler import COMPILER, LEVELS, compile_template
from qloom.specs import reasons_against
from qloom.tasks import Compiled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qloom.circuits import Angle
    from qloom.circuits.expressions import Node
    from qloom.kit.compile_cache import CompileCache
    from qloom.kit.qiskit_compiler import Skeleton
    from qloom.specs import DeviceSpec

DIGITS = 10
"""Angles that agree to so many decimals (rad) are the same to a digest: they may differ in the last bit between machines."""
_EIGHTH = math.pi / 4


class Layout(NamedTuple):
    """Where a circuit's qubits are on the device.

    Attributes:
        initial: qubit i of the circuit is qubit initial[i] of the device at the start.
        final: and qubit final[i] at the end; other than at the start where qubits were swapped on the way.
    """

    initial: tuple[int, ...]
    final: tuple[int, ...]


class Compiler(NamedTuple):
    """What decided how a circuit was made ready.

    Attributes:
        name, version: of the compiler.
        seed: of its random tries.
        level: how hard it tried, 0 to 3.
        calibration: id of the device's calibration; empty where none counts.
    """

    name: str
    version: str
    seed: int
    level: int
    calibration: str = ""

    def __str__(self) -> str:
        known = f", calibration {self.calibration}" if self.calibration else ""
        return f"{self.name} {self.version} (seed {self.seed}, level {self.level}{known})"


@dataclass(frozen=True)
class Transpiled:
    """A circuit on a device's qubits, in its gates.

    Attributes:
        circuit: qubit i is the device's qubit i; classical bits and parameters are those of the source. A source that measures
            nothing has got its measurement: bit i is its qubit i, wherever that has come to.
        unmeasured: the same without the measurements at its end: what the values of `place(observable)` are of. Where a source
            measures on the way, it is the circuit itself.
        layout: where the source's qubits are.
        compiler: what made it.
    """

    circuit: Circuit
    unmeasured: Circuit
    layout: Layout
    compiler: Compiler

    @cached_property
    def digest(self) -> str:
        """Equal for equal circuits and layouts, angles to 10 decimals (hex, 32 characters)."""
        rounded = Circuit.trusted(
            self.circuit.num_qubits, _rounded(self.circuit.instructions), self.circuit.num_clbits, self.circuit.parameters
        )
        text = f"{rounded.digest}|{self.layout.initial}|{self.layout.final}"
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def place(self, observable: Observable) -> Observable:
        """Return an observable on the source's qubits as one on the device's, at the end of the circuit.

        Raises:
            InvalidTask: it acts on another number of qubits than the source has.
        """
        final, size = self.layout.final, self.circuit.num_qubits
        if observable.num_qubits != len(final):
            raise InvalidTask(f"an observable on {observable.num_qubits} qubits, the circuit has {len(final)}; fill up with I")
        placed: dict[str, float] = {}
        for string, coefficient in zip(observable.strings, observable.coefficients, strict=True):
            letters = ["I"] * size
            for letter, qubit in zip(string, final, strict=True):
                letters[qubit] = letter
            placed["".join(letters)] = coefficient
        return Observable(placed)

    def narrowed(self) -> tuple[Circuit, tuple[int, ...]]:
        """Return the circuit on the qubits it uses, and which of the device's these are: for a simulator of a large device."""
        used = {qubit for step in self.circuit.instructions for qubit in step.qubits} | set(self.layout.final)
        qubits = tuple(sorted(used))
        place = {qubit: index for index, qubit in enumerate(qubits)}
        steps = tuple(_moved(step, place) for step in self.circuit.instructions)
        source = self.circuit
        return Circuit.trusted(len(qubits), steps, source.num_clbits, source.parameters, source.name), qubits


def transpile(
    circuit: Circuit,
    spec: DeviceSpec,
    *,
    seed: int = 0,
    level: int = 1,
    calibration: str | None = None,
    lift_numbers: bool = False,
    cache: CompileCache | None = None,
) -> Transpiled:
    """Make a circuit ready for a device's gates and connections, by Qiskit's transpiler or from the cache.

    `qloom.specs.fit(spec, circuit, transpile=True).notes` says whether a circuit needs it, and why.

    Args:
        circuit: any circuit; parameters stay symbolic. One with a verbatim block is not moved: qubit i is the device's qubit i,
            the block stays as it is, and what is around it is translated gate by gate.
        spec: the device.
        seed: of the transpiler's random tries, from 0 up; equal seeds give equal circuits with equal releases of Qiskit.
        level: how hard it tries, 0 to 3.
        calibration: id of the device's calibration; the spec's if None. Another one is another entry of the cache.
        lift_numbers: whether numbers are symbolic to the transpiler too, so that circuits that differ in numbers are compiled
            once. It then cannot make use of their values; multiples of pi/4 it still sees.
        cache: where compiled circuits are kept; None compiles each time.

    Raises:
        Unsupported: it cannot be made ready; every reason is named.
        InvalidSetting: a level or seed that there is not.
        MissingExtra: Qiskit is not installed.

    >>> from qloom.specs import Connectivity, DeviceSpec
    >>> gates = frozenset({"rz", "sx", "x", "cx"})
    >>> line = DeviceSpec(name="line", num_qubits=5, gates=gates, connectivity=Connectivity.linear())
    >>> found = transpile(Circuit(3).ry(Parameter("a"), 0).cx(0, 2).cx(0, 1), line)
    >>> found.circuit.parameters, sorted({step.name for step in found.circuit.instructions}), len(found.layout.final)
    (('a',), ['cx', 'measure', 'rz', 'sx'], 3)
    """
    _check_options(seed, level)
    compiler = Compiler(COMPILER, _installed(), seed, level, spec.calibration_id if calibration is None else calibration)
    if reasons := reasons_against(spec, circuit, transpile=True) or _empty(circuit):
        raise Unsupported(f"{spec.name} cannot run this: {'; '.join(reasons)}{_advice(circuit)}")
    bare, ends = _without_end(circuit)
    lifting = _Lifting(lift_numbers=lift_numbers)
    template = lifting.template(bare)

    def make() -> Skeleton:
        return compile_template(template, spec, seed=seed, level=level)

    if cache is None:
        skeleton = make()
    else:
        key = key_of(template, spec, version=compiler.version, seed=seed, level=level, calibration=compiler.calibration)
        skeleton = cache.get(key, template, make)
    return _filled(skeleton, circuit, ends, lifting.values, compiler)


def compiled_facts(source: str, transpiled: Sequence[Transpiled]) -> Compiled:
    """Return what a journal records of circuits that were prepared together, for `Prepared.compiled`.

    Args:
        source: digest of what was given to `prepare`: circuits, observables, options; no part of it from the compiler.
        transpiled: what became of each circuit.
    """
    parts = "|".join(one.digest for one in transpiled)
    return Compiled(source, blake2b(parts.encode(), digest_size=16).hexdigest(), str(transpiled[0].compiler))


def _empty(circuit: Circuit) -> list[str]:
    return [] if circuit.num_qubits else ["a circuit without qubits"]


def _advice(circuit: Circuit) -> str:
    if "verbatim" not in circuit.instruction_names:
        return ""
    return "; a circuit with a verbatim block keeps its qubits where they are, so leave the block out"


def _check_options(seed: int, level: int) -> None:
    if type(seed) is not int or not 0 <= seed < 1 << 32:
        raise InvalidSetting(f"a transpiler's seed is an integer from 0 to 2**32 - 1, got {seed!r}")
    if type(level) is not int or level not in LEVELS:
        raise InvalidSetting(f"a transpiler's level is one of {', '.join(map(str, LEVELS))}, got {level!r}")


def _installed() -> str:
    """Return the release of Qiskit, without loading it: what is in the cache needs none."""
    try:
        return version("qiskit")
    except PackageNotFoundError as error:
        raise MissingExtra("transpiling needs Qiskit, which is not installed; `pip install 'qloom[qiskit]'`") from error


# ---- templates ----------------------------------------------------------------------------------------------------


class _Lifting:
    """Takes what is symbolic out of a circuit: each formula becomes a parameter of its own, equal ones the same.

    Attributes:
        values: parameter of the template -> the formula or number that it stands for.
    """

    def __init__(self, *, lift_numbers: bool) -> None:
        self.values: dict[str, Angle] = {}
        self._lift_numbers = lift_numbers
        self._seen: dict[Node, Expression] = {}

    def template(self, circuit: Circuit) -> Circuit:
        """Return the circuit with parameters p0, p1, ... in the order of their first use."""
        steps = tuple(self._step(step) for step in circuit.instructions)
        return Circuit.trusted(circuit.num_qubits, steps, circuit.num_clbits, tuple(self.values))

    def _step(self, step: Instruction) -> Instruction:
        if step.parameters or step.body or step.orelse:
            return step._replace(
                parameters=tuple(self._angle(angle, step.kind) for angle in step.parameters),
                body=tuple(self._step(inner) for inner in step.body),
                orelse=tuple(self._step(inner) for inner in step.orelse),
            )
        return step

    def _angle(self, angle: Angle, kind: str) -> Angle:
        if not isinstance(angle, Expression):
            eighths = angle / _EIGHTH
            is_kept = not self._lift_numbers or kind != "gate" or math.isclose(eighths, round(eighths), abs_tol=1e-12)
            return angle if is_kept else self._parameter(("number", angle))
        if not angle.parameters():
            return self._angle(float(angle.evaluate({})), kind)
        # Minus a formula stays visible as such: what undoes itself can then be left out.
        return -self._angle(Expression(angle.node[1]), kind) if angle.node[0] == "neg" else self._parameter(angle.node)

    def _parameter(self, node: Node) -> Expression:
        found = self._seen.get(node)
        if found is None:
            name = f"p{len(self.values)}"
            self.values[name] = node[1] if node[0] == "number" else Expression(node)
            found = self._seen[node] = Parameter(name)
        return found


def _without_end(circuit: Circuit) -> tuple[Circuit, list[tuple[int, int]] | None]:
    """Return the circuit without its measurements, and (qubit, bit) of each; None for these where it goes on after some.

    A compiler that sees the measurements leaves out what they do not show, which expectation values do, and may send other qubits
    over one that was measured.
    """
    ends: list[tuple[int, int]] = []
    kept: list[Instruction] = []
    for step in circuit.instructions:
        if step.name == "measure" and not {bit for _, bit in ends} & set(step.clbits):
            ends += zip(step.qubits, step.clbits, strict=True)
            continue
        inner = {one.name for one in (*step.body, *step.orelse)}
        touched = {qubit for qubit, _ in ends} & set(step.qubits)
        if step.name in ("measure", "if") or "measure" in inner or (touched and step.name != "barrier"):
            return circuit, None
        kept.append(step)
    ends = ends or [(qubit, qubit) for qubit in range(circuit.num_qubits)]
    return Circuit.trusted(circuit.num_qubits, tuple(kept), 0, circuit.parameters), ends


def _filled(
    skeleton: Skeleton,
    source: Circuit,
    ends: list[tuple[int, int]] | None,
    values: dict[str, Angle],
    compiler: Compiler,
) -> Transpiled:
    """Put a circuit's own formulas into the template that was compiled for its structure, and its measurements to its end."""
    bound = skeleton.circuit.bind({name: values[name] for name in skeleton.circuit.parameters})
    steps, size = bound.instructions, bound.num_qubits
    layout = Layout(skeleton.initial, skeleton.final)
    if ends is None:
        whole = Circuit.trusted(size, steps, source.num_clbits, source.parameters, source.name)
        return Transpiled(whole, whole, layout, compiler)
    measured = Instruction("measure", tuple(layout.final[qubit] for qubit, _ in ends), (), tuple(bit for _, bit in ends))
    return Transpiled(
        Circuit.trusted(size, (*steps, measured), source.key_length, source.parameters, source.name),
        Circuit.trusted(size, steps, 0, source.parameters, source.name),
        layout,
        compiler,
    )


def _moved(step: Instruction, place: dict[int, int]) -> Instruction:
    return step._replace(
        qubits=tuple(place[qubit] for qubit in step.qubits),
        body=tuple(_moved(inner, place) for inner in step.body),
        orelse=tuple(_moved(inner, place) for inner in step.orelse),
    )


def _rounded(steps: Iterable[Instruction]) -> tuple[Instruction, ...]:
    return tuple(
        step._replace(
            parameters=tuple(_rounded_angle(angle) for angle in step.parameters),
            body=_rounded(step.body),
            orelse=_rounded(step.orelse),
        )
        for step in steps
    )


def _rounded_angle(angle: Angle) -> Angle:
    return Expression(_rounded_node(angle.node)) if isinstance(angle, Expression) else round(angle, DIGITS) + 0.0


def _rounded_node(node: Node) -> Node:
    if node[0] == "number":
        return ("number", round(node[1], DIGITS) + 0.0)
    return node if node[0] == "parameter" else (node[0], *map(_rounded_node, node[1:]))
