"""`qloom device`, `plugin`, `doctor`: what there is and what it can do."""

from pathlib import Path

import pytest

from tests.cli.conftest import Qloom


def test_the_simulator_is_listed_and_says_what_it_runs(qloom: Qloom) -> None:
    assert "sim" in [row["name"] for row in qloom("device", "list", "--json").json]
    shown = qloom("device", "show", "sim", "--json").json
    assert "ry" in shown["gates"]
    assert shown["exact_values"]


def test_a_circuit_file_runs_with_a_seed(qloom: Qloom, bell_file: str) -> None:
    counts = qloom("device", "run", "sim", bell_file, "--seed", "1", "--shots", "500", "--json").json["counts"]
    assert set(counts) == {"00", "11"}
    assert sum(counts.values()) == 500


def test_a_circuit_that_fits_is_said_to_fit(qloom: Qloom, bell_file: str) -> None:
    answer = qloom("device", "check", "sim", bell_file, "--json")
    assert answer.code == 0
    assert answer.json["fits"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("OPENQASM 3.0;\nqubit[2] q;\nnosuch q[0];\n", "line 3"),
        ("OPENQASM 3.0;\nqubit[2 q;\n", "line 2"),
        ('OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[40] q;\nh q[0];\n', "17592186044416 bytes"),
    ],
)
def test_bad_circuits_are_refused_with_the_place_or_the_number(qloom: Qloom, tmp_path: object, text: str, said: str) -> None:
    from pathlib import Path

    (Path(str(tmp_path)) / "bad.qasm").write_text(text)
    answer = qloom("device", "run", "sim", "bad.qasm")
    assert answer.code == 2
    assert said in " ".join(answer.err.split())
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("shots", ["0", "-3"])
def test_zero_and_negative_shots_are_refused(qloom: Qloom, bell_file: str, shots: str) -> None:
    answer = qloom("device", "run", "sim", bell_file, "--shots", shots)
    assert answer.code == 2
    assert "shots must be an integer from 1 up" in answer.err


def test_an_unknown_device_is_refused_with_the_near_name(qloom: Qloom, bell_file: str) -> None:
    answer = qloom("device", "run", "simu", bell_file)
    assert answer.code == 2
    assert "did you mean 'sim'" in answer.err


def test_plugins_say_where_they_come_from(qloom: Qloom) -> None:
    rows = {(row["kind"], row["name"]): row for row in qloom("plugin", "list", "--json").json}
    assert rows["executor", "local"]["distribution"] == "qloom"
    assert not [row for row in rows.values() if row["error"]]


def test_doctor_finds_no_problem_here(qloom: Qloom) -> None:
    answer = qloom("doctor", "--json")
    assert answer.code == 0, answer.out
    assert {row["level"] for row in answer.json} <= {"ok", "note"}


def test_the_command_line_completes_itself_in_a_shell(qloom_process: Qloom) -> None:
    answer = qloom_process("--show-completion", "bash")
    assert "qloom" in answer.out


def test_what_is_wrong_in_a_circuit_file_is_said_with_the_files_name(qloom: Qloom, tmp_path: Path) -> None:
    (tmp_path / "half.qasm").write_text("OPENQASM 3;\nqubit[2] q;\nh q[7];\n")
    answer = qloom("device", "run", "sim", "half.qasm")
    assert answer.code == 2
    assert answer.err.startswith("error: half.qasm: line 3")
