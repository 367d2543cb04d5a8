"""The device server of a job with sealed stages: a process beside the program's, outside of its sandbox.

Started by the supervisor, `python -P -m qloom.entry devices FOLDER ATTEMPT`, with the link at descriptor 3. It ends when the
program closes the link, and with its supervisor.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from qloom import catalogue
from qloom.config import Settings
from qloom.executors.handover import LINK_DESCRIPTOR
from qloom.journal import Journal
from qloom.kit.processes import die_with_parent
from qloom.kit.text_cache import TextCache
from qloom.pipelines import calls_of, read_pipeline
from qloom.programs.pipelined import Pipeline
from qloom.programs.served import DeviceServer, Offer
from qloom.sealing.folder import open_folder, sealed_stages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.kit.job_folder import JobFolder

WRITER = "devices"
"""Who writes in the sealed journal."""
CALIBRATION_BYTES = 64 * 1024 * 1024
"""How much of what sealed pipelines calibrated is kept."""


def serve_devices(folder: JobFolder, attempt: int, options: Mapping[str, Any]) -> int:
    """Serve the program of one attempt until it ends.

    Args:
        folder: the job.
        attempt: number of the attempt.
        options: how the attempt was asked for: `from_scratch`, `accept_divergence`.
    """
    die_with_parent(os.getppid())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    channel = socket.socket(fileno=LINK_DESCRIPTOR)
    channel.set_inheritable(False)
    job = folder.spec()
    journal = Journal.open(
        folder.sealed,
        job_id=job.job_id,
        attempt=attempt,
        seed=job.seed,
        writer=WRITER,
        from_scratch=options.get("from_scratch", False),
        accept_divergence=options.get("accept_divergence", False),
    )
    with channel:
        DeviceServer(channel, _offer(folder), journal, journal).serve()
    for problem in journal.problems:
        logging.getLogger(__name__).warning(problem)
    journal.close()
    return 0


def _offer(folder: JobFolder) -> Offer:
    job = folder.spec()
    known = sealed_stages(open_folder())
    chain = read_pipeline(list(job.pipeline))
    sealed = frozenset(call.stage for call in calls_of(chain)) & set(known)
    kept = Settings.read().home / "sealed" / "calibrations"
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Offer(
        devices=tuple(job.devices.values()),
        open_device=partial(catalogue.create_device, threads=job.resources.cpus),
        pipeline=Pipeline(chain, catalogue.open_stage, TextCache(kept, limit_bytes=CALIBRATION_BYTES)),
        sealed=sealed | set(job.sealed),
        version=json.dumps(sorted((name, known.get(name, "")) for name in sealed)),
    )
