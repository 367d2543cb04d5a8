"""When the steps of a circuit run, where its qubits wait, and the circuit again with something in the waits.

Times are whole attoseconds, as in `qloom.noise.schedule`, so that what is put into a wait fills it exactly.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from qloom.circuits import Circuit, Expression, Instruction
from qloom.circuits.gates import GATES
from qloom.errors import Unsupported
from qloom.noise.schedule import ATTOSECONDS, MOST_S, UNIT_S, Timed, attoseconds, start_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

OUTSIDE = -1
"""In the place of a verbatim block's position, for what is in none."""


class Placed(NamedTuple):
    """A step and its time.

    Attributes:
        step: no verbatim block; of a delay, one for each of its qubits.
        start, end: attoseconds.
        block: position of the verbatim block that it is in, or `OUTSIDE`.
    """

    step: Instruction
    start: int
    end: int
    block: int


class Wait(NamedTuple):
    """A window in which nothing is done to a qubit: it may hold delays, identities and barriers.

    Attributes:
        qubit: which.
        start, end: attoseconds.
        before: position of the step that ends it, or how many steps there are where none does.
        inside: positions of the delays, identities and barriers in it.
        fresh: whether the qubit still is in |0>, from the start or from a reset.
    """

    qubit: int
    start: int
    end: int
    before: int
    inside: tuple[int, ...]
    fresh: bool


class Pulse(NamedTuple):
    """Gates that are put into a wait; one after the other they last from `start` to `end` (attoseconds)."""

    gates: tuple[Instruction, ...]
    start: int
    end: int


class GateTimes:
    """How long each step takes.

    Args:
        tables: gate name -> seconds, as `DeviceSpec.durations_s` has them; the first table that knows a gate decides.

    >>> times = GateTimes({"default:1": 35e-9}, {"cx": 3e-7, "default:1": 1.0})
    >>> [times.of(step) for step in Circuit(2).h(0).cx(0, 1).cz(0, 1).instructions]
    [35000000000, 300000000000, None]
    """

    def __init__(self, *tables: Mapping[str, float]) -> None:
        self._tables = tables

    def of(self, step: Instruction) -> int | None:
        """Return the time of a step that is no delay (attoseconds); None where it is not known."""
        if not _takes_time(step):
            return 0
        found = self._named(*_names(step))
        return None if found is None else attoseconds(found)

    def unit_s(self, unit: str) -> float | None:
        """Return a unit of delays in seconds; None where that of `dt` is not known."""
        return self._named("dt") if unit == "dt" else UNIT_S[unit]

    def _named(self, *names: str) -> float | None:
        return next((table[name] for table in self._tables for name in names if name in table), None)


def _names(step: Instruction) -> tuple[str, ...]:
    if step.name in ("measure", "reset"):
        return (step.name, "default")
    others = (f"default:{len(step.qubits)}", "default")
    return others if step.controls else (step.name, *others)


