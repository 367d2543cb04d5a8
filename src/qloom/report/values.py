"""What a report shows, as plain values: nothing here reads a file or asks a job."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qloom.report.labels import split_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LOG_LINES = 200
"""How many lines of a log's end a report keeps."""
PACKAGES = ("numpy", "qulacs", "pennylane-lightning", "pennylane", "qiskit", "qiskit-aer", "cirq-core", "scipy", "openqasm3")
"""Packages whose versions explain a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptReport:
    """One life of the job's process.

    Attributes:
        number: from 1.
        ended: the state or word it ended with.
        error: why, for people; empty where all went well.
    """

    number: int
    ended: str
    error: str = ""


@dataclass(frozen=True, slots=True)
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
        environment: name -> version or fact.
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
    environment: Mapping[str, str] = field(default_factory=dict)
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
    metrics: Iterable[Mapping[str, Any]] = (),
    log: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> JobReport:
    """Return the report's values from what a job says of itself.

    Args:
        details: as `qloom job show --json` gives it.
        metrics: as `qloom job metrics --json` gives it: `name`, `value`, `step`.
        log: all captured lines; the last `LOG_LINES` are kept.
        environment: name -> version; that of the job's own record comes first.

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
        result=details.get("result"),
        error=error.get("message") or "",
        error_type=error.get("type") or "",
        frames=tuple(error.get("frames") or ()),
        metrics=read_metrics(metrics),
        attempts=tuple(map(_attempt, details.get("attempts") or ())),
        executed=tasks.get("executed") or 0,
        replayed=tasks.get("replayed") or 0,
        engine=details.get("engine") or "",
        environment={**(details.get("versions") or {}), **(environment or {})},
        log=tuple(log[-LOG_LINES:]),
        log_left_out=max(0, len(log) - LOG_LINES),
        problems=tuple(details.get("problems") or ()),
    )


def read_metrics(metrics: Iterable[Mapping[str, Any]]) -> tuple[MetricSeries, ...]:
    """Return one series for each name; a value logged without a step stands where it was logged, counted from 0.

    >>> [series.name for series in read_metrics([{"name": "b", "value": 1.0}, {"name": "a", "value": 2.0}])]
    ['b', 'a']
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for metric in metrics:
        points = found.setdefault(metric["name"], [])
        step = metric.get("step")
        points.append((float(len(points) if step is None else step), float(metric["value"])))
    return tuple(
        MetricSeries(name, tuple(step for step, _ in points), tuple(value for _, value in points))
        for name, points in found.items()
    )


def installed_packages(names: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return name -> version of those packages that are installed here.

    >>> "numpy" in installed_packages()
    True
    """
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _settings(details: Mapping[str, Any]) -> dict[str, str]:
    devices = details.get("devices") or {}
    several = ", ".join(f"{name} = {device}" for name, device in devices.items())
    shown = {
        "device": next(iter(devices.values())) if len(devices) == 1 else several,
        "executor": details.get("executor"),
        "pipeline": ", ".join(details.get("pipeline") or ()),
        "seed": details.get("seed"),
        **{f"limit: {name}": value for name, value in (details.get("resources") or {}).items()},
        "specification digest": details.get("digest"),
    }
    return {name: str(value) for name, value in shown.items() if value not in (None, "")}


def _attempt(document: Mapping[str, Any]) -> AttemptReport:
    return AttemptReport(number=document["attempt"], ended=str(document["ended"]), error=document.get("error") or "")
