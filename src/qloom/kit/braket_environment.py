"""The environment variables that Amazon Braket gives the script of a hybrid job, for jobs that run anywhere.

Names and the shape of the addresses are those that the Amazon Braket SDK 1.127 reads and makes; nothing is copied to S3.
Source: https://docs.aws.amazon.com/braket/latest/developerguide/braket-jobs-concepts.html (environment variables).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.jobspecs import JobSpec
    from qloom.kit.job_folder import JobFolder

BUCKET = "amazon-braket-local"
"""The bucket that the addresses of jobs outside AWS name; it stands for the job's folder."""

PREFIX = "AMZN_BRAKET_"
RESERVATION = ("AMZN_BRAKET_RESERVATION_DEVICE_ARN", "AMZN_BRAKET_RESERVATION_TIME_WINDOW_ARN")
"""A reservation that the user holds around the call; `DirectReservation` of the SDK sets these, so they are passed on."""


def braket_environment(
    job: JobSpec, folder: JobFolder, attempt: int, inherited: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the variables that a job's program finds, `AMZN_BRAKET_*` and `QLOOM_JOB_ID`, `QLOOM_ATTEMPT`.

    `AMZN_BRAKET_JOB_TOKEN` is empty: the SDK sends a token that is set to AWS, and AWS refuses one it did not make.

    Args:
        job: the specification.
        folder: where its files stand.
        attempt: number of the attempt.
        inherited: the environment of the caller; only a reservation is taken from it.

    >>> from pathlib import Path
    >>> from qloom.jobspecs import JobSpec
    >>> from qloom.kit.job_folder import JobFolder
    >>> job = JobSpec(job_id="01j0", program="vqe", entry_point="vqe:main", source_digest="")
    >>> variables = braket_environment(job, JobFolder(Path("/jobs/01j0")), 1)
    >>> variables["AMZN_BRAKET_CHECKPOINT_S3_URI"], variables["AMZN_BRAKET_HP_FILE"]
    ('s3://amazon-braket-local/jobs/01j0/checkpoints', '/jobs/01j0/hyperparameters.json')
    """
    prefix = f"jobs/{job.job_id}"
    variables = {
        "JOB_NAME": job.job_id,
        "JOB_TOKEN": "",
        "DEVICE_ARN": device_arn(job.devices.get("default", "none")),
        "HP_FILE": str(folder.hyperparameters_file),
        "INPUT_DIR": str(folder.input),
        "CHECKPOINT_DIR": str(folder.checkpoints),
        "CHECKPOINT_S3_URI": f"s3://{BUCKET}/{prefix}/checkpoints",
        "JOB_RESULTS_DIR": str(folder.results),
        "JOB_RESULTS_S3_PATH": f"{prefix}/data/{job.job_id}/output",
        "OUT_S3_BUCKET": BUCKET,
        "TASK_RESULTS_S3_URI": f"s3://{BUCKET}/{prefix}/tasks",
        "SCRIPT_ENTRY_POINT": job.entry_point,
        "SCRIPT_S3_URI": f"s3://{BUCKET}/{prefix}/script/source.tar.gz",
        "SCRIPT_COMPRESSION_TYPE": "GZIP",
    }
    reservation = {name: (inherited or {})[name] for name in RESERVATION if name in (inherited or {})}
    own = {"QLOOM_JOB_ID": job.job_id, "QLOOM_ATTEMPT": str(attempt)}
    return {PREFIX + name: value for name, value in variables.items()} | reservation | own


def device_arn(name: str) -> str:
    """Return a device's name as an ARN where it holds one, else in Braket's form of a simulator inside the job.

    >>> device_arn("sim"), device_arn("braket:arn:aws:braket:::device/quantum-simulator/amazon/sv1")
    ('local:qloom/sim', 'arn:aws:braket:::device/quantum-simulator/amazon/sv1')
    """
    rest = name.removeprefix("braket:")
    return rest if rest.startswith(("arn:", "local:")) else f"local:qloom/{name}"
