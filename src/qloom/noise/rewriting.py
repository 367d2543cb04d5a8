"""A circuit with its noise in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qloom.circuits import Circuit, Expression, Instruction
from qloom.circuits.gates import GATES
from qloom.errors import Unsupported
from qloom.noise.schedule import ATTOSECONDS, MOST_S, UNIT_S, Timed, attoseconds, start_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qloom.noise.entries import GateNoise
    from qloom.noise.model import NoiseModel


class Rewriter:
    """Puts one model's noise into circuits."""

    def __init__(self, model: NoiseModel) -> None:
        self.model = model
        self._errors: dict[tuple[str, int, tuple[int, ...]], tuple[Instruction, ...]] = {}
        self._entries: dict[tuple[str, int, tuple[int, ...]], GateNoise] = {}
        self._waits: dict[tuple[int, int], tuple[Instruction, ...]] = {}
        self._relaxing: dict[int, bool] = {}

    def apply(self, circuit: Circuit) -> Circuit:
        """See `NoiseModel.apply`."""
        self._check(circuit)
        self._relaxing = {qubit: self.model.qubit(qubit).relaxes for qubit in range(circuit.num_qubits)}
        walk = _Walk(self, set(range(circuit.num_qubits)))
        steps = walk.sequence(circuit.instructions, None)
        return Circuit.trusted(circuit.num_qubits, tuple(steps), circuit.num_clbits, circuit.parameters, circuit.name)

    # ---- what may not be -------------------------------------------------------------------------------------------

    def _check(self, circuit: Circuit) -> None:
        model, reasons = self.model, []
        steps = list(circuit.every())
        used = {qubit for step in steps for qubit in step.qubits}
        if not any(step.name == "measure" for step in steps):
            used = set(range(circuit.num_qubits))  # all are measured
        if missing := sorted(qubit for qubit in used if not model.has(qubit)):
            shown = ", ".join(map(str, sorted(model.qubits)))
            reasons.append(f"qubits {missing}, and it has {shown}; place the circuit on these, or give it a default qubit")
        if model.strict and model.native_gates is not None:
            foreign = {_spelled(step) for step in steps if step.kind == "gate" and not _is_native(step, model.native_gates)}
            shown = ", ".join(sorted(model.native_gates))
            reasons += [f"gate {name}, which is not native; native are {shown}" for name in sorted(foreign)]
        if any(model.qubit(qubit).relaxes for qubit in used):
            reasons += self._unknown_delays(steps)
        if reasons:
            label = f"the noise model {model.name!r}" if model.name else "the noise model"
            raise Unsupported(f"{label} cannot be applied: the circuit uses " + "; it uses ".join(reasons))

    def _unknown_delays(self, steps: Iterable[Instruction]) -> Iterator[str]:
        for step in steps:
            if step.name != "delay":
                continue
            duration, where = step.parameters[0], f"on qubits {list(step.qubits)}"
            unit_s = self.model.dt_s if step.unit == "dt" else UNIT_S[step.unit]
            if isinstance(duration, Expression):
                yield f"a delay of {duration} {where}, whose length must be known; bind its parameters"
            elif unit_s is None:
                yield f"a delay in dt {where}, and it has no dt_s; give it one, or write the delay in s, ms, us or ns"
            elif not 0 <= duration * unit_s <= MOST_S:
                yield f"a delay of {duration} {step.unit} {where}, which is not from 0 to {MOST_S:g} s"

    # ---- what a step brings ----------------------------------------------------------------------------------------

    def entry(self, step: Instruction) -> GateNoise:
        """Return the noise of a gate."""
        key = (step.name, step.controls, step.qubits)
        found = self._entries.get(key)
        if found is None:
            found = self._entries[key] = self.model.gate("" if step.controls else step.name, step.qubits)
        return found

    def errors(self, step: Instruction) -> tuple[Instruction, ...]:
        """Return the channels of a gate, reset or measurement of one qubit."""
        key = (step.name, step.controls, step.qubits)
        found = self._errors.get(key)
        if found is None:
            found = self._errors[key] = tuple(
                Instruction(error.channel, tuple(step.qubits[place] for place in error.on), error.parameters)
                for error in self.entry(step).errors
                if not error.is_nothing
            )
        return found

    def wait(self, qubit: int, time: int) -> tuple[Instruction, ...]:
        """Return the channels of a qubit that relaxes for that time (attoseconds)."""
        found = self._waits.get((qubit, time))
        if found is None:
            channels = self.model.qubit(qubit).during(time / ATTOSECONDS)
            found = self._waits[qubit, time] = tuple(Instruction(name, (qubit,), values) for name, values in channels)
        return found

    def duration(self, step: Instruction) -> int:
        """Return how long a step takes (attoseconds); 0 for what takes no time."""
        if step.name == "measure":
            return max(attoseconds(self.entry(one).duration_s) for one in measured_alone(step))
        if step.name == "delay":
            return self._delay(step)
        if step.name == "if":
            return max(start_times(self.timed(branch), "asap")[1] for branch in (step.body, step.orelse))
        timed = (step.name in GATES and step.qubits) or step.name == "reset"
        return attoseconds(self.entry(step).duration_s) if timed else 0

    def _delay(self, step: Instruction) -> int:
        unit_s = self.model.dt_s if step.unit == "dt" else UNIT_S[step.unit]
        duration = step.parameters[0]
        # Both are refused by `_check` where a qubit relaxes; elsewhere no time matters.
        return 0 if unit_s is None or isinstance(duration, Expression) else attoseconds(duration * unit_s)

    def relaxes(self, step: Instruction, qubit: int) -> bool:
        """Whether a qubit relaxes for the duration of this step."""
        one = Instruction("measure", (qubit,)) if step.name == "measure" else step
        return self._relaxing[qubit] and (step.name == "delay" or self.entry(one).relaxation)

    def timed(self, steps: Iterable[Instruction]) -> list[Timed]:
        """Return steps as the schedule sees them, verbatim blocks opened."""
        flat = (inner for step in steps for inner in (step.body if step.name == "verbatim" else (step,)))
        return [Timed((*step.qubits, *(~bit for bit in _bits(step))), self.duration(step)) for step in flat]

    def relaxing(self, qubit: int) -> bool:
        """Whether a qubit relaxes at all."""
        return self._relaxing[qubit]


