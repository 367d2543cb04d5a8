"""Pipelines as values: what a user writes, read once, and the one form of it that is recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qloom.errors import InvalidSetting, UnknownName

POLICIES = ("fail", "skip", "retry")
"""What happens where a stage fails: the call fails; the unmitigated value is taken, with a warning; the round is asked again."""
MOST_STAGES = 32
MOST_NESTING = 8
_RESERVED = ("stage", "on_error")
_BRANCH_FIELDS = ("parallel", "combine")
_COMBINE = "average"


class StageCall(NamedTuple):
    """One stage of a pipeline with its options.

    Attributes:
        stage: the name it is registered under.
        options: option -> value, JSON, as they were given; the stage's own model checks them.
        on_error: one of `POLICIES`.
    """

    stage: str
    options: Mapping[str, Any]
    on_error: str = POLICIES[0]

    def to_json(self) -> str | dict[str, Any]:
        """Return the shortest form that reads back equal."""
        if not self.options and self.on_error == POLICIES[0]:
            return self.stage
        policy = {} if self.on_error == POLICIES[0] else {"on_error": self.on_error}
        return {"stage": self.stage, **policy, **self.options}


class Branches(NamedTuple):
    """Chains that stand side by side, and the stage that makes one answer of theirs."""

    parallel: tuple[Chain, ...]
    combine: StageCall

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"parallel": [chain_to_json(chain) for chain in self.parallel], "combine": self.combine.to_json()}


Chain = tuple[StageCall | Branches, ...]
"""Stages from the device outward."""


def read_pipeline(given: object) -> Chain:
    """Return a pipeline: stages from the device outward.

    Args:
        given: a list of names, of objects `{"stage": name, option: value, ...}`, in short `{name: {option: value, ...}}`, and of
            `{"parallel": [pipeline, ...], "combine": stage}`; or such a list as JSON text; or names with commas between them;
            or one such object. `mitiq:pec` is stage `mitiq` with the option `technique="pec"`.

    Raises:
        InvalidSetting: none of these; what and where is in the message.
        UnknownName: a field of an object beside the ones named above, or a policy that there is not.

    >>> read_pipeline("ddd, zne")
    (StageCall(stage='ddd', options={}, on_error='fail'), StageCall(stage='zne', options={}, on_error='fail'))
    >>> chain_to_json(read_pipeline([{"stage": "zne", "scales": [1, 3]}, {"parallel": [["ddd"], []], "combine": "average"}]))
    [{'stage': 'zne', 'scales': [1, 3]}, {'parallel': [['ddd'], []], 'combine': 'average'}]
    """
    given = _from_text(given) if isinstance(given, str) else [given] if isinstance(given, Mapping) else given
    chain = _chain(given, "pipeline", 0)
    if (count := len(list(calls_of(chain)))) > MOST_STAGES:
        raise InvalidSetting(f"the pipeline has {count} stages, the limit is {MOST_STAGES}")
    return chain


def chain_to_json(chain: Chain) -> list[Any]:
    """Return a pipeline as JSON, as `read_pipeline` reads it."""
    return [step.to_json() for step in chain]


def calls_of(chain: Chain) -> list[StageCall]:
    """Return every stage of a pipeline, from the device outward, branches one after the other.

    >>> [call.stage for call in calls_of(read_pipeline(["ddd", {"parallel": [["zne"], []]}]))]
    ['ddd', 'zne', 'average']
    """
    found: list[StageCall] = []
    for step in chain:
        if isinstance(step, StageCall):
            found.append(step)
        else:
            found += [call for branch in step.parallel for call in calls_of(branch)]
            found.append(step.combine)
    return found


def with_options(chain: Chain, changes: Mapping[str, Mapping[str, Any]]) -> Chain:
    """Return a pipeline whose stages have further options, by the name of the stage; all stages of a name get them.

    Raises:
        UnknownName: the pipeline has no such stage.
        InvalidSetting: no mapping of options.

    >>> chain_to_json(with_options(read_pipeline("ddd,zne"), {"zne": {"fit": "linear"}}))
    ['ddd', {'stage': 'zne', 'fit': 'linear'}]
    """
    known = sorted({call.stage for call in calls_of(chain)})
    for name, options in changes.items():
        if name not in known:
            raise UnknownName.among("stage in this pipeline", name, known)
        if not isinstance(options, Mapping):
            raise InvalidSetting(f"stage_options: the options of stage {name} must be a mapping, got {options!r}")
    return _changed(chain, changes)


def _changed(chain: Chain, changes: Mapping[str, Mapping[str, Any]]) -> Chain:
    def change(call: StageCall) -> StageCall:
        more = changes.get(call.stage)
        return call if more is None else _call({**_as_object(call), **more}, f"stage_options of {call.stage}")

    return tuple(
        change(step)
        if isinstance(step, StageCall)
        else Branches(tuple(_changed(branch, changes) for branch in step.parallel), change(step.combine))
        for step in chain
    )


def _as_object(call: StageCall) -> dict[str, Any]:
    return {"stage": call.stage, "on_error": call.on_error, **call.options}


def _from_text(text: str) -> object:
    if not text.lstrip().startswith(("[", "{")):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        found: object = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidSetting(
            f'pipeline is no JSON ({error.msg}, {where}); write it as \'["ddd", "zne"]\' or as ddd,zne'
        ) from error
    return found if isinstance(found, list) else [found]


def _chain(given: object, where: str, depth: int) -> Chain:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InvalidSetting(f"{where} must be a list of stages, such as ['ddd', 'zne'], got {given!r}")
    if depth > MOST_NESTING:
        raise InvalidSetting(f"{where}: branches inside branches, {depth} deep; the limit is {MOST_NESTING}")
    return tuple(_step(step, f"{where}[{position}]", depth) for position, step in enumerate(given))


def _step(given: object, where: str, depth: int) -> StageCall | Branches:
    if isinstance(given, StageCall | Branches):
        return given
    if isinstance(given, Mapping) and "parallel" in given:
        return _branches(given, where, depth)
    return _call(given, where)


def _branches(given: Mapping[Any, Any], where: str, depth: int) -> Branches:
    for name in given:
        if name not in _BRANCH_FIELDS:
            raise UnknownName.among(f"field of {where}", str(name), _BRANCH_FIELDS)
    branches = given["parallel"]
    if isinstance(branches, str) or not isinstance(branches, Sequence) or not branches:
        raise InvalidSetting(f"{where}: parallel must be a list of pipelines, such as [['ddd'], ['zne']], got {branches!r}")
    chains = tuple(_chain(branch, f"{where}.parallel[{number}]", depth + 1) for number, branch in enumerate(branches))
    return Branches(chains, _call(given.get("combine", _COMBINE), f"{where}.combine"))


def _call(given: object, where: str) -> StageCall:
    if isinstance(given, str):
        given = {"stage": given}
    elif isinstance(given, Mapping) and len(given) == 1 and isinstance(options := next(iter(given.values())), Mapping):
        given = {**options, "stage": next(iter(given))}
    if not isinstance(given, Mapping) or not isinstance(name := given.get("stage"), str) or not name:
        raise InvalidSetting(
            f"{where} must be a stage's name or an object such as {{'stage': 'zne', 'scales': [1, 3]}}, got {given!r}"
        )
    policy = given.get("on_error", POLICIES[0])
    if policy not in POLICIES:
        raise UnknownName.among(f"on_error of {where}", str(policy), POLICIES)
    options = {str(option): value for option, value in given.items() if option not in _RESERVED}
    stage, _, technique = name.partition(":")
    if technique:
        options = {"technique": technique, **options}
    _check_json(options, where)
    return StageCall(stage, options, policy)


def _check_json(options: Mapping[str, Any], where: str) -> None:
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidSetting(f"{where}: options of a stage are JSON values, since they are recorded ({error})") from error
