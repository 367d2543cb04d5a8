"""`Plan`: a pipeline laid out over circuits: what is sent, and how the answers are put together.

A plan is a tree for each circuit. Its inner nodes are stages in their places, its leaves are circuits to run. It is made once for
a structure; each evaluation binds numbers, sends the leaves in one batch, and goes up the tree.
"""

from __future__ import annotations

import hashlib
import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.circuits import Circuit, Observable
from qloom.contracts.stage import COUNTS, SAME, VALUES, Answer, Expansion, More, StageContext
from qloom.errors import QloomError, StageFailed, Unsupported
from qloom.pipelines.batches import Batch, Leaf, kept
from qloom.pipelines.opening import check_joins
from qloom.pipelines.reading import POLICIES, Branches, StageCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from qloom.contracts.stage import Calibration, FloatArray, Stage
    from qloom.pipelines.opening import Opened
    from qloom.pipelines.reading import Chain
    from qloom.specs import DeviceSpec

log = logging.getLogger(__name__)

MOST_CIRCUITS = 100_000
"""The most circuits of one evaluation: more is a mistake in an option."""


class PlanNeeds(NamedTuple):
    """What a plan needs from outside.

    Attributes:
        spec: the device's.
        open_stage: a call -> the stage and its options.
        calibrate: (call, what is to be measured, the stage) -> what came of it, JSON.
        names: all parameters of the given circuits.
    """

    spec: DeviceSpec
    open_stage: Callable[[StageCall], Opened]
    calibrate: Callable[[StageCall, Calibration, Stage], Mapping[str, Any]]
    names: tuple[str, ...]


class Asked(NamedTuple):
    """One circuit as a stage meets it, and what is asked of it."""

    circuit: Circuit
    observables: tuple[Observable, ...]
    measured: tuple[int, ...]
    wanted: str
    flips: tuple[str, ...] = ()


class Node:
    """A stage in its place, for one circuit.

    Attributes:
        call: what the pipeline says of it.
        opened: the stage and its options.
        asked: the circuit that it stands for.
        inner: the pipeline between it and the device.
        label: unique in the plan.
        notes: what it noted at the latest evaluation.
        children: what its circuits became; `plain` is the circuit without it, where a failure is to be skipped.
        rounds: digests of circuits that it asked for later -> what they became.
    """

    __slots__ = (
        "asked",
        "below",
        "call",
        "children",
        "context",
        "expansion",
        "inner",
        "label",
        "notes",
        "opened",
        "plain",
        "rounds",
    )

    def __init__(self, call: StageCall, opened: Opened, asked: Asked, inner: Chain, label: str) -> None:
        self.call = call
        self.opened = opened
        self.asked = asked
        self.inner = inner
        self.label = label
        self.notes: dict[str, Any] = {}
        self.below: dict[str, Mapping[str, Any]] = {}
        self.context: StageContext
        self.expansion = Expansion(())
        self.children: list[Node | Leaf] = []
        self.plain: Node | Leaf | None = None
        self.rounds: dict[str, list[Node | Leaf]] = {}


