"""Finding the programs in a file, by reading it, and loading the one that was asked for."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom.errors import InvalidProgram, Misuse, ProgramFailed, UnknownName
from qloom.programs.failures import error_text, user_frames
from qloom.programs.local_modules import OURS, Place, parse, place_of, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def programs_in(path: Path) -> list[str]:
    """Return the names of the functions in a file that are decorated as programs, in order."""
    return list(marks_of(path))


def marks_of(path: Path) -> dict[str, ast.expr]:
    """Return the programs in a file, in order, each with the decorator that makes it one."""
    tree = parse(read_file(path), path)
    modules, names = _program_words(tree)
    functions = [item for item in top_statements(tree.body) if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {item.name: mark for item in functions for mark in item.decorator_list if _is_mark(mark, modules, names)}


def check_name(path: Path, name: str, known: Sequence[str]) -> None:
    """Refuse a name that nothing at the top level of the file has.

    Raises:
        UnknownName: with the nearest names.
    """
    names = set(bound_names(parse(read_file(path), path).body))
    if name not in names:
        raise UnknownName.among(f"program in {path.name}", name, known or names)


def load(path: Path, name: str | None, names: Sequence[str] | None) -> Any:
    """Import a file and return the program in it."""
    known = programs_in(path) if names is None else names
    chosen = name or _only(path, known)
    check_name(path, chosen, known)
    return getattr(_import_file(path.resolve(), place_of(path)), chosen)


def _only(path: Path, names: Sequence[str]) -> str:
    if not names:
        raise Misuse(f"{path.name} has no program; put @qloom.program above a function at its top level")
    if len(names) > 1:
        raise Misuse(f"{path.name} has {len(names)} programs: {', '.join(names)}; name one, as in {path.name}:{names[0]}")
    return names[0]


def _program_words(tree: ast.Module) -> tuple[set[str], set[str]]:
    """What the file calls the package, and what it calls the decorator."""
    modules, names = set(), set()
    for statement in top_statements(tree.body):
        if isinstance(statement, ast.Import):
            modules |= {alias.asname or alias.name for alias in statement.names if alias.name in (OURS, f"{OURS}.api")}
        elif isinstance(statement, ast.ImportFrom) and statement.module in (OURS, f"{OURS}.api"):
            names |= {alias.asname or alias.name for alias in statement.names if alias.name == "program"}
    return modules, names


def _is_mark(mark: ast.expr, modules: set[str], names: set[str]) -> bool:
    target = mark.func if isinstance(mark, ast.Call) else mark
    if isinstance(target, ast.Name):
        return target.id in names
    return isinstance(target, ast.Attribute) and target.attr == "program" and ast.unparse(target.value) in modules


def top_statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of the module itself: those in `if`, `try` and `with` too, those in functions and classes not."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for part in (statement.body, getattr(statement, "orelse", []), getattr(statement, "finalbody", [])):
                yield from top_statements(part)
            for handler in getattr(statement, "handlers", []):
                yield from top_statements(handler.body)


def bound_names(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the names that a module binds at its top level: functions, classes, imports, variables."""
    for statement in top_statements(body):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def _missing(error: BaseException) -> str:
    """Say how a module that is not there is had; nothing where the error is another one."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    return (
        f"\n{sys.executable} has no module {error.name}: list the package that brings it, in the header of the file or with "
        "--requirements FILE, and the job gets an environment with it"
    )


def _import_file(path: Path, place: Place) -> Any:
    loaded = sys.modules.get(place.module)
    if loaded is not None and Path(getattr(loaded, "__file__", None) or ".").resolve() != path:
        raise InvalidProgram(f"{path} would be imported as {place.module!r}, a module that is loaded already; rename the file")
    if str(place.root) not in sys.path:
        sys.path.insert(0, str(place.root))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(place.module)
    except (Exception, SystemExit) as error:  # whatever the user's file raises is told as the file's failure
        frames = user_frames(error, place.root)
        where = "".join(f"\n  {frame}" for frame in frames)
        raise ProgramFailed(
            f"{path.name} could not be imported: {error_text(error)}{where}{_missing(error)}",
            error_type=type(error).__name__,
            frames=frames,
        ) from error
