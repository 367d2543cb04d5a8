import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qloom.errors import InvalidProgram, UnknownName
from qloom.programs.collecting import LIMIT_MB
from qloom.programs.shipping import Bundle, bundle_file, bundle_function, find_programs

Tree = dict[str, str]

PROGRAM = "import qloom\n\n@qloom.program\ndef vqe(ctx: qloom.Context) -> int:\n    return 1\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Tree], Path]:
    """Writes files below a folder and returns the folder."""

    def writer(files: Tree) -> Path:
        for name, text in files.items():
            path = tmp_path / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return (tmp_path / "project").resolve()

    return writer


def ship(root: Path, name: str, program: str = "vqe", data_files: tuple[str, ...] = ()) -> Bundle:
    return bundle_file(root / name, program, data_files)


# ---- which files travel


def test_a_file_travels_with_the_modules_beside_it_that_it_imports(write: Callable[[Tree], Path]) -> None:
    root = write({
        "vqe.py": PROGRAM + "import numpy as np\nfrom ansatz import ry\nimport json\n",
        "ansatz.py": "import angles\nry = 1\n",
        "angles.py": "",
        "unrelated.py": "",
    })  # fmt: skip
    bundle = ship(root, "vqe.py")
    assert list(bundle.files) == ["angles.py", "ansatz.py", "vqe.py"]
    assert bundle.files["vqe.py"] == (root / "vqe.py").read_bytes()
    assert (bundle.entry_point, bundle.third_party, bundle.notes) == ("vqe:vqe", ("numpy",), ())


def test_a_file_in_a_package_travels_with_its_packages_and_relative_imports(write: Callable[[Tree], Path]) -> None:
    root = write({
        "chem/__init__.py": "from .constants import H\n",
        "chem/constants.py": "H = 1",
        "chem/vqe/__init__.py": "",
        "chem/vqe/main.py": PROGRAM + "from . import ansatz\nfrom ..tools import io as _io, missing_name\nfrom .deep.er import x",
        "chem/vqe/ansatz.py": "import chem.extra.more\n",
        "chem/tools/__init__.py": "",
        "chem/tools/io.py": "",
        "chem/vqe/deep/er.py": "",
        "chem/extra/__init__.py": "",
        "chem/extra/more.py": "",
        "chem/extra/not_this.py": "",
        "other.py": "",
    })  # fmt: skip
    bundle = ship(root, "chem/vqe/main.py")
    assert bundle.entry_point == "chem.vqe.main:vqe"
    assert set(bundle.files) == {
        *("chem/__init__.py", "chem/constants.py", "chem/vqe/__init__.py", "chem/vqe/main.py", "chem/vqe/ansatz.py"),
        *("chem/tools/__init__.py", "chem/tools/io.py", "chem/vqe/deep/er.py", "chem/extra/__init__.py", "chem/extra/more.py"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    import helper\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import helper\n",
        "try:\n    import nothing\nexcept ImportError:\n    from helper import x\n",
        "class A:\n    def f(self):\n        with open('x'):\n            import helper\n",
        "match 1:\n    case 1:\n        import helper\n",
        "async def f():\n    async for _ in g():\n        import helper\n    else:\n        pass\n",
    ],
)
def test_an_import_counts_wherever_it_stands(write: Callable[[Tree], Path], text: str) -> None:
    root = write({"vqe.py": PROGRAM + text, "helper.py": "x = 1"})
    assert "helper.py" in ship(root, "vqe.py").files


def test_a_star_import_takes_the_submodules_in_all(write: Callable[[Tree], Path]) -> None:
    root = write(
        {"vqe.py": PROGRAM + "from tools import *\n", "tools/__init__.py": "__all__ = ['a']", "tools/a.py": "", "tools/b.py": ""}
    )
    assert set(ship(root, "vqe.py").files) == {"vqe.py", "tools/__init__.py", "tools/a.py"}


def test_folders_without_init_are_packages_too(write: Callable[[Tree], Path]) -> None:
    root = write({"vqe.py": PROGRAM + "from tools.deep import a\n", "tools/deep/a.py": "", "tools/b.py": ""})
    assert set(ship(root, "vqe.py").files) == {"vqe.py", "tools/deep/a.py"}


def test_a_folder_with_the_name_of_an_installed_package_is_not_taken_for_it(write: Callable[[Tree], Path]) -> None:
    root = write({"vqe.py": PROGRAM + "import numpy.linalg\n", "numpy/linalg.py": "", "numpy/notes.txt": ""})
    bundle = ship(root, "vqe.py")
    assert (list(bundle.files), bundle.third_party) == (["vqe.py"], ("numpy",))


