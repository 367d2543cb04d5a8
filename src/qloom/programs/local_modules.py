"""Which modules of the user's own project a Python file imports, found by reading it, never by running it.

Imports anywhere in a file count: inside functions, under `if TYPE_CHECKING`, in `try`. What cannot be seen is an import whose
name is worked out at run time (`importlib.import_module(name)`): declare such files as data files.
"""

from __future__ import annotations

import ast
import sys
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from qloom.errors import InvalidProgram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OURS = "qloom"
PYTHONS_OWN = frozenset(sys.stdlib_module_names) - {"test"}
"""Modules of Python itself; but `test`, its own tests, which nobody imports and many a first program is called."""
INSTALLED_FOLDERS = ("site-packages", "dist-packages")


class Import(NamedTuple):
    """One import in a file.

    Attributes:
        module: dotted name; relative ones are made absolute.
        names: what `from module import ...` takes; empty for `import module`.
        line: where it stands.
        guarded: whether it stands in a `try` or an `if`, so that the program may live without it.
    """

    module: str
    names: tuple[str, ...]
    line: int
    guarded: bool


def read_file(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        InvalidProgram: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidProgram(f"{path} cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=64)
def parse(content: bytes, path: Path | str) -> ast.Module:
    """Return a file's syntax tree, which is not to be changed: the same content gives the same tree.

    Raises:
        InvalidProgram: it is no Python; the line is named.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in the user's text is for its own run to complain about
            return ast.parse(content, filename=str(path))
    except SyntaxError as error:
        raise InvalidProgram(f"{path}, line {error.lineno}: {error.msg}; correct it, then run again") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidProgram(f"{path} cannot be read as Python: {error}") from error


def imports(tree: ast.Module, package: str) -> Iterator[Import]:
    r"""Yield the imports of a file in a package (`""` outside any), relative ones made absolute.

    A relative import that leaves the package has its dots left in `module`.

    >>> [found.module for found in imports(parse(b"from ..tools import x\nimport numpy.linalg", "f.py"), "chem.vqe")]
    ['chem.tools', 'numpy.linalg']
    """
    for statement, guarded in _statements(tree.body, guarded=False):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield Import(alias.name, (), statement.lineno, guarded)
        elif isinstance(statement, ast.ImportFrom):
            module = _absolute(statement, package)
            yield Import(module, tuple(alias.name for alias in statement.names), statement.lineno, guarded)


def _absolute(statement: ast.ImportFrom, package: str) -> str:
    if not statement.level:
        return statement.module or ""
    parents = package.split(".") if package else []
    kept = len(parents) - statement.level + 1
    if kept < 1:
        return "." * statement.level + (statement.module or "")
    return ".".join([*parents[:kept], *([statement.module] if statement.module else [])])


def _statements(body: list[ast.stmt], *, guarded: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield all statements, those in blocks included. Imports are statements, so expressions need not be looked at."""
    for statement in body:
        yield statement, guarded
        inside = guarded or isinstance(statement, ast.Try | ast.TryStar | ast.If)
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            for part in getattr(statement, name, []):
                if isinstance(part, ast.ExceptHandler | ast.match_case):
                    yield from _statements(part.body, guarded=inside)
                elif isinstance(part, ast.stmt):
                    yield from _statements([part], guarded=inside)


class Place(NamedTuple):
    """Where a program file stands among the modules it can import.

    Attributes:
        root: the folder that is on `sys.path` when it runs.
        module: the file's dotted name below the root.
        only: the only top-level name under the root that is the user's own; None where all are.
    """

    root: Path
    module: str
    only: str | None = None


def place_of(path: Path, module: str | None = None) -> Place:
    """Return where a file stands: its folder is the root, or, inside a package, the folder that holds the top package.

    Args:
        path: the file.
        module: the name it was imported by, where that is known; it decides where folders have no `__init__.py`.

    Raises:
        InvalidProgram: no Python file, or a name that cannot be imported.
    """
    path = path.resolve()
    if path.suffix != ".py" or not path.is_file():
        raise InvalidProgram(f"{path} is no Python file; give a file that ends in .py")
    parts = _parts(path, module)
    if any("." in part for part in parts) or parts[0] == OURS:
        raise InvalidProgram(
            f"{path.name} cannot be imported as {'.'.join(parts)!r}; rename it to letters, digits and _ (not {OURS})"
        )
    if parts[0] in PYTHONS_OWN:
        raise InvalidProgram(f"{parts[0]}.py has the name of a module of Python and would hide it; rename it")
    root = path.parents[len(parts) - 1 + (path.name == "__init__.py")]
    return Place(root, ".".join(parts), parts[0] if root.name in INSTALLED_FOLDERS else None)


def _parts(path: Path, module: str | None) -> list[str]:
    own = [] if path.name == "__init__.py" else [path.stem]
    if module and module != "__main__":
        parts = module.split(".")
        folders = parts[: len(parts) - len(own)]
        if (not own or parts[-1:] == own) and list(path.parent.parts[len(path.parent.parts) - len(folders) :]) == folders:
            return parts
    folder = path.parent
    while (folder / "__init__.py").is_file():
        own.insert(0, folder.name)
        folder = folder.parent
    return own or [path.stem]


def find_module(root: Path, dotted: str) -> Path | None:
    """Return the file of a module below a root; the folder of one without `__init__.py`; None where there is none."""
    base = root.joinpath(*dotted.split("."))
    for candidate in (base / "__init__.py", base.with_name(base.name + ".py")):
        if candidate.is_file():
            return candidate
    return base if base.is_dir() else None


def compiled_module(root: Path, dotted: str) -> str | None:
    """Return the file name of a compiled module below a root, which cannot be shipped as source."""
    base = root.joinpath(*dotted.split("."))
    endings = (".so", ".pyd", ".pyc")
    found = sorted(path.name for path in base.parent.glob(base.name + ".*") if path.suffix in endings)
    return found[0] if found else None


def star_names(tree: ast.Module) -> tuple[str, ...]:
    """Return the literal `__all__` of a file, which is what `import *` takes and loads."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(item, ast.Name) and item.id == "__all__" for item in statement.targets
        ):
            items = statement.value.elts if isinstance(statement.value, ast.List | ast.Tuple) else []
            return tuple(item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str))
    return ()
