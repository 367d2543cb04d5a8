"""Jobs as values: states, the specification of one run, where it stands."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from qloom.errors import InvalidSetting
from qloom.limits import Resources


class JobState(StrEnum):
    """States of a job: Amazon Braket's, and INTERRUPTED (no live process, resumable)."""

    CREATED = "CREATED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    INTERRUPTED = "INTERRUPTED"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens unless somebody resumes the job."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED)

    @property
    def alive(self) -> bool:
        """Whether a process should be behind it: where none is, the job is INTERRUPTED."""
        return self in (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING)


INTERRUPTION_REASONS = ("killed", "lost", "suspended", "walltime")

SHOWN_DEVICE = 120
"""So many characters of a device's name are shown to people."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_job_id() -> str:
    """Return a random id that sorts by creation time: a ULID in lower case, 26 characters.

    Source: https://github.com/ulid/spec (48 bits of milliseconds, 80 random bits, Crockford's base 32).

    >>> first, second = new_job_id(), (time.sleep(0.002), new_job_id())[1]
    >>> len(first), first < second
    (26, True)
    """
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def shown_device(name: str) -> str:
    """Return a device's name for people: cut where options hold a document, such as a noise model.

    >>> shown_device("sim:engine=qulacs"), len(shown_device("sim:noise=" + "x" * 10_000))
    ('sim:engine=qulacs', 121)
    """
    return name if len(name) <= SHOWN_DEVICE else f"{name[:SHOWN_DEVICE]}…"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One run of a program, as written to `job.json` when the job is created; it never changes.

    Attributes:
        job_id: random sortable id.
        program: the program's name, for people.
        entry_point: `module:function` inside the shipped source.
        source_digest: digest of the shipped source.
        parameters: the program's arguments, JSON.
        devices: name in the program -> device name; `default` is `ctx.device`.
        executor: where the classical part runs.
        pipeline: stages round every device, from the device outward: names, or objects with options.
        seed: every random number of the job comes from it.
        budget_usd: None for no budget.
        resources: limits.
        input_data: channel name -> folder or file that was copied in.
        detach: whether it goes on when whoever submitted it is gone.
        sandbox: whether its program runs in a sandbox, or not at all.
        kind: `program` (a function with a context) or `script` (a plain Braket algorithm script, which knows nothing of qloom).
        python: the interpreter it runs in; empty for the one that runs qloom.
        environment: what that interpreter was built from: `lock_digest`, `requirements`, `packages`; empty where nothing was.
        map: name of the map it belongs to; empty for none.
        sealed: names of the stages in its pipeline whose code stays with the host: its devices are then in a server outside of
            the program's process.
        fresh_process: whether its program gets a process that has run no other; an executor may always give it one.
        created_at: seconds since 1970, UTC.
        versions: `python`, `qloom`.
    """

    job_id: str
    program: str
    entry_point: str
    source_digest: str
    parameters: dict[str, Any] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=lambda: {"default": "sim"})
    executor: str = "local"
    pipeline: tuple[Any, ...] = ()
    seed: int = 0
    budget_usd: float | None = None
    resources: Resources = field(default_factory=Resources)
    input_data: dict[str, str] = field(default_factory=dict)
    detach: bool = False
    created_at: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    sandbox: bool = False
    kind: str = "program"
    python: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    map: str = ""
    fresh_process: bool = True
    sealed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the specification as JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        resources = {name: getattr(self.resources, name) for name in self.resources.__slots__}
        return values | {"format": 1, "pipeline": list(self.pipeline), "sealed": list(self.sealed), "resources": resources}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> JobSpec:
        """Return the specification that `to_json` wrote.

        Raises:
            InvalidSetting: written by a newer qloom.
        """
        values = dict(document)
        if (version := values.pop("format", None)) != 1:
            raise InvalidSetting(f"job record has format {version!r}, this qloom reads format 1; use the qloom that wrote it")
        values["pipeline"] = tuple(values["pipeline"])
        values["sealed"] = tuple(values.get("sealed", ()))
        values["resources"] = Resources.from_json(values["resources"])
        return cls(**values)

    def digest(self) -> str:
        """Return a digest of everything that decides the result: the source, arguments, devices, pipeline and seed."""
        decides = {
            name: getattr(self, name) for name in ("entry_point", "source_digest", "parameters", "devices", "pipeline", "seed")
        }
        text = json.dumps(decides, sort_keys=True, separators=(",", ":"))
        import hashlib  # late: it loads OpenSSL, 9 ms that every process of a job would pay

        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """Where a job stands, as an observer works it out from the job's folder and lease.

    Attributes:
        state: the state.
        attempt: number of the latest attempt, from 1; 0 before the first.
        reason: for INTERRUPTED, one of `INTERRUPTION_REASONS`.
        error: for FAILED, INTERRUPTED and CANCELLED: what happened, for people.
        error_type: the exception's name, where the program raised or a qloom error ended it.
        frames: the user's own frames, outermost first.
        started_at, ended_at: of the latest attempt, seconds since 1970, UTC.
        pid: of the latest attempt's supervisor.
        host: where it ran.
    """

    state: JobState
    attempt: int = 0
    reason: str = ""
    error: str = ""
    error_type: str = ""
    frames: tuple[str, ...] = ()
    started_at: float | None = None
    ended_at: float | None = None
    pid: int | None = None
    host: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the status as JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"frames": list(self.frames)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> JobStatus:
        """Return the status that `to_json` wrote."""
        return cls(**(document | {"state": JobState(document["state"]), "frames": tuple(document["frames"])}))
