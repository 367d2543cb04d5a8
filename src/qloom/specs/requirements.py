"""`Requirements`: what a program or a circuit needs of a device."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from qloom.circuits import Observable
from qloom.circuits.gates import ALIASES, GATES
from qloom.errors import InvalidSetting, InvalidTask, UnknownName
from qloom.specs.connectivity import Connectivity
from qloom.specs.device import FEATURES, KINDS, PARADIGMS
from qloom.specs.forms import Alias, Record, flag, gates, number, one_of, optional, rates, text, whole, words, words_of
from qloom.tasks import read_shots

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from qloom.circuits import Circuit, Instruction
    from qloom.specs.forms import Reader

SYMMETRIC = frozenset({"cz", "cp", "cs", "csdg", "swap", "iswap", "iswapdg", "rxx", "ryy", "rzz"})
"""Gates on two qubits that do the same with the qubits exchanged, so that the direction of a coupling is of no matter."""
FEATURE_OF_KIND = {"channel": "channels", "reset": "reset", "delay": "delay", "verbatim": "verbatim", "if": "conditionals"}
ACTING = frozenset({"gate", "channel", "reset", "measure"})


def _standard_gates(what: str, value: Any) -> frozenset[str]:
    found = gates(what, value)
    for unknown in sorted(found.difference(GATES)):
        raise UnknownName.among("gate", unknown, {*GATES, *ALIASES})
    return found


_CONNECTIVITY = optional(Connectivity.read)
_READERS: dict[str, Reader] = {
    "num_qubits": whole(0),
    "num_clbits": whole(0),
    "gates": _standard_gates,
    "features": words_of(FEATURES),
    "connectivity": _CONNECTIVITY,
    "verbatim_gates": _standard_gates,
    "verbatim_connectivity": _CONNECTIVITY,
    "transpile": optional(flag),
    "shots": optional(whole(1)),
    "exact_values": flag,
    "gradients": flag,
    "method": text,
    "engine": text,
    "max_errors": rates,
    "max_cost": optional(number),
    "currency": text,
    "min_shots_per_second": number,
    "max_queue_depth": optional(whole(0)),
    "kinds": optional(words_of(KINDS)),
    "providers": optional(words),
    "paradigm": one_of(("", *PARADIGMS)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements(Record):
    """What a program or a circuit needs of a device; a field at its default asks for nothing.

    Attributes:
        num_qubits, num_clbits: how many.
        gates: names; those of other dialects (`cnot`) become ours (`cx`).
        features: of `FEATURES`.
        connectivity: which qubits have to be coupled. `all` asks for a device on which every two qubits are; other shapes are
            about `num_qubits` qubits, or about as many as the device has where that is 0. Qubit i here is the device's qubit i.
        verbatim_gates, verbatim_connectivity: what no compiler may change.
        transpile: whether the circuit may be brought to the device's gates and connectivity; None as the device does it.
        shots: of one task.
        exact_values, gradients: whether they are asked for.
        method, engine: how it is to be simulated, and by what.
        max_errors: kind of error (`ERROR_KINDS`) -> the largest rate that will do, 0 to 1.
        max_cost, currency: the most that one task of `shots` shots may cost. A device that charges in another currency, letter by
            letter, does not fit.
        min_shots_per_second: the least speed; 0 for any. JSON and text may say `max_seconds_per_shot` instead, 0 for any.
        max_queue_depth: the most tasks that may wait.
        kinds, providers: those that will do; None for any.
        paradigm: `gate_model` or `analog`; empty for any.

    Raises:
        InvalidSetting: a value that a field cannot have; couplings of more qubits than are asked for.
        UnknownName: a word that a field does not know, with the nearest ones.

    >>> quiet = Requirements(num_qubits=5, connectivity=Connectivity.linear(), max_errors={"readout": 0.01})
    >>> quiet.to_text()
    'num_qubits: 5; connectivity: linear; max_errors: {"readout": 0.01}'
    >>> Requirements.from_text(quiet.to_text()) == quiet == Requirements.from_json(quiet.to_json())
    True
    """

    KIND: ClassVar[str] = "requirements"
    READERS: ClassVar[Mapping[str, Reader]] = _READERS
    ALIASES: ClassVar[Mapping[str, Alias]] = {
        "max_seconds_per_shot": Alias("min_shots_per_second", lambda seconds: 1 / seconds if seconds else 0.0)
    }

    num_qubits: int = 0
    num_clbits: int = 0
    gates: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    connectivity: Connectivity | None = None
    verbatim_gates: frozenset[str] = frozenset()
    verbatim_connectivity: Connectivity | None = None
    transpile: bool | None = None
    shots: int | None = None
    exact_values: bool = False
    gradients: bool = False
    method: str = ""
    engine: str = ""
    max_errors: dict[str, float] = field(default_factory=dict)
    max_cost: float | None = None
    currency: str = "USD"
    min_shots_per_second: float = 0.0
    max_queue_depth: int | None = None
    kinds: frozenset[str] | None = None
    providers: frozenset[str] | None = None
    paradigm: str = ""

    def __post_init__(self) -> None:
        Record.__post_init__(self)
        for name in ("connectivity", "verbatim_connectivity"):
            couplings: Connectivity | None = getattr(self, name)
            needed = 0 if couplings is None else couplings.needed_qubits
            if self.num_qubits and couplings is not None and needed > self.num_qubits:
                raise InvalidSetting(f"requirements: {name} {couplings.brief()} takes {needed} qubits, not {self.num_qubits}")

    @classmethod
    def of(
        cls,
        circuit: Circuit,
        shots: int | None = None,
        observables: Observable | Sequence[Observable] | None = None,
    ) -> Requirements:
        """Return what a circuit needs; add limits with `dataclasses.replace`.

        Args:
            circuit: what is to run. Gates on three and more qubits need every two of them coupled.
            shots: with which; None where nobody has said.
            observables: what is to be estimated; without shots, exact values.

        Raises:
            InvalidTask: shots below 1, observables on another number of qubits.

        >>> from qloom.circuits import Circuit
        >>> Requirements.of(Circuit(3).h(0).cx(0, 1).cz(2, 1), shots=100).to_text()
        'num_qubits: 3; num_clbits: 3; gates: ["cx", "cz", "h"]; connectivity: "1-2 0>1"; shots: 100; paradigm: gate_model'
        """
        sums = [observables] if isinstance(observables, Observable) else observables or ()
        for observable in sums:
            if observable.num_qubits != circuit.num_qubits:
                raise InvalidTask(f"an observable acts on {observable.num_qubits} qubits, the circuit has {circuit.num_qubits}")
        free, kept = _told_apart(circuit.instructions)
        return cls(
            num_qubits=circuit.num_qubits,
            num_clbits=circuit.key_length,
            gates=_gate_names(free),
            features=frozenset(needs(circuit)),
            connectivity=_couplings(free),
            verbatim_gates=_gate_names(kept),
            verbatim_connectivity=_couplings(kept),
            shots=None if shots is None else read_shots(shots),
            exact_values=bool(sums) and shots is None,
            paradigm="gate_model",
        )


def needs(circuit: Circuit) -> list[str]:
    """Return the features beyond plain gates and final measurements that a circuit uses, in alphabetical order.

    >>> from qloom.circuits import Circuit
    >>> needs(Circuit(1).measure(0).x(0).measure(0, 1))
    ['mid_circuit_measurement']
    """
    found: set[str] = set()
    measured: set[int] = set()
    for step in _blocks_and_steps(circuit.instructions):
        kind = step.kind
        if kind in FEATURE_OF_KIND:
            found.add(FEATURE_OF_KIND[kind])
        if step.controls:
            found.add("controls")
        if measured and kind in ACTING and not measured.isdisjoint(step.qubits):
            found.add("mid_circuit_measurement")
        if kind == "measure":
            measured.update(step.qubits)
    return sorted(found)


def _blocks_and_steps(steps: Iterable[Instruction]) -> Iterator[Instruction]:
    for step in steps:
        yield step
        if step.body or step.orelse:
            yield from _blocks_and_steps(step.body)
            yield from _blocks_and_steps(step.orelse)


def _told_apart(steps: Iterable[Instruction]) -> tuple[list[Instruction], list[Instruction]]:
    """Return the gates outside of verbatim blocks, and those inside."""
    free: list[Instruction] = []
    kept: list[Instruction] = []
    for step in steps:
        inner = [one for one in _blocks_and_steps((step,)) if one.kind == "gate"]
        if step.name == "if":
            for target, found in zip((free, kept), _told_apart((*step.body, *step.orelse)), strict=True):
                target.extend(found)
        else:
            (kept if step.name == "verbatim" else free).extend(inner)
    return free, kept


def _gate_names(gates: Iterable[Instruction]) -> frozenset[str]:
    return frozenset(gate.name for gate in gates)


def _couplings(gates: Iterable[Instruction]) -> Connectivity | None:
    """Return the couplings that gates need; None where none acts on several qubits."""
    uses = {(gate.qubits, gate.name in SYMMETRIC) for gate in gates if len(gate.qubits) > 1}
    arrows = {qubits for qubits, symmetric in uses if len(qubits) == 2 and not symmetric}
    edges = {pair for qubits, symmetric in uses if symmetric or len(qubits) > 2 for pair in combinations(qubits, 2)}
    # Where a gate asks for a direction, another that takes any asks for nothing more.
    edges = {pair for pair in edges if pair not in arrows and pair[::-1] not in arrows}
    return Connectivity.of(edges, directed=arrows) if uses else None
