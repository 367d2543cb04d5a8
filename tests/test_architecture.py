"""The floors of src/qloom: who may import whom, and how light `import qloom` stays.

`objections(source)` reads a source tree without running it and returns every breach in words. The tests below ask it about
qloom itself, and about small trees that are wrong on purpose, so that a checker which sees nothing cannot pass.
"""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

# Lowest first. A room is a folder or a file directly under src/qloom; each stands on one floor.
FLOORS: dict[str, tuple[str, ...]] = {
    "words": ("errors", "circuits", "noise", "tasks", "results", "specs", "limits", "jobspecs", "contracts", "pipelines"),
    "kit": ("kit",),
    "rooms": ("convert", "programs", "journal", "devices", "mitigation", "executors", "environments", "storage", "money"),
    "services": ("service", "vqpu", "twin", "bpmn", "hpc"),
    "settings": ("config", "catalogue"),
    "composition": ("app", "entry", "launching", "sealing", "surroundings"),
    "faces": ("api", "cli", "frontends", "flows", "dashboard", "report", "testing", "compat"),
    "front": ("__init__", "__main__"),
}
# Which floors a floor may import. Its own name here means that its rooms may import each other, as long as there is no cycle.
SEES: dict[str, set[str]] = {
    "words": {"words"},
    "kit": {"words"},
    "rooms": {"words", "kit"},
    "services": {"words", "kit"},
    "settings": {"words", "kit", "settings"},
    "composition": {"words", "kit", "rooms", "services", "settings", "composition"},
    "faces": {"words", "kit", "settings", "composition", "faces"},
    "front": {"words", "settings", "composition", "faces"},
}
# Single rooms that a face may import besides: the words a user speaks, and the reading of other people's circuits.
ALSO_SEES: dict[str, set[str]] = {
    "__init__": {"programs"},
    "api": {"programs", "convert"},
    "cli": {"programs", "convert"},
    "compat": {"programs", "convert"},
    "frontends": {"convert"},
    "testing": {"programs", "convert"},
}
# Folders without Python: files that travel with the package.
DATA = {"schemas"}
# What `import qloom` must not load: a command line that only prints help would wait for each of them.
HEAVY = {
    *("aiohttp", "boto3", "botocore", "cirq", "dask", "distributed", "fastapi", "flask", "httpx", "mitiq", "numpy", "pennylane"),
    *("prefect", "pydantic", "qiskit", "qulacs", "rich", "scipy", "sqlalchemy", "starlette", "typer", "uvicorn"),
}

USER_PROGRAM = """
import qloom

@qloom.program
def double(ctx: qloom.Context, number: int = 1) -> dict:
    return {"twice": 2 * number}
"""

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "src"

FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
HEIGHT = {floor: height for height, floor in enumerate(FLOORS)}


@dataclass(frozen=True)
class Import:
    importer: str  # dotted module names; a package is named without its __init__
    imported: str
    place: str


def objections(source: Path) -> list[str]:
    """Every breach of the floors in the tree source/qloom, each as a line that says where and why."""
    files = {module_name(path, source): path for path in sorted((source / "qloom").rglob("*.py"))}
    imports = [found for name, path in files.items() for found in imports_of(name, path, source, set(files))]
    return [*room_objections(source / "qloom"), *floor_objections(imports), *cycle_objections(imports)]


