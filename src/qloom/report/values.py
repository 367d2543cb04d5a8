"""What a report shows, as plain values: nothing here reads a file or asks a job."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qloom.jobspecs import shown_device
from qloom.report.labels import split_unit
from qloom.report.pictures import Pictures
from qloom.report.readable import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

LOG_LINES = 200
"""How many lines of a log's end a report keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptReport:
    """One life of the job's process.

    Attributes:
        number: from 1.
        ended: the state or word it ended with.
        error: why, for people; empty where all went well.
        reason: for one that was interrupted.
        started_at: seconds since 1970, UTC; None where unknown.
        seconds: how long it ran; None where unknown.
    """

    number: int
    ended: str
    error: str = ""
    reason: str = ""
    started_at: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Where a job's time went, in seconds; None where unknown.

    Attributes:
        queue_s: from its creation to its first start.
        running_s: all attempts together.
        quantum_s: from asking a device to its answer, all lanes together.
        classical_s: the rest of the running time.

    >>> Timings(running_s=2.0, quantum_s=1.5).classical_s is None
    True
    """

    queue_s: float | None = None
    running_s: float | None = None
    quantum_s: float | None = None
    classical_s: float | None = None


@dataclass(frozen=True)
class MetricSeries:
    """The values of one metric in the order they were logged.

    Attributes:
        name: as logged, a unit at its end.
        steps: where each value stands, same length as `values`.
        values: may hold NaN and infinities.

    >>> MetricSeries("energy_hartree", (0.0, 1.0), (-1.0, -1.1)).last
    -1.1
    """

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]

    @cached_property
    def points(self) -> npt.NDArray[np.float64]:
        """Step and value, shape (values, 2), float64, by step; what has the same step in the order it was logged."""
        import numpy as np

        points = np.array([self.steps, self.values], dtype=np.float64).T
        steps = points[:, 0]
        return points if bool((steps[1:] >= steps[:-1]).all()) else points[np.argsort(steps, kind="stable")]

    @property
    def last(self) -> float:
        """The value logged last."""
        return self.values[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """Everything that the report of one job shows.

    Attributes:
        job_id, program, state: as `qloom job show` gives them; `reason` for an interrupted job.
        created_at: seconds since 1970, UTC; None where unknown.
        seconds: how long the latest attempt ran.
        parameters: the program's arguments, JSON.
        settings: how it was run (device, executor, seed, ...): name -> text.
        result: what the program returned, JSON; None without a result.
        error, error_type, frames: why it has none.
        metrics: one series for each name.
        attempts: the lives of its process.
        executed, replayed: quantum tasks computed, and answered from the journal in the latest attempt.
        engine: what computed them.
        stages: what each stage of the pipeline did for the last answer.
        timings: where the time went.
        cost_usd, budget_usd: what was spent, and the wall; None for no price, no budget.
        environment: name -> version or fact.
        packages: name -> version of what the program had loaded when it ended; empty where it has not ended, or left no word.
        built_from: what its environment was built from, where one was built for it: `lock_digest`, `requirements`, `packages`.
        pictures: what the program drew.
        log: the last lines of the captured output; `log_left_out` lines came before them.
        problems: what the journal found damaged or lost.

    >>> JobReport(job_id="01j", program="coin", state="COMPLETED").metrics
    ()
    """

    job_id: str
    program: str
    state: str
    reason: str = ""
    created_at: float | None = None
    seconds: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    result: Any = None
    error: str = ""
    error_type: str = ""
    frames: tuple[str, ...] = ()
    metrics: tuple[MetricSeries, ...] = ()
    attempts: tuple[AttemptReport, ...] = ()
    executed: int = 0
    replayed: int = 0
    engine: str = ""
    stages: tuple[Mapping[str, Any], ...] = ()
    timings: Timings = field(default_factory=Timings)
    cost_usd: float | None = None
    budget_usd: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    built_from: Mapping[str, Any] = field(default_factory=dict)
    pictures: Pictures = field(default_factory=Pictures)
    log: tuple[str, ...] = ()
    log_left_out: int = 0
    problems: tuple[str, ...] = ()

    def reference(self, metric: str) -> tuple[str, float] | None:
        """Return the value in the result that a metric should reach, with its word: `exact_hartree` for `energy_hartree`.

        >>> report = JobReport(job_id="1", program="p", state="COMPLETED", result={"exact_hartree": -1.137})
        >>> report.reference("energy_hartree"), report.reference("time_s")
        (('exact', -1.137), None)
        """
        unit = split_unit(metric)[1]
        found = self.result if isinstance(self.result, dict) else {}
        for name, value in found.items():
            words, its_unit = split_unit(str(name))
            if words == "exact" and its_unit == unit and is_number(value):
                return words, float(value)
        return None


def is_number(value: object) -> bool:
    """Return whether a value is a finite real number.

    >>> is_number(1.5), is_number(True), is_number(float("inf"))
    (True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def read_job(
    details: Mapping[str, Any],
    metrics: Iterable[tuple[Any, ...]] = (),
    log: Sequence[str] = (),
    pictures: Pictures | None = None,
) -> JobReport:
    """Return the report's values from what a job says of itself.

    Args:
        details: as `qloom job show --json` gives it.
        metrics: name, value and step (None where it has none) of each, in the order they were logged; what follows is not read.
        log: all captured lines; the last `LOG_LINES` are kept.
        pictures: what the program drew.

    >>> read_job({"job_id": "01j", "program": "coin", "state": "RUNNING"}, log=["hello"]).log
    ('hello',)
    """
    tasks, error = details.get("quantum_tasks") or {}, details.get("error") or {}
    return JobReport(
        job_id=details["job_id"],
        program=details["program"],
        state=str(details["state"]),
        reason=error.get("reason") or "",
        created_at=details.get("created_at"),
        seconds=details.get("seconds"),
        parameters=details.get("parameters") or {},
        settings=_settings(details),
        result=readable(details.get("result")),
        error=error.get("message") or "",
        error_type=error.get("type") or "",
        frames=tuple(error.get("frames") or ()),
        metrics=read_metrics(metrics),
        attempts=tuple(map(_attempt, details.get("attempts") or ())),
        executed=tasks.get("executed") or 0,
        replayed=tasks.get("replayed") or 0,
        engine=details.get("engine") or "",
        stages=tuple(details.get("stages") or ()),
        timings=Timings(**(details.get("timings") or {})),
        cost_usd=details.get("cost_usd"),
        budget_usd=details.get("budget_usd"),
        environment=_environment(details),
        packages=details.get("packages") or {},
        built_from=details.get("environment") or {},
        pictures=pictures or Pictures(),
        log=tuple(log[-LOG_LINES:]),
        log_left_out=max(0, len(log) - LOG_LINES),
        problems=tuple(details.get("problems") or ()),
    )


def read_metrics(metrics: Iterable[tuple[Any, ...]]) -> tuple[MetricSeries, ...]:
    """Return one series for each name; a value logged without a step stands where it was logged, counted from 0.

    >>> [series.name for series in read_metrics([("b", 1.0, None), ("a", 2.0, 0)])]
    ['b', 'a']
    """
    found: dict[str, tuple[list[float], list[float]]] = {}
    for metric in metrics:  # thousands: as little as possible for each
        name, value, step = metric[:3]
        series = found.get(name)
        if series is None:
            series = found[name] = ([], [])
        steps, values = series
        steps.append(len(steps) if step is None else step)
        values.append(value)
    return tuple(
        MetricSeries(name, tuple(map(float, steps)), tuple(map(float, values))) for name, (steps, values) in found.items()
    )


def _environment(details: Mapping[str, Any]) -> dict[str, str]:
    engines = [f"{engine['name']} {engine['version']}, threads: {engine['threads']}" for engine in details.get("engines") or ()]
    found = {**(details.get("versions") or {}), "platform": details.get("platform"), "engine": "; ".join(engines)}
    return {name: str(value) for name, value in found.items() if value}


def _settings(details: Mapping[str, Any]) -> dict[str, str]:
    devices = {name: shown_device(device) for name, device in (details.get("devices") or {}).items()}
    several = ", ".join(f"{name} = {device}" for name, device in devices.items())
    shown = {
        "device": next(iter(devices.values())) if len(devices) == 1 else several,
        "executor": details.get("executor"),
        "entry point": details.get("entry_point") if details.get("kind") == "script" else None,
        "interpreter": details.get("python"),
        "pipeline": ", ".join(step if isinstance(step, str) else json.dumps(step) for step in details.get("pipeline") or ()),
        "seed": details.get("seed"),
        **{f"limit: {name}": value for name, value in (details.get("resources") or {}).items()},
        "specification digest": details.get("digest"),
    }
    return {name: str(value) for name, value in shown.items() if value not in (None, "")}


def _attempt(document: Mapping[str, Any]) -> AttemptReport:
    return AttemptReport(
        number=document["attempt"],
        ended=str(document["ended"]),
        error=document.get("error") or "",
        reason=document.get("reason") or "",
        started_at=document.get("started_at"),
        seconds=document.get("seconds"),
    )
