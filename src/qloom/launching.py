"""Starting jobs: what all jobs of a program share is bundled once, then each is created and handed to its executor."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom.config import __version__
from qloom.environments import LOCK
from qloom.errors import InvalidSetting, StorageFailed
from qloom.jobspecs import new_job_id
from qloom.kit.files import write_atomically
from qloom.kit.job_folder import JobFolder
from qloom.storage import MapRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.contracts import Executor
    from qloom.environments.environment import Environment
    from qloom.jobspecs import JobSpec
    from qloom.programs.shipping import Bundle
    from qloom.storage import FolderStore, MapStore


class Launch:
    """Starts jobs of one program, or of one script.

    Attributes:
        template: their specification, without what differs from job to job.
        executor: where they run.
        seed: the one that was asked for; None for a fresh one for each job.
    """

    def __init__(
        self,
        store: FolderStore,
        executor: Executor,
        template: JobSpec,
        bundle: Bundle,
        environment: Environment | None,
        seed: int | None,
    ) -> None:
        self.template = template
        self.executor = executor
        self.seed = seed
        self._store = store
        self._bundle = bundle
        self._environment = environment
        self._last: Path | None = None

    def start(self, arguments: Mapping[str, Any], **changes: Any) -> JobFolder:
        """Create a job and start its first attempt.

        Args:
            arguments: of the program, checked.
            changes: other fields of the specification, such as `job_id` and `seed`.

        Raises:
            Rejected, StorageFailed: nothing was started, and of a folder that cannot be written nothing is left behind.
        """
        fresh: dict[str, Any] = {
            "job_id": new_job_id(),
            "seed": fresh_seed() if self.seed is None else self.seed,
            "created_at": time.time(),
        }
        job = replace(self.template, parameters=dict(arguments), **(fresh | changes))
        inputs = {name: Path(path) for name, path in job.input_data.items()}
        # Jobs of a map may follow each other in one process, and share their source.
        alike = self._last if job.map and not job.sandbox else None
        folder = self._last = self._store.create(job, self._bundle.files, inputs, queued=True, alike=alike)
        if self._environment and self._environment.lock:
            _keep_lock(folder, self._environment)
        self.executor.submit(job, folder, 1)
        return JobFolder(folder)

    def map_record(self, maps: MapStore, name: str, arguments: list[dict[str, Any]]) -> MapRecord:
        """Return the record of a map of that name, or a new one, which is written down before any of its jobs is started.

        The caller holds the name (`MapStore.hold`).

        Raises:
            InvalidSetting: there is another map of that name; the first difference is told.
            CorruptRecord, StorageFailed: it cannot be read or written.
        """
        template = self.template
        record = MapRecord(
            name=name,
            program=template.program,
            source_digest=template.source_digest,
            decides={"devices": template.devices, "pipeline": list(template.pipeline), "seed": self.seed},
            seed=fresh_seed() if self.seed is None else self.seed,
            parameters=arguments,
            jobs=sorted(new_job_id() for _ in arguments),  # those of one millisecond come in any order
            created_at=time.time(),
        )
        known = maps.find(name)
        if known is None:
            maps.write(record)
            return record
        if difference := known.difference(record):
            raise InvalidSetting(f"there is another map {name!r}: {difference}; take another name, or leave it out for a new map")
        return known


def fresh_seed() -> int:
    """Return a seed that nobody asked for.

    >>> 0 <= fresh_seed() < 2**32
    True
    """
    return int.from_bytes(os.urandom(4), "big")


def ran_with(environment: Environment | None) -> dict[str, Any]:
    """Return the fields of a job's specification that say what it runs with; None: what runs this process.

    >>> sorted(ran_with(None))
    ['environment', 'python', 'versions']
    """
    version = ".".join(map(str, sys.version_info[:3])) if environment is None else environment.version
    return {
        "versions": {"python": version, "qloom": __version__},
        "python": str(environment.python) if environment else "",
        "environment": environment.record() if environment else {},
    }


def _keep_lock(folder: Path, environment: Environment) -> None:
    """Write the packages of a job's environment beside its record, so that it can be built again when it is gone."""
    try:
        write_atomically(folder / LOCK, environment.lock.encode(), durable=False)
    except StorageFailed:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
        raise