def test_packages_that_are_only_tried_are_told_apart(write: Callable[[Tree], Path]) -> None:
    tried = "try:\n    import networkx, scipy\nexcept ImportError:\n    networkx = None\n"
    root = write({"vqe.py": "import scipy\n" + tried + PROGRAM})
    bundle = bundle_file(root / "vqe.py", "vqe")
    assert (bundle.third_party, bundle.optional) == (("networkx", "scipy"), ("networkx",))


def test_what_cannot_travel_is_noted(write: Callable[[Tree], Path]) -> None:
    root = write({
        "vqe.py": PROGRAM + "import json\nimport fast\ntry:\n    from .x import y\nexcept ImportError:\n    pass\n",
        "json.py": "",
        "fast.cpython-311-x86_64-linux-gnu.so": "",
    })  # fmt: skip
    bundle = ship(root, "vqe.py")
    assert list(bundle.files) == ["vqe.py"]
    assert [note.partition(": ")[2].split()[0] for note in bundle.notes] == [
        "json",
        "fast.cpython-311-x86_64-linux-gnu.so",
        "the",
    ]


def test_neighbours_of_a_file_in_a_package_must_be_imported_as_such(write: Callable[[Tree], Path]) -> None:
    root = write({"chem/__init__.py": "", "chem/vqe.py": PROGRAM + "import helper_of_mine\n", "chem/helper_of_mine.py": ""})
    with pytest.raises(InvalidProgram, match=r"vqe.py, line 6: helper_of_mine stands beside it.*from \. import helper_of_mine"):
        ship(root, "chem/vqe.py")


# ---- what cannot be shipped


def test_a_syntax_error_is_told_with_its_line(write: Callable[[Tree], Path]) -> None:
    root = write({"vqe.py": PROGRAM + "import helper\n", "helper.py": "x = 1\ny = (\n"})
    with pytest.raises(InvalidProgram, match=r"helper.py, line 2: '\(' was never closed"):
        ship(root, "vqe.py")


@pytest.mark.parametrize(
    ("name", "said"), [("vqe.v2.py", "rename"), ("random.py", "module of Python"), ("qloom.py", "rename"), ("vqe.txt", r"\.py")]
)
def test_a_file_that_cannot_be_imported_is_refused(write: Callable[[Tree], Path], name: str, said: str) -> None:
    root = write({name: PROGRAM})
    with pytest.raises(InvalidProgram, match=said):
        ship(root, name)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidProgram, match="cannot be read"):
        bundle_file(tmp_path / "vqe.py", "vqe")


def test_bytes_that_are_no_python_are_refused(tmp_path: Path) -> None:
    (tmp_path / "vqe.py").write_bytes(b"x = 1\0\n")
    with pytest.raises(InvalidProgram, match="null bytes"):
        bundle_file(tmp_path / "vqe.py", "vqe")


def test_an_unknown_program_is_refused_with_the_nearest(write: Callable[[Tree], Path]) -> None:
    with pytest.raises(UnknownName, match=r"no program in vqe\.py called 'vqee'; did you mean 'vqe'"):
        ship(write({"vqe.py": PROGRAM}), "vqe.py", "vqee")


# ---- data files


def test_data_files_travel_by_patterns_relative_to_the_program(write: Callable[[Tree], Path]) -> None:
    root = write({
        "chem/__init__.py": "",
        "chem/vqe.py": PROGRAM,
        "chem/h2.json": "{}",
        "chem/data/a.csv": "1",
        "chem/data/deep/b.csv": "2",
        "chem/data/__pycache__/x.pyc": "",
    })  # fmt: skip
    bundle = ship(root, "chem/vqe.py", data_files=("*.json", "data"))
    assert set(bundle.files) - {"chem/__init__.py", "chem/vqe.py"} == {"chem/h2.json", "chem/data/a.csv", "chem/data/deep/b.csv"}
    assert ship(root, "chem/vqe.py", data_files=("**/*.csv",)).files["chem/data/deep/b.csv"] == b"2"


@pytest.mark.parametrize(
    ("pattern", "said"), [("*.jsn", "no data file matches"), ("../x.json", "outside"), ("/etc/hosts", "outside")]
)
def test_data_files_that_are_missing_or_outside_are_refused(write: Callable[[Tree], Path], pattern: str, said: str) -> None:
    root = write({"vqe.py": PROGRAM})
    (root.parent / "x.json").write_text("{}")
    with pytest.raises(InvalidProgram, match=said):
        ship(root, "vqe.py", data_files=(pattern,))


