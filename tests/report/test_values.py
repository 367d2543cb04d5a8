from typing import Any

import numpy as np
import pytest

from qloom.kit.values import to_plain
from qloom.report.values import LOG_LINES, JobReport, MetricSeries, read_job, read_metrics

DETAILS: dict[str, Any] = {
    "job_id": "01jabc",
    "program": "h2_vqe",
    "state": "INTERRUPTED",
    "created_at": 1.7e9,
    "parameters": {"bond_angstrom": 0.735},
    "devices": {"default": "sim"},
    "executor": "local",
    "seed": 7,
    "resources": {"cpus": 1, "memory_mb": None},
    "versions": {"python": "3.12.1"},
    "attempts": [{"attempt": 1, "ended": "INTERRUPTED", "error": "killed"}],
    "quantum_tasks": {"executed": 5, "replayed": 2},
    "engine": "qulacs",
    "seconds": 1.5,
    "result": None,
    "error": {"type": "", "message": "killed", "frames": [], "reason": "killed"},
    "problems": ["a torn tail of 3 bytes was dropped"],
}


def test_a_job_is_read_from_what_it_says_of_itself() -> None:
    report = read_job(DETAILS)
    assert (report.state, report.reason, report.executed, report.replayed) == ("INTERRUPTED", "killed", 5, 2)
    assert report.environment == {"python": "3.12.1"}
    assert report.settings == {"device": "sim", "executor": "local", "seed": "7", "limit: cpus": "1"}
    assert report.attempts[0].error == "killed"


def test_several_devices_are_named() -> None:
    report = read_job(DETAILS | {"devices": {"default": "sim", "qpu": "sim:engine=qulacs"}})
    assert report.settings["device"] == "default = sim, qpu = sim:engine=qulacs"


def test_only_the_end_of_a_long_log_is_kept_and_the_rest_counted() -> None:
    report = read_job(DETAILS, log=[f"line {number}" for number in range(LOG_LINES + 5)])
    assert (len(report.log), report.log_left_out, report.log[0]) == (LOG_LINES, 5, "line 5")


def test_metrics_are_grouped_by_name_and_counted_where_they_have_no_step() -> None:
    logged = [("loss", 1.0, None, 0.0, "main"), ("energy", -1, 10, 0.0, "main"), ("loss", 0.5, None, 0.0, "main")]
    assert read_metrics(logged) == (MetricSeries("loss", (0.0, 1.0), (1.0, 0.5)), MetricSeries("energy", (10.0,), (-1.0,)))


@pytest.mark.parametrize("result", [None, 3.0, {"exact_hartree": "-1.1"}, {"exact_hartree": True}, {"exact_ev": -30.0}])
def test_a_result_without_a_number_of_that_unit_is_no_value_to_reach(result: object) -> None:
    report = JobReport(job_id="1", program="p", state="COMPLETED", result=result)
    assert report.reference("energy_hartree") is None


def test_what_a_job_ran_with_is_read_from_its_record_and_not_from_here() -> None:
    report = read_job(
        DETAILS
        | {
            "platform": "Linux 6.1 x86_64",
            "packages": {"numpy": "2.0"},
            "engines": [{"name": "qulacs", "version": "0.6", "threads": 1, "reason": ""}],
            "environment": {"lock_digest": "ab12", "requirements": ["scipy"], "packages": {"scipy": "1.14"}},
        }
    )
    assert report.environment == {"python": "3.12.1", "platform": "Linux 6.1 x86_64", "engine": "qulacs 0.6, threads: 1"}
    assert (report.packages, report.built_from["lock_digest"]) == ({"numpy": "2.0"}, "ab12")


def test_where_the_time_went_is_none_where_nobody_knows() -> None:
    known = {"queue_s": 0.5, "running_s": 3.0, "quantum_s": 2.0, "classical_s": 1.0}
    assert read_job(DETAILS | {"timings": known}).timings.classical_s == 1.0
    assert read_job(DETAILS).timings.running_s is None


def test_points_are_ordered_by_step_and_keep_their_order_inside_one() -> None:
    assert MetricSeries("loss", (1.0, 0.0, 1.0), (3.0, 1.0, 2.0)).points.tolist() == [[0.0, 1.0], [1.0, 3.0], [1.0, 2.0]]


def test_an_array_in_a_result_is_read_as_numbers() -> None:
    report = read_job(DETAILS | {"result": {"angles": to_plain(np.array([0.5, 1.0]))}})
    assert report.result == {"angles": [0.5, 1.0]}