class Timeline:
    """A circuit's steps with their times.

    Args:
        stage: who asks, for errors.
        circuit: without `if`.
        times: of its steps.
        schedule: `alap` or `asap`, as in a noise model.

    Raises:
        Unsupported: an `if`, a gate whose time is not known, a delay whose length is not known; each by name.

    >>> line = Timeline("ddd", Circuit(2).h(0).delay(2, 0, unit="s").cx(0, 1), GateTimes({"default": 1.0}), "alap")
    >>> [(wait.qubit, wait.start / ATTOSECONDS, wait.end / ATTOSECONDS, wait.fresh) for wait in line.waits]
    [(0, 1.0, 3.0, False), (1, 0.0, 3.0, True)]
    """

    def __init__(self, stage: str, circuit: Circuit, times: GateTimes, schedule: str) -> None:
        self.circuit = circuit
        flat = list(_opened(circuit))
        _check(stage, [step for step, _ in flat], times)
        durations = [_duration(step, times) for step, _ in flat]
        uses = [(*step.qubits, *(~bit for bit in step.clbits)) for step, _ in flat]
        starts, self.total = start_times([Timed(*one) for one in zip(uses, durations, strict=True)], schedule)
        self.steps: tuple[Placed, ...] = tuple(
            Placed(part, start, start + duration, block)
            for (step, block), start, duration in zip(flat, starts, durations, strict=True)
            for part in _parted(step)
        )
        self.waits = tuple(self._waits())

    def _waits(self) -> Iterator[Wait]:
        since: dict[int, int] = {}
        inside: dict[int, list[int]] = {}
        fresh = dict.fromkeys(range(self.circuit.num_qubits), True)
        for position, (step, start, end, _) in enumerate(self.steps):
            for qubit in step.qubits:
                if is_idle(step):
                    inside.setdefault(qubit, []).append(position)
                    continue
                within = tuple(inside.pop(qubit, ()))
                if start > since.get(qubit, 0):
                    yield Wait(qubit, since.get(qubit, 0), start, position, within, fresh[qubit])
                since[qubit], fresh[qubit] = end, step.name == "reset"
        for qubit in sorted(since):
            if self.total > since[qubit]:
                within = tuple(inside.get(qubit, ()))
                yield Wait(qubit, since[qubit], self.total, len(self.steps), within, fresh[qubit])

    def filled(self, pulses: Mapping[Wait, Sequence[Pulse]]) -> Circuit:
        """Return the circuit with pulses in some of its waits, and every other wait written out as a delay.

        So all steps keep their times under any schedule. A qubit that waits, and gets pulses, is left out of the barriers in
        that wait; delays and identities in the way of a pulse are shortened or gone, the time is kept.

        Args:
            pulses: for some of `waits`, in order and apart from each other.

        >>> line = Timeline("ddd", Circuit(2).h(0).delay(2, 0, unit="s").cx(0, 1), GateTimes({"default": 1.0}), "alap")
        >>> flip = Pulse((Instruction("x", (0,)),), 2 * ATTOSECONDS, 3 * ATTOSECONDS)
        >>> [(step.name, *step.parameters) for step in line.filled({line.waits[0]: [flip]}).instructions]
        [('h',), ('delay', 1.0), ('x',), ('delay', 3.0), ('cx',)]
        """
        return _Writer(self, pulses).circuit()


class _Writer:
    """Writes a circuit whose qubits wait for nobody."""

    def __init__(self, line: Timeline, pulses: Mapping[Wait, Sequence[Pulse]]) -> None:
        self._line = line
        self._fillings = {(wait.before, wait.qubit): self._filling(wait, some) for wait, some in pulses.items()}
        self._gone = {(position, wait.qubit) for wait in pulses for position in wait.inside}
        busy = {qubit for placed in line.steps if not is_idle(placed.step) for qubit in placed.step.qubits}
        self._until = dict.fromkeys(busy, 0)

    def circuit(self) -> Circuit:
        """Return the whole."""
        written: list[tuple[int, Instruction]] = []
        for position, placed in enumerate(self._line.steps):
            written += ((placed.block, step) for step in self._step(position, placed))
        for qubit in sorted(self._until):
            written += ((OUTSIDE, step) for step in self._waited(len(self._line.steps), qubit, self._line.total))
        given = self._line.circuit
        return Circuit.trusted(given.num_qubits, _in_blocks(written), given.num_clbits, given.parameters, given.name)

    def _step(self, position: int, placed: Placed) -> Iterator[Instruction]:
        step = placed.step
        qubits = tuple(qubit for qubit in step.qubits if (position, qubit) not in self._gone)
        if step.qubits and not qubits:
            return
        for qubit in qubits:
            yield from self._waited(position, qubit, placed.start)
            if qubit in self._until:
                self._until[qubit] = placed.end
        yield step if qubits == step.qubits else step._replace(qubits=qubits)

    def _waited(self, position: int, qubit: int, now: int) -> Iterable[Instruction]:
        """Return what a qubit does until the step at that position begins."""
        filling = self._fillings.get((position, qubit))
        if filling is not None:
            return filling
        time = now - self._until.get(qubit, now)
        return (_delay(qubit, time),) if time else ()

    def _filling(self, wait: Wait, pulses: Sequence[Pulse]) -> list[Instruction]:
        kept = [self._line.steps[position] for position in wait.inside]
        items = list(pulses)
        for step, start, end, _ in kept:
            # Where a pulse is, nothing else can be; what is not in its way stays as it was written.
            if step.name != "barrier" and start < end and all(end <= pulse.start or pulse.end <= start for pulse in pulses):
                items.append(Pulse((step,), start, end))
        filling, now = [], wait.start
        for gates, start, end in sorted(items, key=lambda item: (item.start, item.end)):
            filling += [_delay(wait.qubit, start - now)] if start > now else []
            filling += gates
            now = end
        return filling + ([_delay(wait.qubit, wait.end - now)] if wait.end > now else [])