def module_name(path: Path, source: Path) -> str:
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(name: str, path: Path, source: Path, modules: set[str]) -> Iterator[Import]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in run_nodes(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        for target in targets(node, package):
            if target == "qloom" or target.startswith("qloom."):
                yield Import(name, known_module(target, modules), f"{path.relative_to(source)}:{getattr(node, 'lineno', 0)}")


def run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, functions included, without what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for other in child.orelse:
                yield other
                yield from run_nodes(other)
        else:
            yield child
            yield from run_nodes(child)


def targets(node: ast.AST, package: str) -> list[str]:
    """What a node imports, as dotted names; the last part may be a module or a name inside one."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            parents = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            origin = ".".join([*parents, *([module] if module else [])])
            return [f"{origin}.{alias.name}" for alias in names]
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(text)), *_]):
            return [text] if called in {"import_module", "__import__"} else []
    return []


def known_module(target: str, modules: set[str]) -> str:
    """The module that `target` means: itself, or the one that holds the name; a room even before its file is written."""
    parts = target.split(".")
    for length in range(len(parts), 1, -1):
        if (candidate := ".".join(parts[:length])) in modules:
            return candidate
    if len(parts) > 2 or (len(parts) == 2 and parts[1] in FLOOR_OF):
        return ".".join(parts[:2])
    return "qloom"


def room_objections(package: Path) -> Iterator[str]:
    for entry in sorted(package.iterdir()):
        python = [entry] if entry.suffix == ".py" else sorted(entry.rglob("*.py")) if entry.is_dir() else []
        others = entry.is_dir() and any(path.is_file() for path in entry.rglob("*") if path.suffix != ".pyc")
        if not python and (entry.is_file() or not others or entry.name in DATA):
            continue  # a file of data, or a folder that git does not see
        if entry.stem not in FLOOR_OF:
            yield f"qloom/{entry.name}: unknown room; FLOORS in tests/test_architecture.py says on which floor each one stands"
        elif FLOOR_OF[entry.stem] != "front" and not any(says_something(path) for path in python):
            yield f"qloom/{entry.name}: empty room; a room exists from the change that fills it"


def says_something(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def floor_objections(imports: list[Import]) -> Iterator[str]:
    for found in imports:
        if reason := why_not(room_of(found.importer), room_of(found.imported)):
            yield f"{found.place}: {found.importer} imports {found.imported}: {reason}"


def why_not(importer: str, imported: str) -> str | None:
    """Why one room may not import another; None when it may."""
    if importer == imported or importer not in FLOOR_OF:
        return None  # an unknown importer is reported once, as a room
    if imported not in FLOOR_OF:
        return f"unknown room {imported!r}"
    lower, upper = FLOOR_OF[imported], FLOOR_OF[importer]
    if lower in SEES[upper] or imported in ALSO_SEES.get(importer, ()):
        return None
    if lower == upper:
        return f"sideways; {upper} do not import each other, app.py introduces them"
    if HEIGHT[lower] > HEIGHT[upper]:
        return f"upward, from {upper} to {lower}"
    return f"around app.py; {upper} get what is on the floor {lower!r} handed to them"


def cycle_objections(imports: list[Import]) -> Iterator[str]:
    """One cycle of files and one of rooms, if there are any: mending one shows the next."""
    files = {(found.importer, found.imported) for found in imports}
    rooms = {(room_of(importer), room_of(imported)) for importer, imported in files}
    for kind, arrows in (("modules", files), ("rooms", rooms)):
        if cycle := find_cycle(arrows):
            yield f"cycle of {kind}: {' -> '.join(cycle)}"


def find_cycle(arrows: set[tuple[str, str]]) -> list[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for importer, imported in sorted(arrows):
        if importer != imported:
            sorter.add(importer, imported)
    try:
        sorter.prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def heavy_modules_loaded_by(statement: str, *paths: Path) -> set[str]:
    """Which of HEAVY a fresh interpreter has loaded after `statement`, with `paths` first on its import path."""
    script = f"""\
import json, sys
sys.path[:0] = {[str(path) for path in paths]!r}
before = set(sys.modules)  # what an installed package's .pth file loads is not ours
{statement}
print(json.dumps(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return HEAVY & set(json.loads(done.stdout))


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """A source tree below `root`; every folder becomes a package that says something."""
    for name, text in {"__init__.py": "__version__ = '0'", **files}.items():
        path = root / "qloom" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
        if path.suffix == ".py" and not (path.parent / "__init__.py").exists():
            (path.parent / "__init__.py").write_text("__all__ = []\n", encoding="utf-8")
    return root


# --- qloom itself


def test_qloom_keeps_its_floors() -> None:
    assert objections(SOURCE) == []


def test_importing_qloom_loads_nothing_heavy() -> None:
    assert heavy_modules_loaded_by("import qloom", SOURCE) == set()


def test_declaring_a_program_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "user_program.py").write_text(USER_PROGRAM, encoding="utf-8")
    assert heavy_modules_loaded_by("import user_program", SOURCE, tmp_path) == set()


def test_registered_names_are_module_names() -> None:
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    registered = {name: target for entries in groups.values() for name, target in entries.items()}
    modules = {name: target.partition(":")[0].rpartition(".")[2] for name, target in registered.items()}
    assert {name.replace("-", "_"): module for name, module in modules.items()} == {module: module for module in modules.values()}


# --- the checker: trees that are right, and trees that are wrong in one place


@pytest.mark.parametrize(
    "files",
    [
        {"tasks.py": "from qloom.circuits.gates import H", "circuits/gates.py": "H = 1"},
        {"kit/waiting.py": "from qloom import errors", "errors.py": "class QloomError(Exception): ..."},
        {"app.py": "from qloom import devices, journal", "devices/sim.py": "", "journal/segment.py": ""},
        {"devices/sim.py": "from . import engines\nfrom .engines import best", "devices/engines.py": "best = 1"},
        {
            "devices/sim.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from qloom.app import App",
            "app.py": "App = 1",
        },
        {"frontends/cirq.py": "import qloom.convert.cirq", "convert/cirq.py": ""},
        {"errors.py": "import qloomish", "schemas/job.json": "{}"},
    ],
    ids=["words", "kit", "app", "inside a room", "type checking", "a face and its room", "other names and data"],
)
def test_arrows_down_are_fine(tmp_path: Path, files: dict[str, str]) -> None:
    assert objections(write_tree(tmp_path, files)) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"errors.py": "from qloom.kit import x", "kit/x.py": ""}, "qloom/errors.py:1: qloom.errors imports qloom.kit.x: upward"),
        ({"kit/x.py": "from ..app import App", "app.py": "App = 1"}, "qloom.kit.x imports qloom.app: upward"),
        (
            {"devices/sim.py": "import qloom.journal.segment", "journal/segment.py": ""},
            "sideways; rooms do not import each other",
        ),
        (
            {"vqpu/server.py": "from qloom.service import api", "service/api.py": ""},
            "sideways; services do not import each other",
        ),
        ({"twin/server.py": "from qloom.money import x", "money/x.py": ""}, "around app.py; services get"),
        ({"report/page.py": "from qloom.journal import x", "journal/x.py": ""}, "around app.py; faces get"),
        ({"config.py": "from qloom.storage import x", "storage/x.py": ""}, "around app.py; settings get"),
        (
            {"devices/sim.py": "def f():\n    from qloom.app import App", "app.py": "App = 1"},
            "qloom/devices/sim.py:2: qloom.devices.sim",
        ),
        ({"devices/sim.py": "import importlib\nimportlib.import_module('qloom.app')", "app.py": "App = 1"}, "upward"),
        ({"cli/run.py": "from qloom import program"}, "qloom.cli.run imports qloom: upward, from faces to front"),
        ({"utils/text.py": "x = 1"}, "qloom/utils: unknown room"),
        ({"helpers.py": "x = 1"}, "qloom/helpers.py: unknown room"),
        ({"errors.py": "from qloom.helpers import x"}, "unknown room 'helpers'"),
        ({"money/__init__.py": '"""Later."""'}, "qloom/money: empty room"),
    ],
)
def test_a_wrong_arrow_or_room_is_reported(tmp_path: Path, files: dict[str, str], said: str) -> None:
    found = objections(write_tree(tmp_path, files))
    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"kit/a.py": "from qloom.kit import b", "kit/b.py": "def f():\n    import qloom.kit.a"}, "cycle of modules: qloom.kit."),
        (
            {"tasks.py": "import qloom.results", "results.py": "from qloom.tasks import x"},
            "cycle of rooms: results -> tasks -> results",
        ),
        (
            {
                "circuits/a.py": "import qloom.specs",
                "circuits/b.py": "x = 1",
                "specs.py": "from qloom.circuits.b import x",
            },
            "cycle of rooms: circuits -> specs -> circuits",
        ),
    ],
    ids=["inside a room", "of two files", "of rooms whose files make none"],
)
def test_a_cycle_is_reported(tmp_path: Path, files: dict[str, str], said: str) -> None:
    found = objections(write_tree(tmp_path, files))
    assert any(said in line for line in found), found


def test_a_heavy_import_is_seen(tmp_path: Path) -> None:
    write_tree(tmp_path, {"__init__.py": "from qloom.results import x", "results.py": "import numpy as np\nx = np"})
    assert heavy_modules_loaded_by("import qloom", tmp_path) == {"numpy"}
