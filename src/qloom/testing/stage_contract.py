"""What every stage promises, as tests: subclass `StageContract` and give it a `stage` fixture.

```python
class TestMyStage(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return MyStage()
```

Nothing is sent to a device: circuits are worked out without noise by matrices of numpy, so that a stage's answer has to be the
one that the circuit has without it. Fixtures that a stage may need otherwise are `options` (all defaults if not given), `spec`,
`circuit`, `points` and `observables`. What a stage does not have, such as drawn parameters, is skipped, with the reason.
"""

# ruff: noqa: S101  asserts are what tests are made of

from __future__ import annotations

import inspect
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from qloom.circuits import Circuit, Observable, Parameter
from qloom.circuits.gates import GATES
from qloom.contracts import Answer, Calibration, Distribution, Expansion, Stage, StageContext
from qloom.contracts.stage import COUNTS, SAME, VALUES
from qloom.errors import QloomError, Unsupported
from qloom.kit.values import to_plain
from qloom.results import Engine, Result, SampleTable
from qloom.specs import FEATURES, DeviceSpec
from qloom.testing.device_contract import state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

SHOTS = 1e6
"""What the distributions say that they rest on; their weights are exact."""
STILL = frozenset({"gate", "barrier", "delay", "verbatim"})
"""What a state vector passes through."""
BRANCHES = 3
TURNS = {"X": ("h",), "Y": ("sdg", "h"), "Z": (), "I": ()}


def ansatz() -> Circuit:
    """Three qubits, angles that are formulas of parameters, and a qubit that waits in the middle.

    >>> ansatz().parameters
    ('b', 'a')
    """
    b, a = Parameter("b"), Parameter("a")
    front = Circuit(3, name="ansatz").ry(2 * b + 0.1, 0).rx(a, 1).h(2).cx(0, 1).rz(a / 2 - b, 1).cx(0, 1)
    return front.cz(1, 2).ry(0.3 - b, 2).cx(1, 2).t(0)


# ---- ideal answers ---------------------------------------------------------------------------------------------------


def ideal_distribution(circuit: Circuit, point: FloatArray, measured: Sequence[int], basis: str = "") -> Distribution:
    """Return the exact distribution of measured qubits.

    Args:
        circuit: of gates, barriers and delays.
        point: the values of its parameters.
        measured: the qubit of each bit.
        basis: the letter measured on each qubit of the circuit; `Z` everywhere if not given.

    >>> ideal_distribution(Circuit(2).h(0).cx(0, 1), np.zeros(0), [1], "XX").weights.round(6).tolist()
    [0.5, 0.5]
    """
    turned = circuit
    for qubit, letter in enumerate(basis):
        for gate in TURNS[letter]:
            turned = turned.gate(gate, qubit)
    weights = (abs(state_of(turned, point)) ** 2).reshape((2,) * circuit.num_qubits)
    others = tuple(qubit for qubit in range(circuit.num_qubits) if qubit not in measured)
    kept = [qubit for qubit in range(circuit.num_qubits) if qubit in measured]
    weights = weights.sum(axis=others).transpose([kept.index(qubit) for qubit in measured]).ravel()
    letters = "".join("Z" if not basis or basis[qubit] == "I" else basis[qubit] for qubit in measured)
    return Distribution(np.arange(len(weights), dtype=np.uint64), weights, len(measured), SHOTS, basis=letters)


