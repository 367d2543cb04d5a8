"""Notebooks without Jupyter: cells run in one namespace without a file, their text remembered as IPython remembers it."""

import ast
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qloom.errors import InvalidProgram
from qloom.programs.shipping import Bundle, bundle_function
from tests.programs.fakes import Notebook


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def ship(notebook: Notebook, program: str, text: str = "") -> Bundle:
    return bundle_function(notebook.run(text)[program])


def text_of(bundle: Bundle) -> str:
    return bundle.files[bundle.entry_point.partition(":")[0] + ".py"].decode()


def again(bundle: Bundle) -> dict[str, Any]:
    """The names that the shipped module defines."""
    names: dict[str, Any] = {"__name__": "shipped"}
    exec(compile(text_of(bundle), "shipped.py", "exec"), names)
    return names


def refusal(notebook: Notebook, text: str, program: str = "vqe") -> str:
    with pytest.raises(InvalidProgram) as caught:
        ship(notebook, program, text)
    return str(caught.value)


# ---- what travels


def test_a_cell_travels_with_the_functions_constants_and_imports_it_uses(notebook: Notebook) -> None:
    notebook.run("import numpy as np\nfrom math import sqrt\nUNUSED = object()")
    notebook.run("ANGLES = [0.1, 0.2]\ndef half(x):\n    return sqrt(x) / 2  # a comment\n")
    bundle = ship(notebook, "vqe", "def vqe(ctx, n: int = 3):\n    return half(4) + np.sum(ANGLES) * n\n")
    assert bundle.entry_point == "vqe_from_notebook:vqe"
    assert bundle.third_party == ("numpy",)
    assert "# a comment" in text_of(bundle)
    assert "UNUSED" not in text_of(bundle)
    assert again(bundle)["vqe"](None) == pytest.approx(1 + 0.3 * 3)


def test_names_used_where_a_function_is_defined_come_first(notebook: Notebook) -> None:
    notebook.run(
        "import functools\ndef double(x):\n    return 2 * x\nRESULT = 1\n"
        "def twice(function):\n    double(RESULT)\n    return functools.wraps(function)(lambda *a: double(function(*a)))\n"
    )
    notebook.run("from dataclasses import dataclass\nDEPTH = 3\n@dataclass\nclass Layer:\n    depth: int = DEPTH\n")
    notebook.run("@twice\n@functools.cache\ndef base(depth=Layer().depth):\n    return depth\n")
    bundle = ship(notebook, "vqe", "def vqe(ctx, layer: Layer = Layer(2)):\n    return base() + layer.depth\n")
    assert again(bundle)["vqe"](None) == 8


def test_functions_may_call_each_other_in_circles(notebook: Notebook) -> None:
    notebook.run("def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n != 0 and even(n - 1)\n")
    assert again(ship(notebook, "vqe", "def vqe(ctx):\n    return even(10), odd(10)"))["vqe"](None) == (True, False)


def test_the_value_a_constant_has_now_is_what_travels(notebook: Notebook) -> None:
    notebook.run("steps = []\nbig = 1\ndef vqe(ctx):\n    return steps, big")
    notebook.run("steps.append(0.1)\nbig = 2**70")
    assert again(ship(notebook, "vqe"))["vqe"](None) == ([0.1], 2**70)


def test_arrays_and_circuits_travel_exactly(notebook: Notebook) -> None:
    names = notebook.run(
        "import numpy as np\nfrom qloom.circuits import Circuit, Observable, Parameter\n"
        "theta = np.random.default_rng(1).normal(size=(2, 3))\n"
        "circuit = Circuit(2).h(0).rx(2 * Parameter('a') + 0.3, 1).verbatim(Circuit(2).x(0)).measure_all()\n"
        "energy = Observable({'ZZ': 0.1, 'XX': 1 / 3})\n"
    )
    shipped = again(ship(notebook, "vqe", "def vqe(ctx):\n    return theta, circuit, energy"))["vqe"](None)
    assert np.array_equal(shipped[0], names["theta"])
    assert shipped[1] == names["circuit"]
    assert shipped[1].digest == names["circuit"].digest
    assert shipped[2] == names["energy"]


