"""Stages: one step round a device, in two pure halves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qloom.circuits import Circuit
    from qloom.results import Result
    from qloom.specs import DeviceSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """What a stage may know: the device's spec, a seed of its own, and its calibration where it asked for one."""

    spec: DeviceSpec
    seed: int
    calibration: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Expansion:
    """Circuits to run instead of one, and how to put their answers together (JSON, so that it can be recorded)."""

    circuits: tuple[Circuit, ...]
    recipe: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A stage's answer: values and standard errors, shape (sets, observables) as nested lists."""

    values: tuple[tuple[float, ...], ...]
    standard_errors: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class More:
    """An adaptive stage's wish for another round."""

    circuits: tuple[Circuit, ...]
    recipe: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Stage(Protocol):
    """One step of a pipeline. `expand` and `combine` are pure: equal arguments give equal answers, no I/O.

    The expanded circuits run verbatim: a device whose compiler would undo them is refused. The cost of expansion is paid
    once per prepared structure, since parameters stay symbolic in it.
    """

    @property
    def name(self) -> str:
        """The name it is registered under."""
        ...

    def expand(self, structure: Circuit, options: Mapping[str, Any], context: StageContext) -> Expansion:
        """Return the circuits to run for one circuit; parameters stay symbolic."""
        ...

    def combine(self, recipe: Mapping[str, Any], results: Sequence[Result]) -> Estimate | More:
        """Return the answer from the expanded circuits' results, or ask for another round (at most `max_rounds`)."""
        ...
