"""The environment a program starts with."""

from pathlib import Path

from qloom.executors.handover import without_internals
from qloom.executors.program_process import program_environment
from qloom.jobspecs import JobSpec
from qloom.kit.job_folder import JobFolder
from qloom.limits import Resources

JOB = JobSpec(job_id="01job", program="vqe", entry_point="vqe:main", source_digest="", resources=Resources(cpus=3))
FOLDER = JobFolder(Path("/jobs/01job"))


def environment(**inherited: str) -> dict[str, str]:
    return program_environment(JOB, FOLDER, 2, inherited)


def test_what_the_caller_has_is_passed_on() -> None:
    assert environment(PATH="/bin", QLOOM_HOME="/q")["PATH"] == "/bin"
    assert environment(PATH="/bin", QLOOM_HOME="/q")["QLOOM_HOME"] == "/q"


def test_what_belongs_to_another_job_is_not() -> None:
    internal = {"QLOOM_LEASE": "3", "QLOOM_SUBMITTER": "1:2", "QLOOM_SUPERVISES": "x"}
    found = environment(QLOOM_JOB_ID="outer", AMZN_BRAKET_JOB_NAME="outer", **internal)
    assert (found["QLOOM_JOB_ID"], found["AMZN_BRAKET_JOB_NAME"], found["QLOOM_ATTEMPT"]) == ("01job", "01job", "2")
    assert not set(internal) & set(found)


def test_libraries_take_as_many_threads_as_the_job_has_cpus_unless_told_otherwise() -> None:
    assert environment()["OMP_NUM_THREADS"] == environment()["OPENBLAS_NUM_THREADS"] == "3"
    assert environment(OMP_NUM_THREADS="7")["OMP_NUM_THREADS"] == "7"


def test_a_supervisor_starts_without_the_marks_of_the_job_that_submits_it() -> None:
    assert without_internals({"QLOOM_ATTEMPT": "1", "AMZN_BRAKET_HP_FILE": "x", "LANG": "C"}) == {"LANG": "C"}