@dataclass(frozen=True)
class Question:
    """What is asked of a circuit.

    Attributes:
        wanted: `values` or `counts`.
        observables: on its qubits.
        measured: the qubit of each bit.
        points: values of its parameters, shape (sets, parameters).
    """

    wanted: str
    observables: tuple[Observable, ...]
    measured: tuple[int, ...]
    points: FloatArray

    def moved(self, layout: Sequence[int] | None, num_qubits: int) -> Question:
        """Return the same question for a circuit that has the qubits elsewhere."""
        if layout is None:
            return self
        asked = []
        for observable in self.observables:
            terms = {}
            for string, value in observable.terms.items():
                letters = ["I"] * num_qubits
                for qubit, letter in enumerate(string):
                    letters[layout[qubit]] = letter
                terms["".join(letters)] = value
            asked.append(Observable(terms))
        return Question(self.wanted, tuple(asked), tuple(layout[qubit] for qubit in self.measured), self.points)

    def answer(self, circuit: Circuit, names: Sequence[str]) -> Answer:
        """Return the exact answer.

        Args:
            circuit: to be asked.
            names: of the parameters, the columns of `points`.
        """
        if odd := sorted({step.kind for step in circuit.flat()} - STILL):
            pytest.skip(f"there is {', '.join(odd)} in the expanded circuits, which no state vector passes through")
        columns = [list(names).index(name) for name in circuit.parameters]
        points = [row[columns] for row in self.points]
        if self.wanted == COUNTS:
            bases = tuple(dict.fromkeys(group.basis for one in self.observables for group in one.groups)) or ("",)
            return Answer(
                distributions=tuple(
                    tuple(ideal_distribution(circuit, point, self.measured, basis) for basis in bases) for point in points
                )
            )
        states = [state_of(circuit, point) for point in points]
        values = [[float(np.vdot(state, one.matrix() @ state).real) for one in self.observables] for state in states]
        return Answer(np.array(values), np.zeros((len(points), len(self.observables))))


def ideal_calibration(stage: Stage, wish: Calibration) -> dict[str, Any]:
    """Return what a stage makes of calibration circuits that run without an error."""
    results = []
    for circuit in wish.circuits:
        read = sorted(circuit.measured().items())
        found = ideal_distribution(circuit, np.zeros(0), [qubit for _, qubit in read])
        counts = np.rint(found.weights * wish.shots).astype(np.int64)
        seen = counts.nonzero()[0]
        table = SampleTable(seen.astype(np.uint64), counts[seen], (0, len(seen)))
        results.append(Result(engine=Engine("numpy", ""), shots=wish.shots, key_lengths=(found.bits,), samples=table))
    kept: dict[str, Any] = json.loads(json.dumps(stage.calibrated(wish.recipe, results)))
    return kept


