"""The contract suite sees what is wrong: stages that break one promise each fail its test, and a right one passes them all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field

from qloom.circuits import Circuit, Observable, Parameter
from qloom.circuits.gates import GATES
from qloom.contracts import Answer, Expansion, More, Stage, StageContext, StageCost
from qloom.contracts.stage import VALUES
from qloom.specs import FEATURES, DeviceSpec
from qloom.testing.stage_contract import Question, Run, StageContract, ansatz

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    turns: int = Field(1, ge=0, description="How often.")


class Open(BaseModel):
    turns: int = 1


class Turning(Stage):
    """A right stage: two circuits, one with a drawn phase that changes nothing, and their mean; asked twice."""

    name: ClassVar[str] = "turning"
    options_type: ClassVar[type[Any]] = Options
    max_rounds: ClassVar[int] = 2
    gives_counts: ClassVar[bool] = False

    def expand(self, circuit: Circuit, options: Any, context: StageContext) -> Expansion:
        (drawn,) = context.fresh(1)
        plain = circuit.extend(Circuit(circuit.num_qubits).x(0).x(0).instructions)
        angle = Parameter(drawn)
        return Expansion((plain, circuit.rz(angle, 0).rz(-angle, 0)), {"parts": [0.5, 0.5], "more": True}, drawn=(drawn,))

    def draw(self, recipe: Mapping[str, Any], options: Any, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return generator.uniform(0, math.tau, 1)

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Any, context: StageContext) -> Answer | More:
        if recipe["more"]:
            return More((ansatz(),), {"parts": [0.25, 0.25, 0.5], "more": False})
        values = sum(
            part * answer.values for part, answer in zip(recipe["parts"], answers, strict=True) if answer.values is not None
        )
        errors = answers[0].standard_errors
        context.notes["values"] = values
        if not np.isfinite(values).all():
            raise ValueError("not finite")
        return Answer(np.asarray(values), errors)

    def cost(self, options: Any) -> StageCost:
        return StageCost(2, 1, 2)


class TestARightOne(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return Turning()


class WithoutDoc(Turning):
    __doc__ = " "


class TakesAnything(Turning):
    options_type = Open


class Counting(Turning):
    def expand(self, circuit: Circuit, options: Any, context: StageContext) -> Expansion:
        self.calls = getattr(self, "calls", 0) + 1
        found = super().expand(circuit, options, context)
        return Expansion(found.circuits, {**found.recipe, "calls": self.calls}, found.drawn)


class Cheap(Turning):
    def cost(self, options: Any) -> StageCost:
        return StageCost(1, 1, 2)


class Binding(Turning):
    def expand(self, circuit: Circuit, options: Any, context: StageContext) -> Expansion:
        found = super().expand(circuit, options, context)
        return Expansion((found.circuits[0].bind({"a": 0.3}), found.circuits[1]), found.recipe, found.drawn)


class OneName(Turning):
    def expand(self, circuit: Circuit, options: Any, context: StageContext) -> Expansion:
        return Expansion((circuit.rz(Parameter("phase"), 0), circuit), {"more": True}, drawn=("phase",))


class Measuring(Turning):
    def expand(self, circuit: Circuit, options: Any, context: StageContext) -> Expansion:
        return Expansion((circuit, circuit.measure(0)))


class Growing(Turning):
    def expand(self, circuit: Circuit, options: Any, context: StageContext) -> Expansion:
        return Expansion((Circuit(4, circuit.instructions), circuit))


class Tuples(Turning):
    def expand(self, circuit: Circuit, options: Any, context: StageContext) -> Expansion:
        found = super().expand(circuit, options, context)
        return Expansion(found.circuits, {"parts": (0.5, 0.5), "more": True}, found.drawn)


class Restless(Turning):
    def draw(self, recipe: Mapping[str, Any], options: Any, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return np.random.default_rng().uniform(0, math.tau, 1)


class Stiff(Turning):
    def draw(self, recipe: Mapping[str, Any], options: Any, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return np.zeros(1)


class Changing(Turning):
    def expand(self, circuit: Circuit, options: Any, context: StageContext) -> Expansion:
        found = super().expand(circuit, options, context)
        return Expansion((found.circuits[0].rx(1e-6, 1), found.circuits[1]), found.recipe, found.drawn)


class Remembering(Turning):
    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Any, context: StageContext) -> Answer | More:
        found = super().combine(recipe, answers, options, context)
        self.last = getattr(self, "last", 0.0)
        if isinstance(found, More) or found.values is None:
            return found
        found, self.last = found._replace(values=found.values + self.last), self.last + 1e-3
        return found


class Flat(Turning):
    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Any, context: StageContext) -> Answer | More:
        found = super().combine(recipe, answers, options, context)
        return found if isinstance(found, More) or found.values is None else found._replace(values=found.values[:, :1])


class Noting(Turning):
    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Any, context: StageContext) -> Answer | More:
        context.notes[f"note {len(context.notes)}"] = 1
        return super().combine(recipe, answers, options, context)


class Careless(Turning):
    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Any, context: StageContext) -> Answer | More:
        if recipe["more"]:
            return super().combine(recipe, answers, options, context)
        last = answers[-1].values
        return Answer(None if last is None else last + 0.0, answers[0].standard_errors)


class Endless(Turning):
    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Any, context: StageContext) -> Answer | More:
        return More((ansatz(),))


def use(stage: Stage) -> Run:
    spec = DeviceSpec(name="contract", num_qubits=4, gates=frozenset(GATES), features=frozenset(FEATURES))
    question = Question(
        VALUES, (Observable({"ZZI": 1.0}), Observable({"IXX": 1.0})), (0, 1, 2), np.array([[0.4, -1.1], [2.2, 0.7]])
    )
    return Run(stage, stage.options_type(), spec, ansatz(), question)


SUITE = StageContract()


@pytest.mark.parametrize(
    ("stage", "test"),
    [
        (Counting(), "test_equal_arguments_expand_equally"),
        (Cheap(), "test_the_number_of_circuits_is_that_of_the_cost_model"),
        (Binding(), "test_symbols_are_kept_and_drawn_ones_come_after_them"),
        (OneName(), "test_drawn_parameters_have_names_of_their_own"),
        (Measuring(), "test_expanded_circuits_measure_nothing"),
        (Growing(), "test_qubits_stay_or_have_a_layout"),
        (Tuples(), "test_the_recipe_is_json_and_survives_being_written"),
        (Restless(), "test_equal_seeds_draw_equally_and_others_do_not"),
        (Stiff(), "test_equal_seeds_draw_equally_and_others_do_not"),
        (Changing(), "test_without_noise_the_answer_is_that_of_the_circuit"),
        (Remembering(), "test_equal_answers_combine_equally_whatever_was_combined_before"),
        (Flat(), "test_an_answer_has_the_shape_of_the_question"),
        (Noting(), "test_notes_have_the_same_names_each_time_and_can_be_kept"),
        (Careless(), "test_numbers_that_are_none_are_refused"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Stage) else "",
)
def test_a_broken_promise_is_seen(stage: Stage, test: str) -> None:
    run = use(stage)
    given = {"circuit": run.circuit} if test in WITH_CIRCUIT else {}
    getattr(SUITE, test)(use(Turning()), **given)
    with pytest.raises(AssertionError):
        getattr(SUITE, test)(run, **given)


WITH_CIRCUIT = {
    "test_equal_arguments_expand_equally",
    "test_symbols_are_kept_and_drawn_ones_come_after_them",
    "test_drawn_parameters_have_names_of_their_own",
    "test_qubits_stay_or_have_a_layout",
    "test_without_noise_the_answer_is_that_of_the_circuit",
}


def test_rounds_without_end_are_seen() -> None:
    with pytest.raises(pytest.fail.Exception, match="more than its 2 rounds"):
        use(Endless()).evaluate(1)


def test_options_that_take_any_name_are_seen() -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        SUITE.test_an_option_that_there_is_not_is_refused_by_name(TakesAnything(), Open())
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        SUITE.test_options_do_not_change(Open())
    with pytest.raises(AssertionError):
        SUITE.test_every_option_is_described(TakesAnything())


def test_a_stage_that_does_not_say_what_it_is_is_seen() -> None:
    with pytest.raises((AssertionError, IndexError)):
        SUITE.test_it_says_what_it_is(WithoutDoc())
