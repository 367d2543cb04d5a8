"""What a decorator says about its environment, read from a file that may not be importable yet."""

from pathlib import Path

import pytest

from qloom.programs.declared import Declared, declared

HEAD = "import not_installed\nimport qloom\n\n"


@pytest.mark.parametrize(
    ("decorator", "found"),
    [
        ("@qloom.program", Declared()),
        ("@qloom.program(seed=1)", Declared()),
        ("@qloom.program(requirements=['six', 'scipy>=1.11'])", Declared(("six", "scipy>=1.11"))),
        ("@qloom.program(requirements='requirements.txt')", Declared("requirements.txt")),
        ("@qloom.program(requirements=[])", Declared(())),
        ("@qloom.program(requirements=NEEDED)", Declared()),
        ("@qloom.program(requirements=[1])", Declared()),
        ("@qloom.program(resources=qloom.Resources(cpus=2, python='3.12'))", Declared(None, "3.12")),
        ("@qloom.program(resources={'python': '3.12'})", Declared(None, "3.12")),
        ("@qloom.program(resources=qloom.Resources(python=CHOSEN))", Declared()),
    ],
)
def test_what_stands_there_literally_is_read(tmp_path: Path, decorator: str, found: Declared) -> None:
    (tmp_path / "scan.py").write_text(f"{HEAD}{decorator}\ndef scan(ctx): ...\n")
    assert declared(tmp_path / "scan.py", "scan") == declared(tmp_path / "scan.py", None) == found


def test_of_several_programs_the_named_one_counts(tmp_path: Path) -> None:
    text = "@qloom.program(requirements=['six'])\ndef one(ctx): ...\n\n@qloom.program\ndef other(ctx): ...\n"
    (tmp_path / "scan.py").write_text(HEAD + text)
    assert declared(tmp_path / "scan.py", "one") == Declared(("six",))
    assert declared(tmp_path / "scan.py", "other") == declared(tmp_path / "scan.py", None) == Declared()
    assert declared(tmp_path / "scan.py", "neither") == Declared()


def test_a_file_that_is_no_python_declares_nothing(tmp_path: Path) -> None:
    (tmp_path / "scan.py").write_text("def scan(:\n")
    assert declared(tmp_path / "scan.py", None) == Declared()
