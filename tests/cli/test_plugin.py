"""`qloom plugin`: what is installed, in one document or in tables that fit a terminal; broken ones end nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Qloom
from tests.cli.terminals import Terminal
from tests.plugins import STAGE, Site

WIDTH = 80
HEAVY = {"braket", "cirq", "mitiq", "pennylane", "qiskit", "qiskit_aer", "qulacs", "scipy", "stim"}


@pytest.fixture
def lab(site: Site) -> Site:
    """One that works, one that does not, and two that cannot be told apart."""
    site.install("lab-stages", modules={"lab": STAGE}, stages={"twice": "lab:Twice"})
    site.install("torn", version="0.3", modules={"torn": 'raise RuntimeError("half a file")'}, stages={"torn": "torn:Stage"})
    for name in ("left", "right"):
        site.install(name, stages={"both": f"{name}:Stage"})
    return site


def drawn(command: list[str], *arguments: str, where: Path) -> list[str]:
    """What a terminal of 80 columns shows."""
    terminal = Terminal([*command, *arguments], {**os.environ, "COLUMNS": str(WIDTH)}, where)
    assert terminal.exit_code() == 0
    return terminal.drawn.replace("\r", "").splitlines()


def test_the_list_has_a_line_for_each_with_errors_where_there_are_some(qloom: Qloom, lab: Site) -> None:
    answer = qloom("plugin", "list")
    rows = {tuple(line.split("\t")[:3]): line.split("\t")[3] for line in answer.out.splitlines()}
    assert answer.code == 0
    assert rows["stage", "twice", "lab-stages 1.0"] == "Runs a circuit twice."
    assert rows["stage", "torn", "torn 0.3"] == "broken: RuntimeError: half a file"
    assert rows["stage", "both", "left 1.0"] == rows["stage", "both", "right 1.0"]
    assert "by left 1.0 (left:Stage) and by right 1.0 (right:Stage)" in rows["stage", "both", "left 1.0"]
    assert {row[:2] for row in rows} >= {("device", "sim"), ("stage", "zne"), ("executor", "local")}


@pytest.mark.parametrize("kind", ["stage", "stages"])
def test_the_list_of_one_kind_is_one_document(kind: str, qloom: Qloom, lab: Site) -> None:
    found = qloom("plugin", "list", kind, "--json").json
    assert {part["kind"] for part in found} == {"stage"}
    parts = {part["name"]: part for part in found}
    assert parts["twice"]["cost"] == {"circuits": 2, "shots": 2, "rounds": 1}
    assert parts["twice"]["options"]["properties"]["times"]["description"] == "How often."
    assert (parts["torn"]["options"], parts["torn"]["cost"]) == (None, None)


def test_a_kind_that_there_is_not_is_refused_with_the_near_ones(qloom: Qloom) -> None:
    answer = qloom("plugin", "list", "divices")
    assert (answer.code, answer.out) == (2, "")
    assert "no kind of plugin called 'divice'; did you mean 'device'" in answer.err


@pytest.mark.parametrize("words", [("list",), ("show", "loud")])
def test_what_a_plugin_prints_when_it_is_loaded_is_no_part_of_the_document(
    words: tuple[str, ...], qloom: Qloom, site: Site
) -> None:
    source = f'print("Welcome to Lab Stages!")\n{STAGE}'.replace('"twice"', '"loud"')
    site.install("lab-stages", modules={"loud": source}, stages={"loud": "loud:Twice"})
    answer = qloom("plugin", *words, "--json")
    assert json.loads(answer.out)
    assert "Welcome" in answer.err


def test_one_is_shown_as_one_document(qloom: Qloom, lab: Site) -> None:
    found = qloom("plugin", "show", "twice", "--json").json
    assert (found["kind"], found["distribution"], found["version"], found["licence"]) == ("stage", "lab-stages", "1.0", "Special")
    assert (found["gives"], found["max_rounds"], found["sealed"]) == (["values", "counts"], 3, False)
    assert found["options"]["properties"]["times"] == {
        "default": 2,
        "description": "How often.",
        "minimum": 1,
        "title": "Times",
        "type": "integer",
    }


def test_one_is_shown_to_people_with_its_cost_and_options(qloom: Qloom, lab: Site) -> None:
    out = qloom("plugin", "show", "twice").out
    assert "costs\tcircuits x 2, shots x 2, rounds: 1, with other options 3 at most\n" in out
    assert "\ntimes\tinteger ≥ 1\t2\tHow often.\n" in out


def test_an_option_without_default_is_named_where_the_cost_depends_on_it(qloom: Qloom) -> None:
    out = qloom("plugin", "show", "mitiq:pec").out
    assert "costs\tdepends on technique, options, which have no default" in out
    assert "licence\tApache-2.0; GPL-3.0-only (Mitiq)" in out
    assert "\nsamples\tinteger ≥ 1 and ≤ 100000\t100\tCircuits that are drawn.\n" in out


@pytest.mark.parametrize("words", [("list",), ("show", "zne"), ("show", "mitiq"), ("show", "sim")])
def test_eighty_columns_are_enough(words: tuple[str, ...], command: list[str], tmp_path: Path) -> None:
    lines = drawn(command, "plugin", *words, where=tmp_path)
    assert [line for line in lines if len(line.rstrip()) > WIDTH] == []
    assert "…" not in "".join(lines)


def test_a_table_of_options_has_its_columns(command: list[str], tmp_path: Path) -> None:
    lines = drawn(command, "plugin", "show", "zne", where=tmp_path)
    start = next(
        number for number, line in enumerate(lines) if line.split() == ["option", "type", "default", "what", "it", "does"]
    )
    assert lines[start + 1].split()[:4] == ["scales", "[number,", "...]", "[1.0,"]


def test_a_broken_one_is_shown_with_its_error(qloom: Qloom, lab: Site) -> None:
    answer = qloom("plugin", "show", "torn")
    assert answer.code == 0
    assert "RuntimeError: half a file" in answer.out
    assert "options" not in answer.out


def test_two_of_one_name_cannot_be_shown_and_both_are_named(qloom: Qloom, lab: Site) -> None:
    answer = qloom("plugin", "show", "both", "--json")
    assert answer.code == 2
    assert answer.json["error"]["type"] == "BrokenPlugin"
    assert "by left 1.0 (left:Stage) and by right 1.0 (right:Stage)" in answer.json["error"]["message"]


def test_a_device_and_a_stage_of_one_name_are_told_apart_by_their_kind(qloom: Qloom, site: Site) -> None:
    site.install("lab", modules={"lab": STAGE.replace('"twice"', '"sim"')}, stages={"sim": "lab:Twice"})
    answer = qloom("plugin", "show", "sim")
    assert answer.code == 2
    assert "sim is the name of a device and of a stage; say which with --kind device" in answer.err
    assert qloom("plugin", "show", "sim", "--kind", "stage", "--json").json["distribution"] == "lab"


def test_an_unknown_one_is_refused_with_the_near_ones(qloom: Qloom) -> None:
    answer = qloom("plugin", "show", "zme")
    assert answer.code == 2
    assert "no plugin called 'zme'; did you mean 'zne'" in answer.err


@pytest.mark.parametrize(
    ("pipeline", "error"),
    [
        ("torn", "error: stage torn of torn 0.3 cannot be used: loading torn:Stage fails with RuntimeError: half a file"),
        ("both", "error: stage both: this name is registered by left 1.0 (left:Stage) and by right 1.0 (right:Stage)"),
        ("twize", "error: no stage called 'twize'; did you mean 'twice'"),
        ('[{"stage": "twice", "time": 2}]', "error: no option of stage twice called 'time'; did you mean 'times'?"),
        ('[{"stage": "twice", "times": 0}]', "error: stage twice: option times: input should be greater than or equal to 1"),
    ],
)
def test_a_run_with_what_cannot_be_used_is_refused_before_there_is_a_job(
    pipeline: str, error: str, qloom: Qloom, lab: Site, programs: str, home: Path
) -> None:
    answer = qloom("run", f"{programs}:bell", "--pipeline", pipeline)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(error)
    assert "Traceback" not in answer.err
    assert not any((home / "jobs").glob("0*"))


def test_a_run_with_a_stage_of_another_package_is_a_job_as_any(lab: Site, qloom_process: Qloom, programs: str) -> None:
    answer = qloom_process("run", f"{programs}:bell", "--pipeline", "twice", "-p", "shots=10", "--json")
    assert answer.json["state"] == "COMPLETED", answer.err
    assert sum(answer.json["result"].values()) == 10


def test_the_list_loads_no_library_that_a_plugin_only_may_need(site: Site) -> None:
    code = "import sys; from qloom.cli import main; main(['plugin', 'list']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "stage\tzne\t" in done.stdout
    assert [name for name in HEAVY if f"'{name}'" in done.stderr] == []