class StageContract:
    """The tests. Their names say what is promised; `contracts.stage` says it in full.

    Attributes:
        atol: how far an answer may be from the circuit's own.
        preserves: False for a stage whose answer without noise is not the circuit's own, which its docs must say.
        counts_circuits: False for a stage whose docs say why `cost` gives another number of circuits than `expand`.
    """

    atol = 1e-9
    preserves = True
    counts_circuits = True

    @pytest.fixture
    def stage(self) -> Stage:
        """The stage under test."""
        raise NotImplementedError("give your subclass a fixture called stage")

    @pytest.fixture
    def options(self, stage: Stage) -> Any:
        """Its options."""
        return stage.options_type()

    @pytest.fixture
    def spec(self) -> DeviceSpec:
        """The device that it is told of: four qubits, every gate, gate times."""
        return DeviceSpec(
            name="contract",
            num_qubits=4,
            gates=frozenset(GATES),
            features=frozenset(FEATURES),
            exact_values=True,
            durations_s={"default:1": 35e-9, "default:2": 300e-9, "default:3": 900e-9},
        )

    @pytest.fixture
    def circuit(self) -> Circuit:
        """The circuit that it expands."""
        return ansatz()

    @pytest.fixture
    def points(self) -> FloatArray:
        """The values of the circuit's parameters (rad), shape (sets, parameters)."""
        return np.array([[0.4, -1.1], [2.2, 0.7]])

    @pytest.fixture
    def observables(self) -> tuple[Observable, ...]:
        """What is asked of the circuit where values are."""
        return (Observable({"ZZI": 0.5, "IXX": -0.7, "III": 1.5}), Observable({"IIZ": 1.0}))

    @pytest.fixture(params=[VALUES, COUNTS])
    def question(
        self, request: pytest.FixtureRequest, circuit: Circuit, points: FloatArray, observables: tuple[Observable, ...]
    ) -> Question:
        """What is asked of the circuit: values, and then counts."""
        asked = observables if request.param == VALUES else ()
        return Question(request.param, asked, tuple(range(circuit.num_qubits)), points)

    @pytest.fixture
    def run(self, stage: Stage, options: Any, spec: DeviceSpec, circuit: Circuit, question: Question) -> Run:
        """One use of the stage."""
        run = Run(stage, options, spec, circuit, question)
        if question.wanted == COUNTS:
            if not stage.gives_counts:
                pytest.skip("the stage gives no counts")
            try:
                run.expand()
            except Unsupported as error:
                pytest.skip(str(error))
        return run

    # ---- options -------------------------------------------------------------------------------------------------

    def test_it_says_what_it_is(self, stage: Stage) -> None:
        assert isinstance(stage, Stage)
        assert stage.name
        assert stage.name == stage.name.strip()
        assert (inspect.getdoc(type(stage)) or "").splitlines()[0]
        assert stage.max_rounds >= 1

    def test_every_option_is_described(self, stage: Stage) -> None:
        fields = stage.options_type.model_json_schema().get("properties", {})
        assert [name for name, field in fields.items() if not field.get("description")] == []

    def test_an_option_that_there_is_not_is_refused_by_name(self, stage: Stage, options: Any) -> None:
        with pytest.raises(ValueError, match="no_such_option"):
            stage.options_type(**options.model_dump(), no_such_option=1)

    def test_options_survive_being_written_as_json(self, stage: Stage, options: Any) -> None:
        assert stage.options_type.model_validate_json(options.model_dump_json()) == options

    def test_options_do_not_change(self, options: Any) -> None:
        for name in type(options).model_fields:
            with pytest.raises(ValueError, match="frozen"):
                setattr(options, name, getattr(options, name))

    # ---- expanding -----------------------------------------------------------------------------------------------

    def test_equal_arguments_expand_equally(self, run: Run, circuit: Circuit) -> None:
        digest = circuit.digest
        first, again = run.expand(), run.expand()
        assert first.circuits == again.circuits
        assert (first.recipe, first.drawn, first.takes) == (again.recipe, again.drawn, again.takes)
        assert (first.observables, first.layout) == (again.observables, again.layout)
        assert circuit.digest == digest

    def test_the_number_of_circuits_is_that_of_the_cost_model(self, run: Run) -> None:
        cost = run.stage.cost(run.options)
        assert cost.circuits > 0
        assert cost.shots > 0
        assert 1 <= cost.rounds <= run.stage.max_rounds
        if not self.counts_circuits:
            pytest.skip("the stage's docs say why its cost is another")
        assert len(run.expand().circuits) == cost.circuits

    def test_symbols_are_kept_and_drawn_ones_come_after_them(self, run: Run, circuit: Circuit) -> None:
        found = run.expand()
        size = len(circuit.parameters)
        for expanded in found.circuits:
            assert expanded.parameters[:size] == circuit.parameters
            assert expanded.parameters[size:] == tuple(name for name in found.drawn if name in expanded.parameters[size:])

    def test_drawn_parameters_have_names_of_their_own(self, run: Run, circuit: Circuit) -> None:
        first, other = run.expand(), run.expand(label="elsewhere")
        assert len(set(first.drawn)) == len(first.drawn)
        assert not set(first.drawn) & {*circuit.parameters, *other.drawn}

    def test_expanded_circuits_measure_nothing(self, run: Run) -> None:
        for expanded in run.expand().circuits:
            assert "measure" not in {step.name for step in expanded.every()}

    def test_qubits_stay_or_have_a_layout(self, run: Run, circuit: Circuit) -> None:
        found = run.expand()
        sizes = {expanded.num_qubits for expanded in found.circuits}
        if found.layout is None:
            assert sizes == {circuit.num_qubits}
        else:
            assert len(set(found.layout)) == len(found.layout) == circuit.num_qubits
            assert max(found.layout) < min(sizes)

    def test_the_recipe_is_json_and_survives_being_written(self, run: Run) -> None:
        recipe = run.expand().recipe
        assert json.loads(json.dumps(recipe, allow_nan=False)) == recipe

    def test_a_calibration_has_no_parameters_and_a_recipe_in_json(self, run: Run) -> None:
        wish = run.stage.calibration(run.circuit, run.options, run.context(calibrated=False))
        if wish is None:
            pytest.skip("the stage does not calibrate")
        assert wish.circuits
        assert all(not circuit.parameters for circuit in wish.circuits)
        assert wish.shots >= 1
        assert wish.max_age_s > 0
        assert json.loads(json.dumps(wish.recipe, allow_nan=False)) == wish.recipe
        assert ideal_calibration(run.stage, wish) == ideal_calibration(run.stage, wish)

    # ---- drawing -------------------------------------------------------------------------------------------------

    def test_equal_seeds_draw_equally_and_others_do_not(self, run: Run) -> None:
        found = run.expand()
        if not found.drawn:
            pytest.skip("the stage draws nothing")
        first, again, other = (run.draw(found, seed) for seed in (1, 1, 2))
        assert first.shape == (len(found.drawn),)
        assert np.isfinite(first).all()
        assert first.tolist() == again.tolist() != other.tolist()

    # ---- combining -----------------------------------------------------------------------------------------------

    def test_without_noise_the_answer_is_that_of_the_circuit(self, run: Run, circuit: Circuit) -> None:
        if not self.preserves:
            pytest.skip("the stage's docs say why its answer is another")
        expected = run.question.answer(circuit, circuit.parameters)
        for seed in (1, 2):
            found = run.evaluate(seed)
            if expected.values is not None:
                assert found.values is not None
                np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=self.atol)
            for one, other in zip(found.distributions, expected.distributions, strict=True):
                assert [each.bits for each in one] == [each.bits for each in other]
                for got, right in zip(one, other, strict=True):
                    np.testing.assert_allclose(dense(got), dense(right), rtol=0, atol=self.atol)

    def test_an_answer_has_the_shape_of_the_question(self, run: Run) -> None:
        found, sets = run.evaluate(1), len(run.question.points)
        if run.question.wanted == COUNTS:
            assert found.values is None
            assert len(found.distributions) == sets
            assert all(math.isclose(each.weights.sum(), 1.0, abs_tol=1e-9) for row in found.distributions for each in row)
            return
        assert found.values is not None
        assert found.standard_errors is not None
        assert found.values.shape == found.standard_errors.shape == (sets, len(run.question.observables))
        assert (found.standard_errors >= 0).all()

    def test_equal_answers_combine_equally_whatever_was_combined_before(self, run: Run) -> None:
        context = run.context()
        first, other, again = (run.evaluate(seed, context) for seed in (1, 2, 1))
        fresh = run.evaluate(1)
        assert plain(first) == plain(again) == plain(fresh)
        assert plain(other) == plain(run.evaluate(2))

    def test_a_recipe_that_was_written_as_json_combines_equally(self, run: Run) -> None:
        assert plain(run.evaluate(1)) == plain(run.evaluate(1, written=True))

    def test_notes_have_the_same_names_each_time_and_can_be_kept(self, run: Run) -> None:
        context = run.context()
        run.evaluate(1, context)
        names = set(context.notes)
        run.evaluate(2, context)
        assert set(context.notes) == names
        to_plain(context.notes, "notes")

    def test_numbers_that_are_none_are_refused(self, run: Run) -> None:
        _, right = run.played(1, run.context())
        for position in range(len(right)):
            try:
                combined, answers = run.played(1, run.context(), spoilt=position)
            except (QloomError, ValueError, ArithmeticError):
                continue
            # What is handed on as it came is refused by the pipeline.
            if not any(combined is answer for answer in answers):
                assert not holds_nan(combined), f"answer {position} held NaN, and so does what was made of it"


