"""The variables of Braket's hybrid jobs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.jobspecs import JobSpec
from qloom.kit.braket_environment import braket_environment, device_arn
from qloom.kit.job_folder import JobFolder

JOB = JobSpec(job_id="01job", program="vqe", entry_point="vqe:main", source_digest="", devices={"default": "sim"})
FOLDER = JobFolder(Path("/home/jobs/01job"))


def test_the_variables_are_those_of_a_hybrid_job() -> None:
    assert braket_environment(JOB, FOLDER, 2) == {
        "AMZN_BRAKET_CHECKPOINT_DIR": "/home/jobs/01job/checkpoints",
        "AMZN_BRAKET_CHECKPOINT_S3_URI": "s3://amazon-braket-local/jobs/01job/checkpoints",
        "AMZN_BRAKET_DEVICE_ARN": "local:qloom/sim",
        "AMZN_BRAKET_HP_FILE": "/home/jobs/01job/hyperparameters.json",
        "AMZN_BRAKET_INPUT_DIR": "/home/jobs/01job/input",
        "AMZN_BRAKET_JOB_NAME": "01job",
        "AMZN_BRAKET_JOB_RESULTS_DIR": "/home/jobs/01job/results",
        "AMZN_BRAKET_JOB_RESULTS_S3_PATH": "jobs/01job/data/01job/output",
        "AMZN_BRAKET_JOB_TOKEN": "",
        "AMZN_BRAKET_OUT_S3_BUCKET": "amazon-braket-local",
        "AMZN_BRAKET_SCRIPT_COMPRESSION_TYPE": "GZIP",
        "AMZN_BRAKET_SCRIPT_ENTRY_POINT": "vqe:main",
        "AMZN_BRAKET_SCRIPT_S3_URI": "s3://amazon-braket-local/jobs/01job/script/source.tar.gz",
        "AMZN_BRAKET_TASK_RESULTS_S3_URI": "s3://amazon-braket-local/jobs/01job/tasks",
        "QLOOM_ATTEMPT": "2",
        "QLOOM_JOB_ID": "01job",
    }


def test_a_reservation_is_passed_on_and_nothing_else() -> None:
    arns = {"AMZN_BRAKET_RESERVATION_DEVICE_ARN": "arn:d", "AMZN_BRAKET_RESERVATION_TIME_WINDOW_ARN": "arn:t"}
    found = braket_environment(JOB, FOLDER, 1, {**arns, "AWS_SECRET_ACCESS_KEY": "hush", "AMZN_BRAKET_JOB_NAME": "other"})
    assert arns.items() <= found.items()
    assert found["AMZN_BRAKET_JOB_NAME"] == "01job"
    assert "hush" not in found.values()


@pytest.mark.parametrize(
    ("name", "arn"),
    [
        ("sim:engine=qulacs", "local:qloom/sim:engine=qulacs"),
        ("braket:arn:aws:braket:us-east-1::device/qpu/ionq/Aria-1", "arn:aws:braket:us-east-1::device/qpu/ionq/Aria-1"),
        ("arn:aws:braket:::device/quantum-simulator/amazon/sv1", "arn:aws:braket:::device/quantum-simulator/amazon/sv1"),
        ("local:pennylane/lightning.qubit", "local:pennylane/lightning.qubit"),
    ],
)
def test_devices_are_named_as_braket_names_them(name: str, arn: str) -> None:
    assert device_arn(name) == arn


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_only_strings_that_an_environment_can_hold_come_out(inherited: dict[str, str]) -> None:
    found = braket_environment(JOB, FOLDER, 1, inherited)
    assert all(name.isascii() and "=" not in name and "\0" not in value for name, value in found.items())