class _Walk:
    """One sequence of steps: the circuit's, or a branch's.

    Attributes:
        fresh: qubits that have not been used since the start of the circuit.
        pending: qubit -> time (attoseconds) it has relaxed without a channel for it yet.
        until: qubit -> when its last step was over.
        read: qubits whose last step was a measurement.
    """

    def __init__(self, rewriter: Rewriter, fresh: set[int]) -> None:
        self.rewriter = rewriter
        self.fresh = fresh
        self.pending: dict[int, int] = {}
        self.until: dict[int, int] = {}
        self.read: set[int] = set()

    def sequence(self, steps: Sequence[Instruction], branch: tuple[tuple[int, ...], int] | None) -> list[Instruction]:
        """Return the steps with noise.

        Args:
            steps: in order.
            branch: for a branch of an `if`, the qubits of the `if` and its duration: all of them relax to its end.
        """
        schedule = self.rewriter.model.schedule
        starts, total = start_times(self.rewriter.timed(steps), schedule)
        end = total if branch is None else branch[1]
        later = end - total if schedule == "alap" else 0
        times = iter([start + later for start in starts])
        out: list[Instruction] = []
        for step in steps:
            if step.name == "verbatim":
                body = tuple(inner for part in step.body for inner in self._step(part, next(times)))
                out.append(step._replace(body=body))
            else:
                out += self._step(step, next(times))
        for qubit in sorted(self.until.keys() - self.read) if branch is None else branch[0]:
            out += self._waited(qubit, end)
        return out

    def _step(self, step: Instruction, start: int) -> Iterable[Instruction]:
        if step.name == "barrier" or not step.qubits:
            yield step
            return
        if step.name == "delay":
            self._spend(step, start, self.rewriter.duration(step))
            yield step
            return
        for qubit in step.qubits:
            yield from self._waited(qubit, start)
        self.read -= set(step.qubits)
        if step.name == "measure":
            yield from self._measure(step, start)
        elif step.name == "if":
            yield self._if(step, start)
        elif step.kind == "channel":
            yield step
            self._spend(step, start, 0)
        else:
            yield from self._gate(step, start)

    def _gate(self, step: Instruction, start: int) -> Iterable[Instruction]:
        yield step
        yield from self.rewriter.errors(step)
        self._spend(step, start, self.rewriter.duration(step))

    def _measure(self, step: Instruction, start: int) -> Iterable[Instruction]:
        for one in measured_alone(step):
            yield from self.rewriter.errors(one)
        yield step
        self._spend(step, start, self.rewriter.duration(step))
        self.read |= set(step.qubits)

    def _if(self, step: Instruction, start: int) -> Instruction:
        duration = self.rewriter.duration(step)
        branches = []
        for branch in (step.body, step.orelse):
            inside = _Walk(self.rewriter, set(self.fresh))
            inside.until = {qubit: 0 for qubit in step.qubits if qubit not in self.fresh}
            branches.append(tuple(inside.sequence(branch, (step.qubits, duration))))
        self.until.update(dict.fromkeys(step.qubits, start + duration))
        self.fresh -= set(step.qubits)
        return step._replace(body=branches[0], orelse=branches[1])

    def _spend(self, step: Instruction, start: int, duration: int) -> None:
        """Let the qubits of a step relax for its duration, and the time they waited before it."""
        for qubit in step.qubits:
            relaxed = duration if duration and self.rewriter.relaxes(step, qubit) else 0
            self.pending[qubit] = self.pending.get(qubit, 0) + self._gap(qubit, start) + relaxed
            self.until[qubit] = start + duration
        self.fresh -= set(step.qubits)

    def _waited(self, qubit: int, now: int) -> tuple[Instruction, ...]:
        """Return the channels of all that a qubit has relaxed until now."""
        time = self.pending.pop(qubit, 0) + self._gap(qubit, now)
        self.until[qubit] = now
        return self.rewriter.wait(qubit, time) if time else ()

    def _gap(self, qubit: int, now: int) -> int:
        """Return how long a qubit has been idle."""
        idles = self.rewriter.model.schedule != "none" and qubit not in self.fresh and self.rewriter.relaxing(qubit)
        return now - self.until.get(qubit, now) if idles else 0


def measured_alone(step: Instruction) -> Iterable[Instruction]:
    """Return a measurement of several qubits as one for each.

    >>> [one.qubits for one in measured_alone(Instruction("measure", (2, 0), (), (0, 1)))]
    [(2,), (0,)]
    """
    return [Instruction("measure", (qubit,)) for qubit in step.qubits]


def _bits(step: Instruction) -> Iterable[int]:
    if not step.clbits and not step.body and not step.orelse:
        return ()
    return {*step.clbits, *(bit for inner in (*step.body, *step.orelse) for bit in _bits(inner))}


def _is_native(step: Instruction, native: frozenset[str]) -> bool:
    return not step.qubits or (step.name in native and not step.controls)


def _spelled(step: Instruction) -> str:
    return f"ctrl({step.controls}) @ {step.name}" if step.controls else step.name
