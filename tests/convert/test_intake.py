import subprocess
import sys
from pathlib import Path

import pytest

from qloom.circuits import Circuit
from qloom.convert import from_openqasm, read_circuit
from qloom.convert.limits import MAX_BYTES
from qloom.errors import InvalidCircuit

BELL = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nh q[0];\ncx q[0], q[1];\n'
bell = Circuit(2).h(0).cx(0, 1)


def test_a_circuit_comes_through_as_it_is() -> None:
    assert read_circuit(bell) is bell


def test_text_a_path_and_a_name_of_a_file_give_the_same_circuit(tmp_path: Path) -> None:
    file = tmp_path / "bell.qasm"
    file.write_text(BELL, encoding="utf-8")
    assert read_circuit(BELL) == read_circuit(file) == read_circuit(str(file)) == bell


def test_a_path_may_have_any_ending(tmp_path: Path) -> None:
    file = tmp_path / "bell.txt"
    file.write_text(BELL, encoding="utf-8")
    assert read_circuit(file) == bell


def test_a_file_that_is_not_there_is_named_with_the_folder_searched() -> None:
    with pytest.raises(InvalidCircuit, match=r"there is no file missing\.qasm \(in /"):
        read_circuit("missing.qasm")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.qasm").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "binary.qasm"):
        with pytest.raises(InvalidCircuit, match="cannot be read as text"):
            read_circuit(path)


def test_a_file_too_large_for_a_circuit_is_refused_unread(tmp_path: Path) -> None:
    huge = tmp_path / "huge.qasm"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidCircuit, match=f"has {MAX_BYTES + 1} bytes; the limit for a circuit file is {MAX_BYTES}"):
        read_circuit(huge)


@pytest.mark.parametrize("source", [None, 3, b"OPENQASM 3.0;", ["h 0"], object()])
def test_an_object_that_is_no_circuit_is_named_by_its_type(source: object) -> None:
    with pytest.raises(
        InvalidCircuit, match=rf"an object of type builtins\.{type(source).__name__} is no circuit; give a qloom\.Circuit"
    ):
        read_circuit(source)


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(InvalidCircuit, match="the text is empty"):
        from_openqasm(" \n ")
    with pytest.raises(InvalidCircuit, match="OpenQASM is text, got bytes"):
        from_openqasm(b"")  # type: ignore[arg-type]


WITHOUT_PARSER = """
import sys
sys.modules[{missing!r}] = None
from qloom.convert import from_openqasm
from qloom.errors import MissingExtra
assert from_openqasm({plain!r}).num_qubits == 2
try:
    from_openqasm({other!r})
except MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize("missing", ["openqasm3", "antlr4"])
def test_without_the_parser_plain_text_is_read_and_other_text_names_the_extra(missing: str) -> None:
    code = WITHOUT_PARSER.format(missing=missing, plain=BELL, other=BELL + "ctrl @ h q[0], q[1];")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("line 6, at 'ctrl @ h q[0], q[1]'")
    assert "pip install 'qloom[qasm]'" in done.stdout


def test_plain_text_needs_neither_numpy_nor_the_parser() -> None:
    code = f"import sys; from qloom.convert import from_openqasm; from_openqasm({BELL!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"numpy", "openqasm3", "antlr4", "qiskit"} & set(done.stdout.split())
