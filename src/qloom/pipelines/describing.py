"""What a stage says of itself, for catalogues."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

from qloom.contracts.stage import COUNTS, VALUES, Stage, StageCost

_METHODS = ("expand", "combine")
_HAS = ("model_validate", "model_fields", "model_json_schema")
"""What tells a pydantic model."""


class StageDescription(NamedTuple):
    """A stage, as a catalogue shows it.

    Attributes:
        options: JSON Schema of its options.
        cost: what it multiplies with its default options; None where an option has no default.
        max_rounds: the most rounds.
        kinds: what it gives: `values`, and `counts` where it can.
        joins_branches: whether it stands behind parallel branches instead of in a chain.
        licence: what it says of licences besides its distribution's, such as that of a library that it drives.
    """

    options: dict[str, Any]
    cost: StageCost | None
    max_rounds: int
    kinds: tuple[str, ...]
    joins_branches: bool
    licence: str


def stage_problem(name: str, stage: object) -> str:
    """Return why an object is no stage that can be used under a name; empty where it is one.

    Args:
        name: what it is registered under.
        stage: what the registered class or function gave.

    >>> stage_problem("zne", object())
    'it lacks name, options_type, expand, combine; derive it from qloom.contracts.Stage'
    """
    lacks = [part for part in ("name", "options_type", *_METHODS) if not hasattr(stage, part)]
    lacks += [part for part in _METHODS if getattr(type(stage), part, None) is getattr(Stage, part)]
    if lacks:
        return f"it lacks {', '.join(lacks)}; derive it from qloom.contracts.Stage"
    if not isinstance(stage, Stage):
        return "it fills only a part of the contract; derive it from qloom.contracts.Stage"
    if stage.name != name:
        return f"it calls itself {stage.name!r}; register it under that name, or change its attribute `name`"
    if not all(hasattr(stage.options_type, part) for part in _HAS):
        return f"its options_type is {stage.options_type!r}, not a pydantic model"
    return ""


def describe_stage(stage: Stage) -> StageDescription:
    """Return what a stage says of itself.

    Raises:
        Exception: whatever the stage's `cost` or the schema of its options raise.
    """
    return StageDescription(
        # What JSON has no number for, such as an infinite default, is text.
        options=json.loads(json.dumps(stage.options_type.model_json_schema()), parse_constant=str),
        cost=_cost(stage),
        max_rounds=stage.max_rounds,
        kinds=(VALUES, COUNTS) if stage.gives_counts else (VALUES,),
        joins_branches=stage.joins_branches,
        licence=str(getattr(stage, "licence", "")),
    )


def _cost(stage: Stage) -> StageCost | None:
    try:
        options = stage.options_type()
    except ValueError:  # pydantic's own error is one: an option has no default
        return None
    cost = StageCost(*stage.cost(options))
    if not all(math.isfinite(factor) and factor > 0 for factor in cost):
        raise ValueError(f"its cost is {tuple(cost)}, and all of these have to be above 0")
    return cost