def dense(found: Distribution) -> FloatArray:
    """Return the weights of all keys.

    >>> dense(Distribution(np.array([2], np.uint64), np.ones(1), 2, 1)).tolist()
    [0.0, 0.0, 1.0, 0.0]
    """
    weights = np.zeros(1 << found.bits)
    weights[found.keys.astype(np.int64)] = found.weights
    return weights


def plain(answer: Answer) -> list[Any]:
    """Return an answer as lists, which compare.

    >>> plain(Answer(np.array([[0.5]]), np.array([[0.0]])))
    [[[0.5]], [[0.0]], []]
    """
    arrays = [None if array is None else array.tolist() for array in (answer.values, answer.standard_errors)]
    return [*arrays, [[(one.keys.tolist(), one.weights.tolist(), *one[2:]) for one in row] for row in answer.distributions]]


def spoil(answer: Answer) -> Answer:
    """Return an answer with NaN in its first place.

    >>> spoil(Answer(np.array([[0.5, 1.0]]), np.zeros((1, 2)))).values.tolist()
    [[nan, 1.0]]
    """
    if answer.values is not None:
        values = answer.values.copy()
        values[0, 0] = math.nan
        return answer._replace(values=values)
    first = answer.distributions[0][0]
    weights = first.weights.copy()
    weights[0] = math.nan
    settings = (first._replace(weights=weights), *answer.distributions[0][1:])
    return answer._replace(distributions=(settings, *answer.distributions[1:]))