def is_idle(step: Instruction) -> bool:
    """Whether a step leaves its qubits alone: a delay, an identity, a barrier."""
    return step.name in ("delay", "barrier") or (step.name == "id" and not step.controls)


def _takes_time(step: Instruction) -> bool:
    return step.name in ("measure", "reset") or (step.name in GATES and bool(step.qubits))


def _delay(qubit: int, time: int) -> Instruction:
    return Instruction("delay", (qubit,), (time / ATTOSECONDS,), unit="s")


def _opened(circuit: Circuit) -> Iterator[tuple[Instruction, int]]:
    for position, step in enumerate(circuit.instructions):
        if step.name == "verbatim":
            yield from ((inner, position) for inner in step.body)
        else:
            yield step, OUTSIDE


def _parted(step: Instruction) -> Iterable[Instruction]:
    return [step._replace(qubits=(qubit,)) for qubit in step.qubits] if step.name == "delay" else (step,)


def _in_blocks(written: Iterable[tuple[int, Instruction]]) -> tuple[Instruction, ...]:
    steps: list[Instruction] = []
    for block, group in groupby(written, key=lambda one: one[0]):
        body = tuple(step for _, step in group)
        if block == OUTSIDE:
            steps += body
        else:
            qubits = tuple(sorted({qubit for step in body for qubit in step.qubits}))
            steps.append(Instruction("verbatim", qubits, body=body))
    return tuple(steps)


def _duration(step: Instruction, times: GateTimes) -> int:
    """Return the time of a step that `_check` has let pass."""
    if step.name != "delay":
        return times.of(step) or 0
    return attoseconds(float(step.parameters[0]) * float(times.unit_s(step.unit) or 0))  # type: ignore[arg-type]  # a number


def _check(stage: str, steps: Sequence[Instruction], times: GateTimes) -> None:
    for step in steps:
        if step.name == "if":
            bits = ", ".join(map(str, step.clbits))
            raise Unsupported(
                f"{stage}: the circuit has an `if` on the classical bits {bits}, and how long it takes is not known before it"
                " runs; leave the stage out for this circuit"
            )
        if step.name == "delay" and (reason := _unknown_delay(step, times)):
            raise Unsupported(f"{stage}: {reason}")
    missing = sorted({_spelled(step) for step in steps if times.of(step) is None})
    if missing:
        raise Unsupported(
            f"{stage}: no gate times for {', '.join(missing)}; give them in seconds, as the stage's option durations_s, such as"
            ' {"default:1": 3.5e-8, "default:2": 3e-7}, or {"default": 1.0} for layers; or use a device whose spec has them,'
            ' where they are those of native gates only with the pipeline ["ddd", "transpile"]'
        )


def _unknown_delay(step: Instruction, times: GateTimes) -> str:
    duration, where, unit_s = step.parameters[0], f"on qubits {list(step.qubits)}", times.unit_s(step.unit)
    if isinstance(duration, Expression):
        return f"a delay of {duration} {where}, whose length must be known; bind its parameters first"
    if unit_s is None:
        return f'a delay in dt {where}; say what dt is, durations_s={{"dt": seconds}}, or write the delay in s, ms, us or ns'
    if not 0 <= duration * unit_s <= MOST_S:
        return f"a delay of {duration} {step.unit} {where}, which is not from 0 to {MOST_S:g} s"
    return ""


def _spelled(step: Instruction) -> str:
    return f"ctrl({step.controls}) @ {step.name}" if step.controls else step.name
