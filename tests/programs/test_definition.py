import datetime as dt
import enum
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.errors import InvalidParameters, InvalidProgram, InvalidSetting, UnknownName
from qloom.limits import Budget, Resources
from qloom.programs.definition import ProgramDefinition, RunOptions, inside_job

Args = tuple[Any, ...]


class Ansatz(enum.Enum):
    RY = "ry"
    UCC = "ucc"


@dataclass
class Layer:
    depth: int
    angle_rad: float = 0.5


class Molecule(pydantic.BaseModel):
    name: str
    charges: list[int] = []


def h2_vqe(ctx: Any, bond_angstrom: float = 0.735, max_iterations: int = 200) -> dict[str, float]:
    """Find the ground state of H2."""
    return {"energy_hartree": bond_angstrom * max_iterations}


def rich(
    ctx: Any,
    layers: list[Layer],
    kind: Ansatz = Ansatz.RY,
    molecule: Molecule | None = None,
    mode: Literal["fast", "1"] = "fast",
    pair: tuple[int, float] = (1, 2.0),
) -> None: ...


H2 = ProgramDefinition(h2_vqe)
RICH = ProgramDefinition(rich)


def refusal(program: ProgramDefinition, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InvalidParameters) as caught:
        program.check_arguments(args, kwargs)
    return str(caught.value)


# ---- what a program is


def test_a_program_keeps_its_functions_name_doc_and_module() -> None:
    assert (H2.name, H2.__doc__, H2.module) == ("h2_vqe", "Find the ground state of H2.", __name__)
    assert H2.function is h2_vqe


def test_a_program_without_a_context_is_told_the_line_to_write() -> None:
    def vqe(bond: float = 0.7, *, steps: int = 1) -> None: ...

    with pytest.raises(InvalidProgram, match=r"write `def vqe\(ctx: qloom.Context, bond: float = 0.7, \*, steps: int = 1\):`"):
        ProgramDefinition(vqe)


@pytest.mark.parametrize("name", ["star", "stars", "positional", "generator"])
def test_functions_without_a_schema_are_refused(name: str) -> None:
    def star(ctx: Any, *values: int) -> None: ...
    def stars(ctx: Any, **values: int) -> None: ...
    def positional(ctx: Any, a: int, /) -> None: ...
    def generator(ctx: Any) -> Any:
        yield 1

    with pytest.raises(InvalidProgram, match=name):
        ProgramDefinition(locals()[name])


@pytest.mark.parametrize("thing", [lambda ctx: 1, int, "vqe"])
def test_only_named_functions_are_programs(thing: Any) -> None:
    with pytest.raises(InvalidProgram, match="def"):
        ProgramDefinition(thing)


def test_an_annotation_written_as_text_is_read_and_an_unknown_one_is_named() -> None:
    def good(ctx: "Nobody.Context", layer: "Layer") -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def bad(ctx: Any, layer: "Lyer") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert ProgramDefinition(good).check_arguments((Layer(1),), {}) == {"layer": {"depth": 1, "angle_rad": 0.5}}
    with pytest.raises(InvalidProgram, match=r"'Lyer' of parameter layer.*not defined"):
        ProgramDefinition(bad).check_arguments((1,), {})


def test_async_functions_are_programs() -> None:
    async def waits(ctx: Any) -> None: ...

    assert ProgramDefinition(waits).is_async
    assert not H2.is_async


# ---- arguments


def test_defaults_are_filled_in_and_integers_become_floats() -> None:
    assert H2.check_arguments((1,), {}) == {"bond_angstrom": 1.0, "max_iterations": 200}
    assert isinstance(H2.check_arguments((1,), {})["bond_angstrom"], float)