def test_submodules_reached_by_dots_are_imported(notebook: Notebook) -> None:
    notebook.run("import xml.etree.ElementTree\nimport xml.etree.ElementTree as tree\nimport os as system")
    bundle = ship(notebook, "vqe", "def vqe(ctx):\n    return xml.etree.ElementTree.Element, tree.Element, system.path.sep")
    code = f"{text_of(bundle)}\nassert vqe(None)[0] is vqe(None)[1]\n"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_names_from_private_modules_are_imported_from_where_users_do(notebook: Notebook) -> None:
    notebook.run("from decimal import Decimal\nfrom concurrent.futures import ThreadPoolExecutor as Pool\nfrom numpy import sin")
    text = text_of(ship(notebook, "vqe", "def vqe(ctx):\n    return Decimal, Pool, sin"))
    assert "from decimal import Decimal" in text
    assert "from concurrent.futures import ThreadPoolExecutor as Pool" in text
    assert "from numpy import sin" in text


def test_enums_aliases_and_optional_annotations_travel(notebook: Notebook) -> None:
    notebook.run("import enum\nfrom typing import Optional\nclass Kind(enum.Enum):\n    RY = 'ry'\nBEST = Kind.RY\n")
    notebook.run("def one():\n    return 1\nfirst = one\n")
    shipped = again(ship(notebook, "vqe", "def vqe(ctx, kind: 'Optional[Kind]' = None):\n    return BEST, first()"))
    assert shipped["vqe"](None) == (shipped["Kind"].RY, 1)


def test_postponed_annotations_stay_postponed(notebook: Notebook) -> None:
    bundle = ship(notebook, "vqe", "from __future__ import annotations\nNumber = 3\ndef vqe(ctx, n: Number = 1): ...")
    assert again(bundle)["vqe"].__annotations__ == {"n": "Number"}


def test_a_definition_in_a_block_is_taken_out_of_it(notebook: Notebook) -> None:
    bundle = ship(notebook, "vqe", "if True:\n    def vqe(ctx):\n        return '''a\nb'''\n")
    assert again(bundle)["vqe"](None) == "a\nb"


def test_the_latest_run_of_a_cell_counts(notebook: Notebook) -> None:
    notebook.run("class Layer:\n    depth = 1\ndef helper():\n    return 1\n")
    notebook.run("class Layer:\n    width = 2\ndef helper():\n    return 2\n")
    assert again(ship(notebook, "vqe", "def vqe(ctx):\n    return Layer.width, helper()"))["vqe"](None) == (2, 2)


def test_modules_in_the_notebooks_folder_travel_too(notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nb_helper.py").write_text("import nb_deeper\nN = nb_deeper.N")
    (tmp_path / "nb_deeper.py").write_text("N = 1")
    (tmp_path / "data.json").write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    function = notebook.run("import nb_helper\ndef vqe(ctx):\n    return nb_helper.N")["vqe"]
    bundle = bundle_function(function, data_files=("*.json",))
    assert set(bundle.files) == {"vqe_from_notebook.py", "nb_helper.py", "nb_deeper.py", "data.json"}


def test_modules_from_a_folder_that_was_added_to_the_path_travel_too(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "nb_lib").mkdir(parents=True)
    (tmp_path / "src" / "nb_lib" / "__init__.py").write_text("from .inner import f")
    (tmp_path / "src" / "nb_lib" / "inner.py").write_text("def f(): return 1")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "src")
    monkeypatch.chdir(tmp_path / "elsewhere")
    bundle = ship(notebook, "vqe", "from nb_lib import f\ndef vqe(ctx):\n    return f()")
    assert set(bundle.files) == {"vqe_from_notebook.py", "nb_lib/__init__.py", "nb_lib/inner.py"}


