"""Stages opened for use: found by name, their options read by their own model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.contracts.stage import Chooser
from qloom.errors import InvalidSetting, UnknownName
from qloom.pipelines.reading import Branches, StageCall, calls_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qloom.contracts.stage import Stage
    from qloom.pipelines.reading import Chain


class Opened(NamedTuple):
    """A stage, ready to be used, with its options as its model has read them."""

    stage: Stage
    options: Any


def opened(call: StageCall, stage: Stage) -> Opened:
    """Return a stage with the options of a call.

    Raises:
        InvalidSetting: an option has a value that it cannot have; stage and option are named.
        UnknownName: the stage has no such option, with the nearest ones.
    """
    return Opened(stage, read_options(call.stage, stage.options_type, call.options))


def read_options(name: str, model: type[Any], options: Mapping[str, Any]) -> Any:
    """Return a stage's options as its model reads them.

    Raises:
        InvalidSetting, UnknownName: as `opened`.
    """
    known = list(model.model_fields)
    for option in options:
        if option not in known:
            raise UnknownName.among(f"option of stage {name}", option, known)
    try:
        return model.model_validate(dict(options))
    except ValueError as error:  # pydantic's own error is one
        raise InvalidSetting(f"stage {name}: {_told(error)}") from error


def check_chain(chain: Chain, open_stage: Callable[[str], Stage]) -> None:
    """Refuse a pipeline that cannot work, whatever the circuit.

    Args:
        chain: the pipeline.
        open_stage: name -> stage.

    Raises:
        UnknownName: no such stage or option.
        InvalidSetting: an option's value, or a stage where it cannot stand.
        MissingExtra: a package that a stage needs is not installed.
    """
    check_choosers(chain, open_stage)
    for step in chain:
        if isinstance(step, Branches):
            for branch in step.parallel:
                check_chain(branch, open_stage)
            _check(step.combine, open_stage, joins=True)
        else:
            _check(step, open_stage, joins=False)


def check_choosers(chain: Chain, open_stage: Callable[[str], Stage]) -> StageCall | None:
    """Return the stage that picks others to stand in its place; None where there is none.

    Raises:
        InvalidSetting: it stands in branches, beside another of its kind, or beside stages that it does not weigh.
    """
    found = [call for call in calls_of(chain) if isinstance(open_stage(call.stage), Chooser)]
    if not found:
        return None
    call, name = found[0], found[0].stage
    if not any(step is call for step in chain):
        raise InvalidSetting(f"stage {name} picks the stages round a device and cannot stand in branches; put it in the chain")
    stage = open_stage(name)
    beside = stage.beside if isinstance(stage, Chooser) else frozenset()
    if others := [other.stage for other in calls_of(chain) if other is not call and other.stage not in beside]:
        raise InvalidSetting(
            f"stage {name} picks the stages by itself and cannot weigh {', '.join(others)} beside it; leave one of them out"
            f" (beside it may stand {', '.join(sorted(beside)) or 'nothing'})"
        )
    return call


def check_joins(call: StageCall, stage: Stage, *, joins: bool) -> None:
    """Refuse a stage that stands where it cannot: one that joins branches in a chain, or another one behind branches.

    Raises:
        InvalidSetting: as said.
    """
    if stage.joins_branches and not joins:
        form = f'{{"parallel": [...], "combine": "{call.stage}"}}'
        raise InvalidSetting(f"stage {call.stage} joins branches and cannot stand in a chain; write {form}")
    if joins and not stage.joins_branches:
        raise InvalidSetting(f"stage {call.stage} cannot join branches; take one that does, such as average")


def _check(call: StageCall, open_stage: Callable[[str], Stage], *, joins: bool) -> None:
    stage = open_stage(call.stage)
    opened(call, stage)
    check_joins(call, stage, joins=joins)


def _told(error: ValueError) -> str:
    details = getattr(error, "errors", None)
    if details is None:
        return str(error)
    return "; ".join(_one(found) for found in details(include_url=False))


def _one(found: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in found["loc"])
    said = found["msg"].removeprefix("Value error, ")
    # What is wrong with several options together names them itself.
    return f"option {where}: {said[:1].lower()}{said[1:]}, got {found['input']!r:.80}" if where else said