def test_a_link_that_leads_outside_is_refused(write: Callable[[Tree], Path], tmp_path: Path) -> None:
    root = write({"vqe.py": PROGRAM})
    (tmp_path / "secret").write_text("x")
    (root / "data.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidProgram, match="leads outside the program's folder"):
        ship(root, "vqe.py", data_files=("*.txt",))


def test_more_than_the_limit_is_refused_with_the_numbers(write: Callable[[Tree], Path]) -> None:
    root = write({"vqe.py": PROGRAM})
    with (root / "big.bin").open("wb") as file:
        os.truncate(file.fileno(), LIMIT_MB * 1_000_000 + 1)
    with pytest.raises(InvalidProgram, match=r"have 50\.0 MB, the limit is 50 MB"):
        ship(root, "vqe.py", data_files=("big.bin",))


# ---- digests


def test_the_digest_depends_on_content_and_names_only(write: Callable[[Tree], Path]) -> None:
    root = write({"vqe.py": PROGRAM + "import a, b\n", "a.py": "1", "b.py": "2"})
    first = ship(root, "vqe.py").digest
    os.utime(root / "a.py", (1, 1))
    assert ship(root, "vqe.py").digest == first
    (root / "a.py").write_text("2")
    (root / "b.py").write_text("1")
    assert ship(root, "vqe.py").digest != first


def test_the_digest_depends_on_the_entry_point(write: Callable[[Tree], Path]) -> None:
    root = write({"vqe.py": PROGRAM + PROGRAM.replace("vqe", "qaoa")})
    assert ship(root, "vqe.py").digest != ship(root, "vqe.py", "qaoa").digest


# ---- functions


def module_level(ctx: Any) -> int:
    return 1


def test_a_function_is_shipped_as_its_file() -> None:
    bundle = bundle_function(module_level)
    module, _, name = bundle.entry_point.partition(":")
    assert name == "module_level"
    assert bundle.files[module.replace(".", "/") + ".py"] == Path(__file__).read_bytes()


def test_a_closure_is_refused_by_its_variable() -> None:
    connection = os.scandir()

    def closes_over(ctx: Any) -> object:
        return connection

    with (
        connection,
        pytest.raises(InvalidProgram, match=r"variable 'connection' is a live posix.ScandirIterator; create it inside"),
    ):
        bundle_function(closes_over)


def test_a_function_inside_another_is_refused() -> None:
    number = 3

    def inner(ctx: Any) -> None: ...
    def over_a_number(ctx: Any) -> int:
        return number

    with pytest.raises(InvalidProgram, match="is defined inside something else; move it to the top level"):
        bundle_function(inner)
    with pytest.raises(InvalidProgram, match="variable 'number' belongs to the function around it; pass it as a parameter"):
        bundle_function(over_a_number)


def test_a_function_without_source_is_refused() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def typed(ctx): return 1", names)
    with pytest.raises(InvalidProgram, match="source of typed cannot be read"):
        bundle_function(names["typed"])
    with pytest.raises(InvalidProgram, match="no Python function"):
        bundle_function(len)


SCRIPT = """
import functools
from helper import two
from qloom.programs.shipping import bundle_function

def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

@logged
def vqe(ctx):
    return two

if __name__ == "__main__":
    import os; os.chdir("/")
    bundle = bundle_function(vqe)
    print(bundle.entry_point, *bundle.files)
"""


@pytest.mark.parametrize("arguments", [["vqe.py"], ["-m", "vqe"]])
def test_a_script_that_is_run_ships_itself(write: Callable[[Tree], Path], arguments: list[str]) -> None:
    root = write({"vqe.py": SCRIPT, "helper.py": "two = 2"})
    done = subprocess.run([sys.executable, *arguments], cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["vqe:vqe", "helper.py", "vqe.py"]


def test_a_module_run_from_a_folder_without_init_keeps_its_name(write: Callable[[Tree], Path]) -> None:
    root = write({"tools/vqe.py": SCRIPT.replace("from helper", "from tools.helper"), "tools/helper.py": "two = 2"})
    done = subprocess.run([sys.executable, "-m", "tools.vqe"], cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["tools.vqe:vqe", "tools/helper.py", "tools/vqe.py"]


def test_shipping_runs_nothing(write: Callable[[Tree], Path]) -> None:
    root = write({"vqe.py": PROGRAM + "import helper\nraise SystemExit", "helper.py": "raise SystemExit"})
    assert set(ship(root, "vqe.py").files) == {"vqe.py", "helper.py"}
    assert find_programs(root / "vqe.py") == ["vqe"]
