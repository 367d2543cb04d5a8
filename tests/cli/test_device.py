"""`qloom device`, `plugin`, `doctor`: what there is and what it can do."""

import json
from pathlib import Path

import pytest

from qloom.specs import DeviceSpec
from tests.cli.conftest import Qloom
from tests.cli.terminals import Terminal

LINE = """
from dataclasses import replace
from qloom.devices.sim import SimDevice
from qloom.specs import Connectivity, Cost, reasons_against


class Line(SimDevice):
    def spec(self):
        wires = {"connectivity": Connectivity.linear(), "transpiles": True, "num_qubits": 4}
        return replace(super().spec(), name="line", bills=True, cost=Cost(0.3, 0.01), noise={"readout": 0.02}, **wires)

    def check(self, circuits, shots=None):
        return reasons_against(self.spec(), circuits, shots)


def make():
    return Line()
"""


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A device of four qubits in a line that brings circuits to its wires, reads badly and costs money."""
    (tmp_path / "line_of_four.py").write_text(LINE)
    monkeypatch.syspath_prepend(tmp_path)
    return "python:line_of_four:make"


@pytest.mark.parametrize(("name", "message"), [("python", "has nothing to calibrate; sim has"), ("sims", "did you mean 'sim'")])
def test_what_cannot_be_calibrated_is_refused(qloom: Qloom, name: str, message: str) -> None:
    answer = qloom("device", "calibrate", name)
    assert answer.code == 2
    assert message in answer.err


@pytest.fixture
def far_file(tmp_path: Path) -> str:
    """A circuit whose gate is on qubits that are not beside each other."""
    (tmp_path / "far.qasm").write_text('OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[4] q;\ncz q[0], q[3];\n')
    return "far.qasm"


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
    answer = qloom("device", "run", "sim:engine=lightning", "bad.qasm")
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


def test_the_command_line_completes_itself_in_a_shell(qloom_process: Qloom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1"
    )  # what the test runner was started from does not count
    answer = qloom_process("--show-completion", "bash")
    assert "qloom" in answer.out


def test_what_is_wrong_in_a_circuit_file_is_said_with_the_files_name(qloom: Qloom, tmp_path: Path) -> None:
    (tmp_path / "half.qasm").write_text("OPENQASM 3;\nqubit[2] q;\nh q[7];\n")
    answer = qloom("device", "run", "sim", "half.qasm")
    assert answer.code == 2
    assert answer.err.startswith("error: half.qasm: line 3")


def test_the_list_tells_kind_qubits_and_engines(qloom: Qloom) -> None:
    rows = {row["name"]: row for row in qloom("device", "list", "--json").json}
    assert (rows["sim"]["kind"], rows["sim"]["error"]) == ("simulator", None)
    assert rows["sim"]["qubits"] > 20
    assert rows["sim"]["engines"]
    assert rows["python"]["kind"] is None  # there is no device before the colon


def test_broken_devices_are_listed_with_their_error_at_80_columns(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    info = tmp_path / "site" / "bad_devices-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-devices\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[qloom.devices]\nlost = no_such:create\ntorn = torn:create\nidle = idle:create\n")
    (tmp_path / "site" / "torn.py").write_text("def create(:\n")
    (tmp_path / "site" / "idle.py").write_text("def create(rest='', *, threads=None):\n    raise RuntimeError('no key')\n")
    terminal = Terminal(
        [*command, "device", "list"], {**environment, "PYTHONPATH": str(tmp_path / "site"), "COLUMNS": "80"}, tmp_path
    )
    assert terminal.exit_code() == 0
    shown = [text.rstrip() for text in terminal.drawn.splitlines()]
    assert max(map(len, shown)) <= 80
    words = " ".join(" ".join(shown).split())
    assert "no_such" in words
    assert "broken: SyntaxError" in words
    assert "broken: RuntimeError: no key" in words
    assert [text.split()[:2] for text in shown if text.split()[:1] == ["sim"]] == [["sim", "simulator"]]


@pytest.mark.parametrize("name", ["sim", "line"])
def test_a_spec_that_is_shown_as_json_is_the_spec(qloom: Qloom, line: str, name: str) -> None:
    shown = qloom("device", "show", line if name == "line" else name, "--json").json
    assert DeviceSpec.from_json(shown).to_json() == shown
    assert DeviceSpec.from_json(shown).name == name


def test_a_spec_is_shown_to_people_without_what_is_not_stated(qloom: Qloom, line: str) -> None:
    shown = dict(row.split("\t") for row in qloom("device", "show", line).out.splitlines())
    assert (shown["connectivity"], shown["noise"], shown["bills"]) == ("linear", "readout 0.02", "yes")
    assert shown["cost"] == "per_task 0.3, per_shot 0.01, per_minute 0.0, currency USD"
    assert "queue_depth" not in shown


@pytest.mark.parametrize(
    ("requirements", "options", "code", "said"),
    [
        ("", (), 0, "note: couplings 0-3, line has linear: fits only transpiled, with gates added"),
        ("transpile: false", (), 1, "  - couplings 0-3, line has linear; it fits only if it may be transpiled"),
        ("num_qubits: 9", (), 1, "  - 9 qubits, line has 4"),
        ('{"max_errors": {"readout": 0.01}}', (), 1, "  - readout error of at most 0.01, line has 0.02"),
        ("max_cost: 1.3; shots: 100", (), 0, "far.qasm fits"),
        ("max_cost: 1.3; shots: 100", ("--shots", "101"), 1, "line takes 1.31 USD for 101 shots"),
        ("max_cost: 1.3", ("--shots", "100"), 0, "far.qasm fits"),
        ("", ("--shots", "0"), 2, "shots must be an integer from 1 up, got 0"),
        ("max_costs: 1", (), 2, "asked.txt: no field of the requirements called 'max_costs'; did you mean 'max_cost'"),
        ("shots: many", (), 2, "asked.txt: requirements: shots must be an integer from 1 up, got 'many'"),
    ],
)
def test_a_check_tells_every_reason_and_its_exit_code_says_whether_it_fits(
    *, qloom: Qloom, line: str, far_file: str, tmp_path: Path, requirements: str, options: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "asked.txt").write_text(requirements + "\n")
    answer = qloom("device", "check", line, far_file, "--requirements", "asked.txt", *options)
    assert answer.code == code, answer.out + answer.err
    assert said in answer.out + answer.err


def test_a_check_as_json_holds_reasons_and_notes(qloom: Qloom, line: str, far_file: str, tmp_path: Path) -> None:
    (tmp_path / "asked.json").write_text(json.dumps({"num_qubits": 9, "kinds": ["qpu"], "connectivity": "all"}))
    answer = qloom("device", "check", line, far_file, "--requirements", "asked.json", "--json")
    assert (answer.code, answer.json["fits"]) == (1, False)
    assert answer.json["reasons"] == ["kind qpu, line is a simulator", "9 qubits, line has 4"]
    assert [note.partition(",")[0] for note in answer.json["notes"]] == ["couplings 0-3", "connectivity all"]


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_requirements_that_cannot_be_read_are_misuse(qloom: Qloom, bell_file: str, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "asked.txt").write_bytes(content)
    answer = qloom("device", "check", "sim", bell_file, "--requirements", "asked.txt")
    assert answer.code == 2
    assert "asked.txt" in answer.err
    assert "Traceback" not in answer.err


def test_a_circuit_is_run_through_a_pipeline(qloom: Qloom, bell_file: str) -> None:
    flips = '[{"stage": "readout", "flips": [[0.1, 0.2], [0.05, 0.1]]}]'
    found = qloom("device", "run", "sim", bell_file, "--seed", "1", "--pipeline", flips, "--json").json
    (item,) = found["quasi_probabilities"]
    assert sum(item.values()) == pytest.approx(1.0)
    assert min(item.values()) < 0
    shown = qloom("device", "run", "sim", bell_file, "--seed", "1", "--pipeline", flips).out
    assert "11" in shown


def test_an_observable_is_estimated_through_a_pipeline(qloom: Qloom, bell_file: str) -> None:
    found = qloom("device", "run", "sim", bell_file, "--observable", '{"ZZ": 1.0}', "--pipeline", "zne", "--json").json
    assert found["values"] == [[pytest.approx(1.0)]]
    assert [stage["name"] for stage in found["stages"]] == ["zne"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pipeline", "zne"], "gives expectation values, not counts"),
        (["--pipeline", "znee"], "did you mean 'zne'"),
        (["--observable", '{"ZZ"'], "no JSON"),
        (["--observable", "ZQ"], "ZQ"),
        (["--observable", "ZZZ"], "3 qubits"),
    ],
)
def test_a_run_that_cannot_be_is_refused(qloom: Qloom, bell_file: str, arguments: list[str], said: str) -> None:
    answer = qloom("device", "run", "sim", bell_file, *arguments)
    assert answer.code == 2
    assert said in answer.err