class Plan:
    """A pipeline over circuits.

    Args:
        chain: the pipeline.
        asked: the circuits and what is asked of them.
        needs: what it needs from outside.

    Attributes:
        batch: what every evaluation sends first.
        roots: the tree of each circuit.
        weights: of each leaf's values for each circuit, shape (circuits, leaves), where an evaluation is nothing but weighted
            sums; else None.

    Raises:
        StageFailed: a stage could not expand a circuit.
        Unsupported: a stage is asked for something that it does not give.
    """

    def __init__(self, chain: Chain, asked: Sequence[Asked], needs: PlanNeeds) -> None:
        self._chain = chain
        self._needs = needs
        self._drawing: list[Node] = []
        self._leaves: list[Leaf] = []
        self._skipped: dict[str, list[dict[str, Any]]] = {}
        self._remarks: dict[str, list[dict[str, Any]]] = {}
        self._batches: dict[tuple[Leaf, ...], Batch] = {}
        self._drawn_in: dict[Batch, list[Node]] = {}
        self._title = " > ".join(_title(step) for step in chain)
        self.roots = [self._grow(chain, one, f"q{number}") for number, one in enumerate(asked)]
        self.batch = self.batch_of(tuple(self._leaves))
        self.weights = self._weights()
        if len(self.batch.circuits) > MOST_CIRCUITS:
            raise Unsupported(
                f"pipeline {self._title} makes {len(self.batch.circuits)} circuits of {len(asked)}, the limit is {MOST_CIRCUITS}"
            )

    # ---- growing -------------------------------------------------------------------------------------------------

    def _grow(self, chain: Chain, asked: Asked, label: str) -> Node | Leaf:
        if not chain:
            leaf = Leaf(asked.circuit, asked.observables, asked.measured, asked.wanted, asked.flips)
            self._leaves.append(leaf)
            return leaf
        *inner, last = chain
        if isinstance(last, Branches):
            return self._join(tuple(inner), last, asked, label)
        return self._place(tuple(inner), last, asked, label)

    def _join(self, inner: Chain, branches: Branches, asked: Asked, label: str) -> Node:
        node = self._node(branches.combine, asked, inner, f"{label}_{branches.combine.stage}", joins=True)
        node.expansion = Expansion((asked.circuit,))
        node.children = [
            self._grow((*inner, *branch), asked, f"{node.label}_b{number}") for number, branch in enumerate(branches.parallel)
        ]
        _look_below(node)
        return node

    def _place(self, inner: Chain, call: StageCall, asked: Asked, label: str) -> Node | Leaf:
        node = self._node(call, asked, inner, f"{label}_{call.stage}")
        stage, options = node.opened
        try:
            node.expansion = _checked(stage.expand(asked.circuit, options, node.context), asked.circuit)
        except Exception as error:  # a stage is others' code: whatever it raises is told, with the stage's name
            failure = self._failed(node, error)
            if call.on_error != "skip":
                raise failure from error
            log.warning("%s; its circuit runs without it", failure)
            self._skipped.setdefault(call.stage, []).append({"error": str(failure)})
            return self._grow(inner, asked, label)
        if node.expansion.drawn:
            self._drawing.append(node)
        node.children = self._children(node, node.expansion.circuits)
        if call.on_error == "skip":
            node.plain = self._grow(inner, asked, f"{node.label}_plain")
        _look_below(node)
        return node

    def _children(self, node: Node, circuits: Sequence[Circuit], label: str = "") -> list[Node | Leaf]:
        found, asked = node.expansion, node.asked
        wanted = asked.wanted if found.takes == SAME else found.takes
        observables = asked.observables if found.observables is None else found.observables
        children = []
        for number, circuit in enumerate(circuits):
            # What a stage made runs as it stands: a compiler among the stages nearer the device must not undo it either.
            made = circuit if circuit is asked.circuit or not node.inner else kept(circuit)
            seen, measured = observables, asked.measured
            if (layout := found.layout) is not None:
                seen = tuple(_moved(one, layout, circuit.num_qubits) for one in seen)
                measured = tuple(layout[qubit] for qubit in measured)
            child = Asked(made, seen, measured, wanted, found.flips[number] if found.flips else asked.flips)
            children.append(self._grow(node.inner, child, f"{node.label}{label}_{number}"))
        return children

    def _node(self, call: StageCall, asked: Asked, inner: Chain, label: str, *, joins: bool = False) -> Node:
        opened = self._needs.open_stage(call)
        _check_place(call, opened.stage, asked.wanted, joins=joins)
        node = Node(call, opened, asked, inner, label)
        node.context = StageContext(
            spec=self._needs.spec,
            seed=_seed(label, asked.circuit),
            observables=asked.observables,
            measured=asked.measured,
            wanted=asked.wanted,
            label=label,
            notes=node.notes,
            inner=node.below,
        )
        try:
            wish = opened.stage.calibration(asked.circuit, opened.options, node.context)
        except Exception as error:  # as above
            raise self._failed(node, error) from error
        if wish is not None:
            node.context = replace(node.context, calibration=self._needs.calibrate(call, wish, opened.stage))
        return node

    def _weights(self) -> FloatArray | None:
        """Go down from each circuit to its leaves; None where a stage on the way does more than weigh, or may fail softly."""
        import numpy as np

        place = {leaf: number for number, leaf in enumerate(self.batch.leaves)}
        found = np.zeros((len(self.roots), len(place)))
        waiting: list[tuple[int, float, Node | Leaf]] = [(row, 1.0, root) for row, root in enumerate(self.roots)]
        while waiting:
            row, weight, branch = waiting.pop()
            if isinstance(branch, Leaf):
                found[row, place[branch]] += weight
                continue
            stage, options = branch.opened
            hard = branch.call.on_error == POLICIES[0]
            each = stage.weights(branch.expansion.recipe, options, branch.context) if hard else None
            if each is None or len(each) != len(branch.children) or branch.expansion.observables is not None:
                return None
            waiting += [(row, weight * one, child) for one, child in zip(each, branch.children, strict=True)]
        plain = not self.batch.samples and not self.batch.drawn and all(leaf.wanted == VALUES for leaf in place)
        return found if plain else None

    # ---- evaluating ----------------------------------------------------------------------------------------------

    def draw(self, batch: Batch, generator: np.random.Generator) -> FloatArray:
        """Return values (rad) for the drawn parameters, in the order of the batch's last names, shape (drawn,).

        Raises:
            StageFailed: a stage did not give as many finite numbers as it has parameters.
        """
        import numpy as np

        return np.concatenate([self._draw(node, generator) for node in self._drawn_in[batch]])

    def _draw(self, node: Node, generator: np.random.Generator) -> FloatArray:
        import numpy as np

        stage, options = node.opened
        try:
            found = np.asarray(stage.draw(node.expansion.recipe, options, generator), dtype=np.float64)
        except Exception as error:  # as above
            raise self._failed(node, error) from error
        if found.shape != (len(node.expansion.drawn),) or not np.isfinite(found).all():
            raise self._failed(node, f"draw gave shape {found.shape}, not {len(node.expansion.drawn)} finite numbers")
        return found

    def combine(self, node: Node, recipe: Mapping[str, Any], answers: list[Answer]) -> Answer | More:
        """Return what a stage makes of answers, or its wish for another round.

        Raises:
            StageFailed: it raised, or gave something that is no answer.
        """
        stage, options = node.opened
        try:
            found = stage.combine(recipe, answers, options, node.context)
        except Exception as error:  # as above
            raise self._failed(node, error) from error
        if type(found) is Answer:
            values = found.values
            if (values is None) is (node.asked.wanted == VALUES):
                raise self._failed(node, f"combine gave no {node.asked.wanted}")
            # One pass: a sum is finite unless an entry is not.
            if values is not None and not math.isfinite(values.sum()):
                raise self._failed(node, "the value is not finite (NaN or infinite); look at its fit and at the device's values")
            return found
        if isinstance(found, More):
            return found
        raise self._failed(node, f"combine gave a {type(found).__name__}, not an Answer or More")

    def further(self, node: Node, wish: More, number: int) -> list[Node | Leaf]:
        """Return what the circuits of another round became; made once for equal circuits.

        Raises:
            StageFailed: it is one round too many.
        """
        most = node.opened.stage.max_rounds
        if number > most:
            raise self._failed(node, f"it asks for round {number}, its limit is {most} (max_rounds)")
        key = " ".join(circuit.digest for circuit in wish.circuits)
        if key not in node.rounds:
            _checked(replace(node.expansion, circuits=wish.circuits, drawn=()), node.asked.circuit)
            node.rounds[key] = self._children(node, wish.circuits, f"_r{number}x{len(node.rounds)}")
        return node.rounds[key]

    def batch_of(self, leaves: tuple[Leaf, ...]) -> Batch:
        """Return the batch of leaves; made once for the same ones."""
        if leaves not in self._batches:
            used = {name for leaf in leaves for name in (*leaf.circuit.parameters, *leaf.flips)}
            drawing = [node for node in self._drawing if not used.isdisjoint(node.expansion.drawn)]
            drawn = [name for node in drawing for name in node.expansion.drawn]
            batch = self._batches[leaves] = Batch(leaves, self._needs.names, tuple(drawn))
            self._drawn_in[batch] = drawing
        return self._batches[leaves]

    def remark(self, name: str, notes: dict[str, Any]) -> None:
        """Have the notes begin with those of a stage that has no place here, such as one that picked these stages."""
        self._remarks[name] = [notes]

    def notes(self) -> dict[str, list[dict[str, Any]]]:
        """Return what the stages noted at the latest evaluation: stage -> one for each of its places."""
        found = {name: list(places) for name, places in (*self._remarks.items(), *self._skipped.items())}
        for root in self.roots:
            _collect(root, found)
        return found

    def _failed(self, node: Node, cause: Exception | str) -> StageFailed:
        told = cause if isinstance(cause, QloomError | str) else f"{type(cause).__name__}: {cause}"
        place = f"stage {node.call.stage} in pipeline {self._title}, circuit {node.label[1:].partition('_')[0]}"
        return StageFailed(f"{place}: {told}", stage=node.call.stage, retryable=node.call.on_error == "retry")