def test_packages_of_an_installer_do_not_travel(notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "target" / "nb_installed-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "target" / "nb_installed.py").write_text("def f(): return 1")
    monkeypatch.syspath_prepend(tmp_path / "target")
    bundle = ship(notebook, "vqe", "from nb_installed import f\ndef vqe(ctx):\n    return f()")
    assert (list(bundle.files), bundle.third_party) == (["vqe_from_notebook.py"], ("nb_installed",))


def test_equal_notebooks_ship_equal_text_in_every_process(tmp_path: Path) -> None:
    code = """
import sys; sys.path.insert(0, {repository!r})
from tests.programs.fakes import Notebook
from qloom.programs.shipping import bundle_function
notebook = Notebook()
notebook.run("import os, math\\nNAMES = {{'a', 'b', 'c', 'd'}}\\ndef f(): return NAMES, os, math\\ndef g(): return f()")
print(bundle_function(notebook.run("def vqe(ctx): return f(), g(), NAMES")["vqe"]).digest)
"""
    repository = str(Path(__file__).resolve().parents[2])
    digests = {
        subprocess.run(
            [sys.executable, "-c", code.format(repository=repository)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_shipped_text_is_python_that_any_tool_reads(notebook: Notebook) -> None:
    tree = ast.parse(text_of(ship(notebook, "vqe", "N = 1\ndef vqe(ctx):\n    return N")))
    assert [type(node).__name__ for node in tree.body] == ["Assign", "FunctionDef"]


# ---- what is refused, by name


def test_live_objects_are_refused_by_their_variable(notebook: Notebook) -> None:
    notebook.run("import sqlite3\nsession = sqlite3.connect(':memory:')\nconfig = {'db': [1, session]}")
    expected = "a live sqlite3.Connection; create it inside the program or pass it as a parameter"
    assert refusal(notebook, "def vqe(ctx):\n    return session") == f"program vqe: variable 'session' is {expected}"
    assert (
        refusal(notebook, "def vqe(ctx):\n    return config") == f"program vqe: variable 'config' holds at ['db'][1] {expected}"
    )
    assert isinstance(notebook.names["session"], sqlite3.Connection)


def test_a_live_object_behind_a_helper_is_found(notebook: Notebook) -> None:
    notebook.run("import threading\nlock = threading.Lock()\ndef helper():\n    return lock\n")
    assert "variable 'lock' is a live _thread.lock" in refusal(notebook, "def vqe(ctx):\n    return [helper() for _ in range(2)]")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("def vqe(ctx):\n    return gone", "name 'gone', used by 'vqe', is not defined in the notebook (any more)"),
        ("square = lambda x: x * x\ndef vqe(ctx):\n    return square(2)", "variable 'square' is a lambda"),
        ("def make(n):\n    def inner():\n        return n\n    return inner\nthree = make(3)\ndef vqe(ctx):\n    return three()",
         "'three' is a closure: variable 'n' belongs to the function around it"),
        ("def make():\n    def inner(): ...\n    return inner\nmade = make()\ndef vqe(ctx):\n    return made()",
         "'made' was made inside 'make'"),
        ("import numpy as np\ndata = np.zeros(20_000)\ndef vqe(ctx):\n    return data",
         "an array of 20,000 numbers, the limit is 10,000"),
        ("text = 'x' * 200_000\ndef vqe(ctx):\n    return text", "variable 'text' is too large"),
        ("endless = []\nendless.append(endless)\ndef vqe(ctx):\n    return endless", "variable 'endless' contains itself"),
        ("def f(): return 1\nold = f\ndef f(): return 2\ndef vqe(ctx):\n    return old() + f()", "is another version of 'f'"),
    ],
    ids=["deleted", "lambda", "closure", "inner", "large array", "large text", "endless", "old version"],
)  # fmt: skip
def test_what_cannot_travel_is_refused_by_name(notebook: Notebook, cell: str, said: str) -> None:
    assert said in refusal(notebook, cell)


def test_a_class_without_one_clear_source_is_refused(notebook: Notebook) -> None:
    for depth in (1, 2):
        notebook.run(f"class Settings:\n    depth = {depth}\n")
    assert "class 'Settings' was defined in several cells" in refusal(notebook, "def vqe(ctx):\n    return Settings")


def test_names_that_only_notebooks_have_are_refused(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = type("Shell", (), {"__module__": "IPython.core", "get_ipython": lambda self: self})()
    monkeypatch.setitem(notebook.names["__builtins__"].__dict__, "get_ipython", shell.get_ipython)
    monkeypatch.setattr(type(shell).get_ipython, "__module__", "IPython.core")
    assert "variable 'get_ipython' is a live" in refusal(notebook, "def vqe(ctx):\n    get_ipython()")
