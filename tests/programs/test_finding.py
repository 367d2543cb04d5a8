import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qloom.errors import InvalidProgram, Misuse, ProgramFailed, UnknownName
from qloom.programs.definition import ProgramDefinition
from qloom.programs.shipping import find_programs, load_program

# The decorator as a file of this room can have it: the public one belongs to a face above.
MARKED = "from qloom.programs.definition import ProgramDefinition as program\n"


@pytest.fixture
def clean_imports() -> Iterator[None]:
    paths, modules = sys.path[:], set(sys.modules)
    yield
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def file(folder: Path, text: str, name: str = "found_vqe.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_decorated_functions_are_found_under_every_name_of_the_decorator(tmp_path: Path) -> None:
    text = """
import qloom, os
import qloom as q
from qloom import program as job_of_mine, Circuit
@qloom.program
def a(ctx): ...
@q.program(seed=1)
async def b(ctx): ...
@job_of_mine
@os.fspath
def c(ctx): ...
if True:
    @qloom.program(
        device="sim",
    )
    def d(ctx): ...
"""
    assert find_programs(file(tmp_path, text)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "text",
    [
        "from other import program\n@program\ndef a(ctx): ...",
        "import qloom\n@qloom.job\ndef a(ctx): ...",
        "import qloom\ndef a(ctx):\n    @qloom.program\n    def b(ctx): ...",
        "import other as qloom_like\n@qloom_like.program\ndef a(ctx): ...",
        "def a(ctx): ...",
    ],
)
def test_other_functions_are_not_found(tmp_path: Path, text: str) -> None:
    assert find_programs(file(tmp_path, text)) == []


def test_a_file_that_is_no_python_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidProgram, match="line 2"):
        find_programs(file(tmp_path, "x = 1\ndef\n"))


@pytest.mark.usefixtures("clean_imports")
def test_a_program_is_loaded_by_name_or_because_it_is_the_only_one(tmp_path: Path) -> None:
    path = file(tmp_path, MARKED + "@program\ndef vqe(ctx, n: int = 1): return n\n")
    assert isinstance(load_program(path, "vqe"), ProgramDefinition)
    assert load_program(path, None, ["vqe"]).module == "found_vqe"


@pytest.mark.usefixtures("clean_imports")
def test_a_program_in_a_package_is_loaded_under_its_full_name(tmp_path: Path) -> None:
    (tmp_path / "found_chem").mkdir()
    file(tmp_path / "found_chem", "", "__init__.py")
    file(tmp_path / "found_chem", "N = 3", "tools.py")
    path = file(tmp_path / "found_chem", "from .tools import N\n" + MARKED + "@program\ndef vqe(ctx): return N\n")
    assert load_program(path, "vqe").module == "found_chem.found_vqe"


def test_several_programs_must_be_told_apart(tmp_path: Path) -> None:
    path = file(tmp_path, "import qloom\n@qloom.program\ndef a(ctx): ...\n@qloom.program\ndef b(ctx): ...\n")
    with pytest.raises(Misuse, match=r"found_vqe.py has 2 programs: a, b; name one, as in found_vqe.py:a"):
        load_program(path)


def test_no_program_and_a_wrong_name_are_refused(tmp_path: Path) -> None:
    path = file(tmp_path, "import qloom\n@qloom.program\ndef vqe(ctx): ...\n")
    with pytest.raises(UnknownName, match="did you mean 'vqe'"):
        load_program(path, "vqee")
    with pytest.raises(Misuse, match="no program; put @qloom"):
        load_program(file(tmp_path, "", "found_empty.py"))


@pytest.mark.usefixtures("clean_imports")
@pytest.mark.parametrize("statement", ["1 / 0", "import nothing_of_that_name", "raise SystemExit(3)"])
def test_a_file_that_raises_at_import_is_the_users_failure(tmp_path: Path, statement: str) -> None:
    path = file(tmp_path, f"def vqe(ctx): ...\n{statement}\n")
    with pytest.raises(ProgramFailed, match=r"found_vqe.py could not be imported") as caught:
        load_program(path, "vqe")
    assert caught.value.frames == (f"found_vqe.py:2 in <module>: {statement}",)


@pytest.mark.usefixtures("clean_imports")
def test_a_missing_module_is_told_without_pythons_own_frames_and_with_the_way_to_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, "def vqe(ctx): ...\nimport nothing_of_that_name\n")
    monkeypatch.chdir(tmp_path)  # where `<frozen importlib._bootstrap>` would be a file of ours
    with pytest.raises(ProgramFailed, match="has no module nothing_of_that_name: list the package that brings it") as caught:
        load_program(path, "vqe")
    assert caught.value.frames == ("found_vqe.py:2 in <module>: import nothing_of_that_name",)


def test_a_file_with_the_name_of_a_loaded_module_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, "def vqe(ctx): ...", "numpy.py")
    with pytest.raises(InvalidProgram, match="loaded already; rename the file"):
        load_program(path, "vqe")