def test_everything_wrong_with_a_call_is_said_at_once() -> None:
    assert refusal(H2, bond_angstrom=math.nan, max_iteration=3) == (
        "h2_vqe: bond_angstrom must be a finite number, got nan; max_iteration is no parameter, did you mean 'max_iterations'?"
    )


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        (("3",), {}, "bond_angstrom must be a number, got '3'"),
        ((True,), {}, "bond_angstrom must be a number, got True"),
        ((math.inf,), {}, "must be a finite number, got inf"),
        ((10**400,), {}, "must be a finite number"),
        ((), {"max_iterations": 3.0}, "max_iterations must be an integer, got 3.0"),
        ((1, 2, 3), {}, "takes 2 arguments by position, got 3"),
        ((1,), {"bond_angstrom": 2}, "bond_angstrom is given twice"),
        ((), {"zzz": 1}, "zzz is no parameter; h2_vqe has bond_angstrom, max_iterations"),
        ((None,), {}, "bond_angstrom must be a number, got None"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(args: Args, kwargs: dict[str, Any], said: str) -> None:
    assert said in refusal(H2, *args, **kwargs)


def test_a_missing_argument_is_named_with_what_it_should_be() -> None:
    assert "layers is missing (list[" in refusal(RICH)


def test_arguments_arrive_as_the_types_they_are_annotated_with() -> None:
    document = RICH.check_arguments((), {"layers": [Layer(2)], "kind": "ucc", "molecule": Molecule(name="H2"), "pair": [3, 4]})
    assert document["layers"] == [{"depth": 2, "angle_rad": 0.5}]
    assert RICH.decode_arguments(document) == {
        "layers": [Layer(2)],
        "kind": Ansatz.UCC,
        "molecule": Molecule(name="H2"),
        "mode": "fast",
        "pair": (3, 4.0),
    }


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"layers": [{"depth": "3"}]}, "layers[0].depth must be a valid integer, got '3'"),
        ({"layers": [Layer(1, math.nan)]}, "layers[0]['angle_rad'] must be a finite number, got nan"),
        ({"layers": [], "kind": "uccsd"}, "kind must be 'ry' or 'ucc', got 'uccsd'"),
        ({"layers": object()}, "layers must be list["),
        ({"layers": [], "pair": (1, 2, 3)}, "pair"),
    ],
)
def test_the_place_inside_a_compound_argument_is_named(kwargs: dict[str, Any], said: str) -> None:
    assert said in refusal(RICH, **kwargs)


def test_other_types_with_a_json_form_travel(tmp_path: Path) -> None:
    def typed(ctx: Any, where: Path, when: dt.date, seen: set[int], settings: dict[str, int]) -> None: ...

    program = ProgramDefinition(typed)
    document = program.check_arguments((tmp_path, dt.date(2026, 1, 2), {3}, {"depth": 1}), {})
    assert document == {"where": str(tmp_path), "when": "2026-01-02", "seen": [3], "settings": {"depth": 1}}
    assert program.decode_arguments(document)["where"] == tmp_path
    assert program.parse_arguments({"where": "a/b", "when": "2026-01-02", "seen": "[3]", "settings": "{}"})["where"] == "a/b"


def test_numpy_numbers_and_arrays_are_numbers_and_lists() -> None:
    def scan(ctx: Any, bonds: list[float], steps: int, loose=None) -> None: ...  # type: ignore[no-untyped-def]

    document = ProgramDefinition(scan).check_arguments((np.array([0.5, 1.0]), np.int64(3)), {"loose": np.arange(2)})
    assert document == {"bonds": [0.5, 1.0], "steps": 3, "loose": [0, 1]}
    assert type(document["steps"]) is int


def test_a_parameter_without_annotation_is_as_its_default() -> None:
    def loose(ctx, steps=3, what=None): ...  # type: ignore[no-untyped-def]

    program = ProgramDefinition(loose)
    assert program.check_arguments((4,), {"what": {"a": (1, None)}}) == {"steps": 4, "what": {"a": [1, None]}}
    assert "steps must be an integer (as its default is; annotate the parameter to allow others)" in refusal(program, 0.5)
    assert "what must be a JSON value" in refusal(program, what=object())


def test_a_default_that_does_not_fit_its_annotation_stands_when_left_out() -> None:
    def sloppy(ctx: Any, bond: float = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    program = ProgramDefinition(sloppy)
    assert program.check_arguments((), {}) == program.check_arguments((None,), {}) == {}
    assert program.decode_arguments({}) == {}


def test_an_annotation_without_json_is_an_error_of_the_program() -> None:
    def bad(ctx: Any, stream: np.ufunc) -> None: ...

    with pytest.raises(InvalidProgram, match=r"stream is annotated ufunc, which cannot be sent as JSON"):
        ProgramDefinition(bad).check_arguments((1,), {})


def test_a_value_that_contains_itself_is_refused() -> None:
    def loose(ctx, what=None): ...  # type: ignore[no-untyped-def]

    endless: list[Any] = []
    endless.append(endless)
    assert "what is nested too deeply" in refusal(ProgramDefinition(loose), endless)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers())
