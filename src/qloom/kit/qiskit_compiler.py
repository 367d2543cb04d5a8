"""Qiskit's transpiler, and how circuits are placed for it: what the compile cache keeps is made here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.circuits import Circuit
from qloom.circuits.gates import GATES
from qloom.errors import Unsupported
from qloom.kit.qiskit_back import final_layout, initial_layout, instructions_of
from qloom.kit.qiskit_out import qiskit_gates, to_qiskit
from qloom.specs import Connectivity, reasons_against
from qloom.specs.requirements import SYMMETRIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qloom.circuits import Instruction
    from qloom.specs import DeviceSpec

COMPILER = "qiskit"
LEVELS = (0, 1, 2, 3)


class Skeleton(NamedTuple):
    """A template made ready for a machine.

    Attributes:
        circuit: on the machine's qubits.
        initial: where each qubit of the template is at the start.
        final: where each qubit of the template is at the end.
    """

    circuit: Circuit
    initial: tuple[int, ...]
    final: tuple[int, ...]


def compile_template(template: Circuit, spec: DeviceSpec, *, seed: int, level: int) -> Skeleton:
    """Run Qiskit's transpiler.

    Args:
        template: the circuit; its parameters stay symbolic.
        spec: the device that it is made ready for.
        seed: decides where the transpiler tries at random; equal seeds give equal circuits.
        level: how hard it tries, 0 to 3.

    Raises:
        Unsupported: it cannot be placed there; the reasons are in the message.
        MissingExtra: Qiskit is not installed.
    """
    if any(step.name == "verbatim" for step in with_contents(template.instructions)):
        return _around_verbatim(template, spec)
    placed = _run(template, spec, seed=seed, level=level)
    if reasons := _misfits(spec, placed.circuit):
        raise Unsupported(f"Qiskit's transpiler found no way onto {spec.name}: {'; '.join(reasons)}")
    return placed


def _misfits(spec: DeviceSpec, circuit: Circuit) -> list[str]:
    """Return why a circuit cannot run as it stands, qubit i on the device's qubit i."""
    # How many bits are read is the source's affair: it measures, and not its machine's every qubit.
    return reasons_against(replace(spec, max_clbits=None), circuit, transpile=False)


def machine_size(template: Circuit, spec: DeviceSpec) -> int:
    """Return how many qubits the compiled circuit has: the device's, or the template's own where all qubits are connected."""
    return template.num_qubits if spec.connectivity.shape == "all" else spec.num_qubits


def with_contents(steps: Iterable[Instruction]) -> Iterator[Instruction]:
    """Yield all instructions, blocks and their contents."""
    for step in steps:
        yield step
        yield from with_contents((*step.body, *step.orelse))


def _run(template: Circuit, spec: DeviceSpec, *, seed: int, level: int) -> Skeleton:
    source = to_qiskit(template)
    from qiskit.exceptions import QiskitError
    from qiskit.transpiler import generate_preset_pass_manager

    manager = generate_preset_pass_manager(level, target=_target(spec, machine_size(template, spec)), seed_transpiler=seed)
    try:
        found = manager.run(source)
    except QiskitError as error:
        gates = ", ".join(sorted(spec.gates & GATES.keys()))
        raise Unsupported(
            f"Qiskit's transpiler cannot make this ready for {spec.name}: it finds no way to the gates {gates} on"
            f" {spec.connectivity.brief()} couplings: {error.message.strip()}"
        ) from error
    steps = instructions_of(found, phase="gphase" in spec.gates)  # nothing can tell a phase, so it goes where no gate is for it
    circuit = Circuit.trusted(max(found.num_qubits, template.num_qubits), steps, template.num_clbits, None)
    initial = initial_layout(found, template.num_qubits)
    return Skeleton(circuit, tuple(initial), tuple(final_layout(found) or initial))


def _target(spec: DeviceSpec, num_qubits: int) -> Any:
    """Return Qiskit's description of the device."""
    from qiskit.circuit import Delay, IfElseOp, Measure, Parameter, Reset
    from qiskit.transpiler import Target

    target = Target(num_qubits=num_qubits)
    everywhere = spec.connectivity.shape == "all"
    alone = None if everywhere else {(qubit,): None for qubit in range(num_qubits)}
    for name in sorted(spec.gates & GATES.keys()):
        row = GATES[name]
        gate = qiskit_gates()[name](*[Parameter(f"p{index}") for index in range(row.num_parameters)])
        if everywhere and row.num_qubits:
            target.add_instruction(gate, None)
        elif row.num_qubits in (1, 2):
            target.add_instruction(gate, alone if row.num_qubits == 1 else _pairs(spec, symmetric=name in SYMMETRIC))
    target.add_instruction(Measure(), alone)
    if "reset" in spec.features:
        target.add_instruction(Reset(), alone)
    if "delay" in spec.features:
        target.add_instruction(Delay(Parameter("duration")), alone)
    if "conditionals" in spec.features:
        target.add_instruction(IfElseOp, name="if_else")
    return target


def _pairs(spec: DeviceSpec, *, symmetric: bool) -> dict[tuple[int, int], None]:
    """Return the pairs of qubits, first and second, that a gate can act on."""
    found = set()
    for (first, second), either in spec.connectivity.pairs(spec.num_qubits):
        found |= {(first, second), (second, first)} if either or symmetric else {(first, second)}
    return dict.fromkeys(sorted(found))


# ---- verbatim -----------------------------------------------------------------------------------------------------


def _around_verbatim(template: Circuit, spec: DeviceSpec) -> Skeleton:
    """Translate what stands between the verbatim blocks, gate by gate: qubit i is the device's qubit i, and stays it."""
    steps: list[Instruction] = []
    between: list[Instruction] = []
    for step in template.instructions:
        if step.name == "verbatim":
            steps += [*_translated(between, template, spec), step]
            between = []
        else:
            between.append(step)
    steps += _translated(between, template, spec)
    circuit = Circuit.trusted(machine_size(template, spec), tuple(steps), template.num_clbits, None)
    if reasons := _misfits(spec, circuit):
        raise Unsupported(
            f"a circuit with a verbatim block keeps its qubits where they are, and so it cannot run on {spec.name}: "
            f"{'; '.join(reasons)}; write it for the device's own gates and connections, or leave the block out"
        )
    trivial = tuple(range(template.num_qubits))
    return Skeleton(circuit, trivial, trivial)


def _translated(steps: list[Instruction], template: Circuit, spec: DeviceSpec) -> tuple[Instruction, ...]:
    if any(step.name == "verbatim" for step in with_contents(steps)):
        raise Unsupported(
            f"a verbatim block inside of an if cannot be made ready for {spec.name}, as what is around it is translated piece by"
            " piece; put the if beside the block"
        )
    part = Circuit.trusted(template.num_qubits, tuple(steps), template.num_clbits, None)
    if not _misfits(spec, part):
        return part.instructions
    everywhere = replace(spec, connectivity=Connectivity.all_to_all())
    # Level 0 only translates: a higher one takes it that all qubits begin in |0>, and may move them.
    return _run(part, everywhere, seed=0, level=0).circuit.instructions
