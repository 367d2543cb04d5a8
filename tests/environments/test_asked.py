"""What a program asks for: requirement by requirement, file by file, and which place wins."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from qloom.environments.asked import Asked, choose, script_header, wanted_by
from qloom.environments.requirements import locked_packages, parse_requirement, read_requirements_file
from qloom.errors import InvalidSetting

HEADER = b"""#!/usr/bin/env python
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "scipy>=1.11",
#
#   "networkx",  # graphs
# ]
# ///
import scipy
"""


def test_the_header_of_a_file_is_read() -> None:
    assert script_header(HEADER, "vqe.py") == Asked("the header of vqe.py", ("scipy>=1.11", "networkx"), None, ">=3.11")


@pytest.mark.parametrize("content", [b"import scipy\n", b"'''\n# no header: # /// script\n'''\n", b"# /// scripts\n# ///\n", b""])
def test_a_file_without_a_header_asks_for_nothing(content: bytes) -> None:
    assert script_header(content, "vqe.py") is None


def test_a_closing_line_inside_the_header_does_not_close_it() -> None:
    content = b"# /// script\n# dependencies = ['six']\n# ///\n# requires-python = '>=3.11'\n# ///\n"
    with pytest.raises(InvalidSetting, match="no TOML"):
        script_header(content, "vqe.py")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"# /// script\n# dependencies = ['six']\n", "vqe.py, line 1: the header is not closed; end it with a line `# ///`"),
        (b"\n# /// script\n#dependencies = []\n# ///\n", "vqe.py, line 2: the header is not closed"),
        (HEADER + HEADER, "vqe.py, line 12: a second `# /// script` header"),
        (b"# /// script\n# dependencies = [six]\n# ///\n", "vqe.py, header in line 1: no TOML"),
        (b"# /// script\n# dependencies = 'six'\n# ///\n", "dependencies must be a list of texts"),
        (b"# /// script\n# requires-python = 3.11\n# ///\n", "requires-python must be a text"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused_with_its_line(content: bytes, said: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        script_header(content, "vqe.py")
    assert said in str(refused.value)


def test_the_command_line_wins_over_the_options_and_these_over_the_header(tmp_path: Path) -> None:
    file = tmp_path / "vqe.py"
    file.write_bytes(HEADER)
    options = Asked("the options of vqe", ("six",), "3.12")
    assert wanted_by(file).requirements == ("scipy>=1.11", "networkx")
    assert wanted_by(file, options).requirements == ("six",)
    all_three = wanted_by(file, Asked("--requirements", ("iniconfig",)), options)
    assert (all_three.requirements, all_three.requirements_from) == (("iniconfig",), "--requirements")
    assert (all_three.python, all_three.python_from) == ("3.12", "the options of vqe")
    assert all_three.requires_python == ">=3.11"


def test_a_requirements_file_is_found_beside_the_program(tmp_path: Path) -> None:
    (tmp_path / "vqe.py").write_text("import qloom\n")
    (tmp_path / "requirements.txt").write_text("six\n")
    found = wanted_by(tmp_path / "vqe.py", Asked("the options of vqe", "requirements.txt"))
    assert (found.requirements, found.requirements_from) == (("six",), "the options of vqe (requirements.txt)")


def test_the_order_of_requirements_makes_no_other_wish() -> None:
    first, second = (choose(Asked("here", texts), folder=Path()) for texts in (("six", "iniconfig"), ("iniconfig", "six ")))
    assert first.key() == second.key()


def test_comments_continuations_and_a_byte_order_mark_are_no_requirements(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes(b"\xef\xbb\xbf# numbers\r\nsix>=1.16 \\\r\n  ; python_version > '3'\r\n\r\niniconfig  # small\r\n")
    assert [Requirement(text).name for text in read_requirements_file(file)] == ["six", "iniconfig"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-r more.txt", "the option -r names another file: copy its lines here"),
        ("--index-url https://pypi.example/simple", "the option --index-url names an index: set UV_DEFAULT_INDEX"),
        ("-e ../mine", "the option -e names a folder"),
        ("six==1.17.0 --hash=sha256:00", "the option --hash names hashes: leave them out"),
        ("./mine.whl", "no requirement"),
        ("six => 1.17", "is no requirement"),
        ("mine @ file:///home/me/mine.whl", "mine comes from file"),
        ("mine @ git+https://example.org/mine", "mine comes from git+https"),
        ("mine @ https://me:secret@example.org/mine.whl", "holds a user or a password"),
        ("mine @@ https://me:secret@example.org/mine.whl", "is no requirement"),
    ],
)
def test_a_line_that_is_no_requirement_is_refused_with_its_number(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"iniconfig\n{line}\n")
    with pytest.raises(InvalidSetting) as refused:
        read_requirements_file(file)
    assert "requirements.txt, line 2" in str(refused.value)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_requirements_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be read: No such file"):
        read_requirements_file(tmp_path / "requirements.txt")
    (tmp_path / "requirements.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidSetting, match="no UTF-8 text"):
        read_requirements_file(tmp_path / "requirements.txt")


def test_an_archive_on_the_web_is_a_requirement() -> None:
    assert parse_requirement("mine @ https://example.org/mine-1.0-py3-none-any.whl", "here").name == "mine"


def test_a_lock_tells_its_packages() -> None:
    lines = [
        "mine @ https://example.org/mine.whl \\",
        "    --hash=sha256:00",
        "Ruamel.yaml==0.18 ; python_version > '3' \\",
        "    --hash=1",
    ]
    lock = "\n".join(lines)
    assert locked_packages(lock) == {"mine": "https://example.org/mine.whl", "ruamel-yaml": "0.18"}