def test_what_was_checked_is_decoded_to_the_same_values(bond: float, steps: int) -> None:
    document = H2.check_arguments((bond,), {"max_iterations": steps})
    assert H2.decode_arguments(document) == {"bond_angstrom": bond, "max_iterations": steps}


def test_a_stored_document_that_no_longer_fits_is_refused() -> None:
    with pytest.raises(InvalidParameters, match=r"bond_angstrom must be a number.*bond is no parameter"):
        H2.decode_arguments({"bond_angstrom": "x", "bond": 1})


# ---- text from the command line


def test_texts_are_read_by_annotation() -> None:
    texts = {"layers": '[{"depth": 2}]', "kind": "ucc", "molecule": '{"name": "H2"}', "mode": "1", "pair": "[1, 2]"}
    assert RICH.parse_arguments(texts) == {
        "layers": [{"depth": 2, "angle_rad": 0.5}],
        "kind": "ucc",
        "molecule": {"name": "H2", "charges": []},
        "mode": "1",
        "pair": [1, 2.0],
    }


@pytest.mark.parametrize(("text", "value"), [("true", True), ("Yes", True), ("0", False), ("off", False)])
def test_flags_are_read_from_words(text: str, value: bool) -> None:
    def flagged(ctx: Any, on: bool) -> None: ...

    assert ProgramDefinition(flagged).parse_arguments({"on": text}) == {"on": value}


def test_optional_numbers_may_be_none_and_text_stays_text() -> None:
    def optional(ctx: Any, bond: float | None, name: str, loose=None) -> None: ...  # type: ignore[no-untyped-def]

    program = ProgramDefinition(optional)
    assert program.parse_arguments({"bond": "none", "name": "3"}) == {"bond": None, "name": "3", "loose": None}
    assert program.parse_arguments({"bond": "1e-3", "name": "", "loose": "[1]"})["loose"] == [1]


def test_texts_that_cannot_be_read_are_all_named() -> None:
    with pytest.raises(InvalidParameters) as caught:
        H2.parse_arguments({"bond_angstrom": "nan", "max_iterations": "3.0", "max_iteration": "1"})
    assert str(caught.value) == (
        "h2_vqe: max_iterations must be an integer, got '3.0'; bond_angstrom must be a finite number, got nan; "
        "max_iteration is no parameter, did you mean 'max_iterations'?"
    )


# ---- schema


def test_the_schema_lists_types_defaults_and_what_is_required() -> None:
    schema = RICH.schema()
    assert schema["required"] == ["layers"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["kind"]["default"] == "ry"
    assert schema["$defs"]["Layer"]["properties"]["depth"]["type"] == "integer"
    assert H2.schema()["properties"]["bond_angstrom"] == {"type": "number", "default": 0.735}


# ---- options


def test_options_are_changed_in_a_copy() -> None:
    changed = H2.with_options(device="sim", pipeline=["zne"], seed=np.int64(1)).with_options(resources={"cpus": 2})
    assert (changed.options.device, changed.options.pipeline, changed.options.seed) == ("sim", ("zne",), 1)
    assert changed.options.resources == Resources(cpus=2)
    assert H2.options == RunOptions()
    assert type(changed) is ProgramDefinition


def test_an_unknown_option_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'device'"):
        H2.with_options(devise="sim")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("device", 3, "a name"),
        ("device", " ", "a name"),
        ("devices", {"qpu": 3}, "a dict of names"),
        ("pipeline", 3, "must be a list of stages"),
        ("pipeline", [1], r"pipeline\[0\] must be a stage's name"),
        ("seed", -1, "from 0 up"),
        ("seed", True, "from 0 up"),
        ("seed", 1.5, "from 0 up"),
        ("budget", 5, "Budget"),
        ("resources", 4, "Resources"),
        ("resources", {"cpus": 0}, "cpus"),
        ("detach", 1, "True or False"),
        ("input_data", ["a"], "a dict of names"),
    ],
)
def test_an_option_of_the_wrong_type_is_refused(option: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        H2.with_options(**{option: value})


def test_options_are_copied_so_that_later_changes_do_not_reach_them() -> None:
    devices = {"qpu": "sim"}
    options = RunOptions(devices=devices, budget=Budget(usd=1))
    devices["qpu"] = "other"
    assert options.devices == {"qpu": "sim"}


def test_inside_a_job_is_told_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QLOOM_JOB_ID", raising=False)
    assert not inside_job()
    monkeypatch.setenv("QLOOM_JOB_ID", "x")
    assert inside_job()