def holds_nan(found: Answer) -> bool:
    """Whether NaN stands where a user would see it.

    >>> holds_nan(Answer(np.array([[math.nan]]), np.zeros((1, 1)))), holds_nan(Answer(np.zeros((1, 1)), np.zeros((1, 1))))
    (True, False)
    """
    arrays = [array for array in (found.values, found.standard_errors) if array is not None]
    arrays += [one.weights for row in found.distributions for one in row]
    return not all(np.isfinite(array).all() for array in arrays)


@dataclass(frozen=True)
class Run:
    """One use of a stage, as a pipeline would make it, on circuits without noise.

    Attributes:
        stage, options: what is used.
        spec: the device that it is told of.
        circuit: what it is given.
        question: what is asked of the circuit.
    """

    stage: Stage
    options: Any
    spec: DeviceSpec
    circuit: Circuit
    question: Question

    def context(self, label: str = "contract", *, calibrated: bool = True) -> StageContext:
        """Return a new context, with a calibration where the stage wants one."""
        made = StageContext(
            spec=self.spec,
            seed=7,
            observables=self.question.observables,
            measured=self.question.measured,
            wanted=self.question.wanted,
            label=label,
        )
        wish = self.stage.calibration(self.circuit, self.options, made) if calibrated else None
        if wish is None:
            return made
        kept = ideal_calibration(self.stage, wish)
        return StageContext(
            spec=made.spec,
            seed=made.seed,
            observables=made.observables,
            measured=made.measured,
            wanted=made.wanted,
            label=label,
            calibration=kept,
        )

    def expand(self, context: StageContext | None = None, *, label: str = "contract") -> Expansion:
        """Return the stage's expansion; branches that it joins are the circuit itself."""
        if self.stage.joins_branches:
            return Expansion((self.circuit,))
        return self.stage.expand(self.circuit, self.options, context or self.context(label))

    def draw(self, found: Expansion, seed: int) -> FloatArray:
        """Return values for the drawn parameters."""
        if not found.drawn:
            return np.zeros(0)
        return np.asarray(self.stage.draw(found.recipe, self.options, np.random.default_rng(seed)), dtype=np.float64)

    def answers(self, found: Expansion, seed: int) -> list[Answer]:
        """Return the exact answers to the expanded circuits, with the values that are drawn from a seed."""
        drawn = self.draw(found, seed)
        answers = self._exact(found, found.circuits, [*self.circuit.parameters, *found.drawn], drawn)
        return answers * BRANCHES if self.stage.joins_branches else answers

    def evaluate(self, seed: int, context: StageContext | None = None, *, written: bool = False) -> Answer:
        """Return the stage's answer after all its rounds.

        Args:
            seed: for what is drawn.
            context: a new one if not given.
            written: whether recipes are written as JSON and read back first.
        """
        return self.played(seed, context or self.context(), written=written)[0]

    def played(
        self, seed: int, context: StageContext, *, written: bool = False, spoilt: int | None = None
    ) -> tuple[Answer, list[Answer]]:
        """Return the stage's answer and those that it is made of, in all rounds; the one at `spoilt` holds NaN."""
        found = self.expand(context)
        answers, recipe = self.answers(found, seed), found.recipe
        for _ in range(self.stage.max_rounds):
            if spoilt is not None and spoilt < len(answers):
                answers[spoilt] = spoil(answers[spoilt])
            told: Mapping[str, Any] = json.loads(json.dumps(recipe)) if written else recipe
            combined = self.stage.combine(told, answers, self.options, context)
            if isinstance(combined, Answer):
                return combined, answers
            answers = [*answers, *self._exact(found, combined.circuits, self.circuit.parameters, np.zeros(0))]
            recipe = combined.recipe
        pytest.fail(f"{self.stage.name} asks for more than its {self.stage.max_rounds} rounds")

    def _exact(self, found: Expansion, circuits: Iterable[Circuit], names: Sequence[str], drawn: FloatArray) -> list[Answer]:
        points = np.hstack([self.question.points, np.tile(drawn, (len(self.question.points), 1))])
        wanted = self.question.wanted if found.takes == SAME else found.takes
        observables = self.question.observables if found.observables is None else found.observables
        asked = Question(wanted, observables, self.question.measured, points)
        return [asked.moved(found.layout, circuit.num_qubits).answer(circuit, names) for circuit in circuits]