class Evaluation:
    """One evaluation of a plan: takes answers round by round.

    Args:
        plan: the plan.
        answers: of its batch.

    Attributes:
        waiting: the leaves whose answers are needed next; empty when all is known.
        roots: the answer to each circuit, once nothing is waiting.
    """

    def __init__(self, plan: Plan, answers: Sequence[Answer]) -> None:
        self._plan = plan
        self._known: dict[Node | Leaf, Answer] = {}
        self._later: dict[Node, tuple[Mapping[str, Any], list[Node | Leaf], int]] = {}
        self.waiting: list[Leaf] = []
        self.roots: list[Answer] = []
        self.take(plan.batch.leaves, answers)

    def take(self, leaves: Sequence[Leaf], answers: Sequence[Answer]) -> None:
        """Go on with the answers to what was waiting.

        Raises:
            StageFailed: a stage could not put its answers together.
        """
        known = self._known
        known.update(zip(leaves, answers, strict=True))
        self.waiting = []
        found = [self._answer(root) for root in self._plan.roots]
        self.roots = [answer for answer in found if answer is not None]

    def _answer(self, branch: Node | Leaf) -> Answer | None:
        answer = self._known.get(branch)
        if answer is not None:
            return answer
        if isinstance(branch, Leaf):
            if branch not in self.waiting:
                self.waiting.append(branch)
            return None
        branch.notes.pop("error", None)  # of an earlier evaluation
        try:
            answer = self._combined(branch)
        except StageFailed as failure:
            if branch.plain is None:
                raise
            log.warning("%s; the value without it is taken", failure)
            branch.notes.clear()  # what it noted so far may be of an earlier evaluation
            branch.notes["error"] = str(failure)
            answer = self._answer(branch.plain)
        if answer is not None:
            self._known[branch] = answer
        return answer

    def _combined(self, node: Node) -> Answer | None:
        recipe, more, rounds = self._later.get(node, (node.expansion.recipe, [], 1))
        found = [self._answer(child) for child in (*node.children, *more)]
        answers = [answer for answer in found if answer is not None]
        if len(answers) < len(found):
            return None
        made = self._plan.combine(node, recipe, answers)
        if isinstance(made, Answer):
            return made
        further = self._plan.further(node, made, rounds + 1)
        self._later[node] = (made.recipe, [*more, *further], rounds + 1)
        return self._combined(node)


