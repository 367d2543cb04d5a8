"""Schemas of options, in words."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from qloom.cli.option_table import option_rows, type_text, unset_options


class Inner(BaseModel):
    """How it is done.

    More of it.
    """

    kind: Literal["inner"] = "inner"
    depth: int = Field(1, description="How deep.")


class Outer(BaseModel):
    way: Inner = Field(description="The way.")
    level: float = Field(0.5, gt=0, le=1, description="How much.")


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "integer"),
        (Annotated[int, Field(ge=1)], "integer ≥ 1"),
        (Annotated[float, Field(gt=0, lt=0.75)], "number > 0 and < 0.75"),
        (tuple[float, ...], "[number, ...]"),
        (tuple[int, str], "[integer, string]"),
        (list, "array"),
        (dict[str, bool], "{string: boolean}"),
        (dict, "object"),
        (Literal["a", 1], '"a" | 1'),
        (Literal["a"], '"a"'),
        (float | None, "number | null"),
        (object, "any"),
        (Inner | int, "Inner | integer"),
    ],
)
def test_a_type_is_told_in_the_words_of_json(annotation: Any, text: str) -> None:
    assert type_text(TypeAdapter[Any](annotation).json_schema()) == text


def test_models_inside_have_rows_of_their_own_and_what_tells_them_apart_has_none() -> None:
    assert option_rows(Outer.model_json_schema()) == {
        "Options": [("way", "Inner", "none", "The way."), ("level", "number > 0 and ≤ 1", "0.5", "How much.")],
        "Inner: How it is done.": [("depth", "integer", "1", "How deep.")],
    }


def test_a_model_without_options_has_no_table() -> None:
    class Nothing(BaseModel):
        pass

    assert option_rows(Nothing.model_json_schema()) == option_rows({}) == {}


def test_options_that_have_to_be_given_are_named() -> None:
    assert unset_options(Outer.model_json_schema()) == ["way"]
    assert unset_options(Inner.model_json_schema()) == ["kind", "depth"]
