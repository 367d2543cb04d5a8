"""Collecting what is shipped: files found by their imports, data files by their patterns, or a notebook's cells."""

from __future__ import annotations

import glob
import hashlib
import inspect
import linecache
import os
import sys
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import InvalidProgram
from qloom.kit.installed import path_state
from qloom.programs.finding import check_name, programs_in
from qloom.programs.local_modules import (
    INSTALLED_FOLDERS,
    OURS,
    PYTHONS_OWN,
    Import,
    Place,
    compiled_module,
    find_module,
    imports,
    parse,
    place_of,
    read_file,
    star_names,
)
from qloom.programs.notebook import live_closure, notebook_source

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Sequence

LIMIT_MB = 50
"""A bundle's largest size. Larger inputs travel as input channels, once, and not with every job."""

Parts = tuple[dict[str, bytes], str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""The fields of a `Bundle`: files, entry point, digest, third-party packages, notes, optional packages."""


def of_file(path: Path, program_name: str, data_files: Sequence[str]) -> Parts:
    """Return the bundle of a program in a file."""
    check_name(path, program_name, programs_in(path))
    return _of_place(path.resolve(), place_of(path), program_name, data_files)


def of_function(function: Callable[..., Any], data_files: Sequence[str]) -> Parts:
    """Return the bundle of a program given as a function."""
    original = _plain_function(inspect.unwrap(function))
    path = _file_of(original)
    if path is not None:
        return _of_place(path, place_of(path, _imported_name(original)), function.__name__, data_files)
    if not linecache.getlines(original.__code__.co_filename):
        raise InvalidProgram(
            f"the source of {function.__name__} cannot be read (it was typed at a prompt or made by exec); put it into a file"
        )
    return _of_notebook(original, data_files)


def of_function_again(function: Callable[..., Any], data_files: tuple[str, ...]) -> Parts:
    """Return the bundle of a function that may be the one of last time, if neither a file nor a folder has changed since."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    key = (code, function.__name__, getattr(function, "__module__", None))
    known = _known.get(key)
    if known is not None and not data_files and known.state == _state_of(known.places):
        return known.parts
    parts = of_function(function, data_files)
    if code is not None and not data_files and (path := _file_of(_plain_function(inspect.unwrap(function)))) is not None:
        root = place_of(path, _imported_name(_plain_function(inspect.unwrap(function)))).root
        files = [root / name for name in parts[0]]
        places = tuple(sorted({str(path) for file in files for path in (file, file.parent)} | {str(root)}))
        while len(_known) >= _MOST_KNOWN:
            _known.pop(next(iter(_known)))
        _known[key] = _Known(parts, places, _state_of(places))
    return parts


class _Known(NamedTuple):
    parts: Parts
    places: tuple[str, ...]
    state: tuple[object, ...]


_known: dict[object, _Known] = {}
_MOST_KNOWN = 16


def _state_of(places: tuple[str, ...]) -> tuple[object, ...]:
    """Return what changes when one of these files or folders does, or when a package is installed."""
    found: list[object] = [path_state()]
    for place in places:
        try:
            seen = os.stat(place)  # noqa: PTH116  for every job
        except OSError:
            found.append(None)
        else:
            found.append((seen.st_ino, seen.st_mtime_ns, seen.st_size))
    return tuple(found)


class Collection:
    """Files found so far, and what is still to be read."""

    def __init__(self, roots: tuple[Path, ...], only: str | None = None) -> None:
        self.roots = roots
        self.only = only
        self.files: dict[str, bytes] = {}
        self.trees: dict[str, ast.Module] = {}
        self.third_party: set[str] = set()
        self.needed: set[str] = set()
        self.notes: dict[str, None] = {}
        self.waiting: list[tuple[str, str]] = []

    def add_module(self, dotted: str) -> bool:
        """Add a module and the packages around it; False where it is not the user's own."""
        root = self.root_of(dotted.partition(".")[0])
        if root is None:
            return False
        parts = dotted.split(".")
        for length in range(1, len(parts) + 1):
            path = find_module(root, ".".join(parts[:length]))
            if path is None:
                return length > 1  # the rest is a name inside the module
            if path.is_file():
                self.add_file(root, path, ".".join(parts[:length]))
        return True

    def root_of(self, top: str) -> Path | None:
        """Return the root that holds a top-level name of the user's own."""
        if top == OURS or top in PYTHONS_OWN or (self.only is not None and top != self.only):
            return None
        for root in self.roots:
            found = find_module(root, top)
            # Python prefers a package with __init__.py anywhere on its path to a mere folder of that name.
            if found is not None and (found.is_file() or not _installed(top, besides=root)):
                return root
        return None

    def add_file(self, root: Path, path: Path, dotted: str) -> None:
        """Add a Python file, once; its imports are read later."""
        name = path.relative_to(root).as_posix()
        if name not in self.files:
            self.files[name] = read_file(path)
            self.trees[dotted] = parse(self.files[name], path)
            self.waiting.append((dotted, name))

    def read_all(self) -> None:
        """Read the imports of everything that waits, until nothing new is found."""
        while self.waiting:
            dotted, name = self.waiting.pop(0)
            package = dotted if name.endswith("/__init__.py") else dotted.rpartition(".")[0]
            for found in imports(self.trees[dotted], package):
                self.follow(found, name)

    def follow(self, found: Import, importer: str) -> None:
        """Add what one import needs, or take note of it."""
        if found.module.startswith("."):
            self.notes[f"{importer}, line {found.line}: the relative import {found.module!r} leaves the package"] = None
            return
        if not self.add_module(found.module):
            self._outside(found, importer)
            return
        names = star_names(self.trees[found.module]) if found.names == ("*",) and found.module in self.trees else found.names
        for name in names:
            self.add_module(f"{found.module}.{name}")

    def _outside(self, found: Import, importer: str) -> None:
        top = found.module.partition(".")[0]
        where = f"{importer}, line {found.line}"
        if top in PYTHONS_OWN:
            if any(find_module(root, top) is not None for root in self.roots) and self.only is None:
                self.notes[f"{where}: {top} is Python's own; the file of that name beside the program is not shipped"] = None
        elif top != OURS:
            self.third_party.add(top)
            self.needed |= set() if found.guarded else {top}
            compiled = next((item for item in (compiled_module(root, top) for root in self.roots) if item), None)
            if compiled is not None and self.only is None:
                self.notes[f"{where}: {compiled} is compiled and is not shipped; install it where the program runs"] = None


def _of_place(path: Path, place: Place, program_name: str, data_files: Sequence[str]) -> Parts:
    collection = Collection(roots=(place.root,), only=place.only)
    collection.add_module(place.module)
    refuse_script_imports(collection.trees[place.module], path, place)
    collection.read_all()
    collection.files.update(_data_files(path.parent, place.root, data_files))
    return bundle_parts(collection, f"{place.module}:{program_name}")


def _of_notebook(function: FunctionType, data_files: Sequence[str]) -> Parts:
    folder = Path.cwd()
    text = notebook_source(function)
    module = f"{function.__name__}_from_notebook"
    collection = Collection(roots=(folder, *_added_roots(function)))
    content = text.encode()
    collection.files[f"{module}.py"] = content
    collection.trees[module] = parse(content, f"{module}.py")
    collection.waiting.append((module, f"{module}.py"))
    collection.read_all()
    collection.files.update(_data_files(folder, folder, data_files))
    return bundle_parts(collection, f"{module}:{function.__name__}")


def _added_roots(function: FunctionType) -> list[Path]:
    """Folders of the user's own that the notebook's modules came from (`sys.path.append("../src")`)."""
    roots: dict[Path, None] = {}
    for value in list(function.__globals__.values()):
        name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
        module = sys.modules.get(name.partition(".")[0]) if isinstance(name, str) else None
        file = getattr(module, "__file__", None)
        if file and getattr(module, "__name__", OURS) not in ("__main__", OURS):
            path = Path(file).resolve()
            roots[path.parents[1] if path.name == "__init__.py" else path.parent] = None
    return [root for root in roots if not _is_installed(root)]


def _is_installed(root: Path) -> bool:
    """Whether a folder belongs to Python or to an installer, so that what is in it is there where the program runs too."""
    prefixes = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    inside = any(root.is_relative_to(prefix) for prefix in prefixes) or any(part in INSTALLED_FOLDERS for part in root.parts)
    return inside or next(root.glob("*.dist-info"), None) is not None or next(root.glob("*.egg-info"), None) is not None


def bundle_parts(collection: Collection, entry_point: str) -> Parts:
    """Return the fields of the bundle that a collection makes.

    Raises:
        InvalidProgram: it is too large.
    """
    files = dict(sorted(collection.files.items()))
    size = sum(map(len, files.values()))
    if size > LIMIT_MB * 1_000_000:
        largest = max(files, key=lambda name: len(files[name]))
        raise InvalidProgram(
            f"the program and its files have {size / 1e6:.1f} MB, the limit is {LIMIT_MB} MB; "
            f"the largest is {largest} with {len(files[largest]) / 1e6:.1f} MB; hand large inputs over as input_data"
        )
    packages, optional = sorted(collection.third_party), sorted(collection.third_party - collection.needed)
    return (files, entry_point, _digest(files, entry_point), tuple(packages), tuple(collection.notes), tuple(optional))


def _digest(files: dict[str, bytes], entry_point: str) -> str:
    total = hashlib.blake2b(f"qloom bundle 1|{entry_point}".encode(), digest_size=16)
    for name in sorted(files):
        total.update(f"|{len(name)}|{name}|{len(files[name])}|".encode())
        total.update(files[name])
    return total.hexdigest()


def refuse_script_imports(tree: ast.Module, path: Path, place: Place) -> None:
    """Refuse a file of a package that imports its neighbours as a script would: they are out of reach where it runs."""
    if path.parent == place.root or path.name == "__init__.py":
        return
    for found in imports(tree, place.module.rpartition(".")[0]):
        top = found.module.partition(".")[0]
        beside = bool(top) and top not in PYTHONS_OWN and find_module(path.parent, top) is not None
        if beside and not found.guarded and find_module(place.root, top) is None and not _installed(top, besides=path.parent):
            raise InvalidProgram(
                f"{path.name}, line {found.line}: {top} stands beside it, but {path.name} is inside a package "
                f"({path.parent.name}/__init__.py), so it is reached as {place.module.rpartition('.')[0]}.{top}; "
                f"write `from . import {top}`, or remove the __init__.py"
            )


def _installed(top: str, *, besides: Path) -> bool:
    """Whether a module of that name, more than a mere folder, can be imported from outside a root."""
    from importlib.machinery import PathFinder

    places = [place for place in sys.path if Path(place or ".").resolve() != besides]
    spec = PathFinder.find_spec(top, places)
    return spec is not None and spec.origin is not None


# ---- files -----------------------------------------------------------------------------------------------------------


def _data_files(folder: Path, root: Path, patterns: Sequence[str]) -> dict[str, bytes]:
    paths: dict[Path, None] = {}
    for pattern in patterns:
        paths.update(dict.fromkeys(_matches(folder, root, pattern)))
    size = sum(path.stat().st_size for path in paths)
    if size > LIMIT_MB * 1_000_000:
        raise InvalidProgram(
            f"the data files have {size / 1e6:.1f} MB, the limit is {LIMIT_MB} MB for a whole program; "
            "hand large inputs over as input_data"
        )
    return {path.relative_to(root).as_posix(): read_file(path) for path in paths}


def _matches(folder: Path, root: Path, pattern: str) -> list[Path]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise InvalidProgram(f"data file {pattern!r} is outside the program's folder {root}; copy it there, or use input_data")
    found = [folder / name for name in sorted(glob.glob(pattern, root_dir=folder, recursive=True))]  # noqa: PTH207  `**` as users know it
    inside = [file for path in found for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    files = [file for file in inside if file.is_file() and "__pycache__" not in file.parts]
    if not files:
        raise InvalidProgram(f"no data file matches {pattern!r} in {folder}; patterns are relative to the program's file")
    for file in files:
        if not file.resolve().is_relative_to(root):
            raise InvalidProgram(f"data file {pattern!r} leads outside the program's folder, to {file.resolve()}; copy it there")
    return files


def _file_of(function: FunctionType) -> Path | None:
    """The file a function is written in; None for one from a notebook or a prompt."""
    code = function.__code__.co_filename
    path = Path(code)
    if not path.is_absolute():  # `python vqe.py` keeps the relative name, even after a chdir
        own = Path(str(function.__globals__.get("__file__") or code))
        path = own if own.name == path.name else path
    # Jupyter's debugger writes cells into such folders: files, but of one cell each.
    return path.resolve() if path.is_file() and not path.parent.name.startswith("ipykernel_") else None


def _imported_name(function: FunctionType) -> str | None:
    if function.__module__ != "__main__":
        return function.__module__
    spec = function.__globals__.get("__spec__")  # `python -m package.module`
    return getattr(spec, "name", None)


def _plain_function(function: Any) -> FunctionType:
    name = getattr(function, "__qualname__", repr(function))
    if not isinstance(function, FunctionType):
        raise InvalidProgram(f"{name} is no Python function, so it has no source to ship")
    if function.__name__ == "<lambda>":
        raise InvalidProgram("a lambda cannot be shipped; write the program as a `def` at the top level")
    if complaint := live_closure(function):
        raise InvalidProgram(f"program {function.__name__}: {complaint}")
    if "." in name:
        raise InvalidProgram(f"program {name} is defined inside something else; move it to the top level of its file or cell")
    return function