# ---- small parts -----------------------------------------------------------------------------------------------------


def _title(step: StageCall | Branches) -> str:
    if isinstance(step, StageCall):
        return step.stage
    inside = " | ".join(" > ".join(_title(one) for one in branch) or "none" for branch in step.parallel)
    return f"({inside}) {step.combine.stage}"


def _seed(label: str, circuit: Circuit) -> int:
    return int.from_bytes(hashlib.blake2b(f"{label}|{circuit.digest}".encode(), digest_size=8).digest(), "big")


def _check_place(call: StageCall, stage: Stage, wanted: str, *, joins: bool) -> None:
    if wanted == COUNTS and not stage.gives_counts:
        raise Unsupported(f"stage {call.stage} gives expectation values, not counts; ask with estimate(), or leave it out")
    check_joins(call, stage, joins=joins)


def _checked(found: object, circuit: Circuit) -> Expansion:
    if not isinstance(found, Expansion):
        raise TypeError(f"expand gave a {type(found).__name__}, not an Expansion")
    if not found.circuits or not all(isinstance(one, Circuit) for one in found.circuits):
        raise ValueError(f"expand gave {len(found.circuits)} circuits, at least one is needed, and nothing but circuits")
    if found.flips and (found.takes != COUNTS or len(found.flips) != len(found.circuits)):
        raise ValueError("an expansion with flips has one row of them for each circuit, and takes counts")
    allowed = {*circuit.parameters, *found.drawn}
    for number, one in enumerate(found.circuits):
        if surplus := [name for name in one.parameters if name not in allowed]:
            raise ValueError(f"expanded circuit {number} has parameters that nobody binds: {', '.join(surplus)}")
        if "measure" in one.instruction_names:
            raise ValueError(f"expanded circuit {number} measures; what is measured is put behind it")
        if found.layout is None and one.num_qubits != circuit.num_qubits:
            raise ValueError(f"expanded circuit {number} has {one.num_qubits} qubits, not {circuit.num_qubits}, and no layout")
    return found


def _moved(observable: Observable, layout: Sequence[int], num_qubits: int) -> Observable:
    def moved(string: str) -> str:
        letters = ["I"] * num_qubits
        for qubit, letter in enumerate(string):
            letters[layout[qubit]] = letter
        return "".join(letters)

    return Observable({moved(string): factor for string, factor in observable.terms.items()})


def _look_below(node: Node) -> None:
    """Let a stage see the notes of those nearer the device.

    Raises:
        Unsupported: it has calibrated qubits that one of these moves.
    """
    for child in node.children:
        if isinstance(child, Node):
            if node.context.calibration is not None and (mover := _mover(child)):
                raise Unsupported(
                    f"stage {node.call.stage} calibrates the qubits of its circuit, and stage {mover}, nearer the device, moves "
                    f"them; write {node.call.stage} before {mover}"
                )
            for name, notes in (*child.below.items(), (child.call.stage, child.notes)):
                node.below.setdefault(name, notes)


def _mover(node: Node) -> str:
    """Return the stage at or below a place that puts qubits elsewhere; empty for none."""
    if node.expansion.layout is not None:
        return node.call.stage
    return next((found for child in node.children if isinstance(child, Node) and (found := _mover(child))), "")


def _collect(branch: Node | Leaf, found: dict[str, list[dict[str, Any]]]) -> None:
    if isinstance(branch, Leaf):
        return
    for child in branch.children:
        _collect(child, found)
    found.setdefault(branch.call.stage, []).append(dict(branch.notes))
