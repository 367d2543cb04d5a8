"""What a program's decorator says about its environment, read from the file: it may not be importable before it has one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import InvalidProgram
from qloom.programs.finding import marks_of

if TYPE_CHECKING:
    from pathlib import Path


class Declared(NamedTuple):
    """What stands literally in the decorator; None for what does not, or is worked out at run time."""

    requirements: tuple[str, ...] | str | None = None
    python: str | None = None


def declared(path: Path, name: str | None) -> Declared:
    r"""Return what the decorator of a program says about its environment, nothing where there is no such program.

    Args:
        path: the file.
        name: the program; None for the only one.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "scan.py"
    >>> _ = file.write_text("import qloom\n@qloom.program(requirements=['six'])\ndef scan(ctx): ...\n")
    >>> declared(file, None)
    Declared(requirements=('six',), python=None)
    """
    try:
        found = marks_of(path)
    except InvalidProgram:
        return Declared()  # loading it says what is wrong with it
    if name is None and len(found) != 1:
        return Declared()
    mark = found.get(name) if name is not None else next(iter(found.values()))
    if not isinstance(mark, ast.Call):
        return Declared()
    said = {keyword.arg: keyword.value for keyword in mark.keywords}
    requirements, python = _literal(said.get("requirements")), _python(said.get("resources"))
    if isinstance(requirements, list | tuple):
        requirements = tuple(requirements) if all(isinstance(item, str) for item in requirements) else None
    return Declared(requirements if isinstance(requirements, tuple | str) else None, python if isinstance(python, str) else None)


def _python(node: ast.expr | None) -> Any:
    """The interpreter in `Resources(python=...)` or in a dict of resources."""
    if isinstance(node, ast.Call):
        return next((_literal(keyword.value) for keyword in node.keywords if keyword.arg == "python"), None)
    resources = _literal(node)
    return resources.get("python") if isinstance(resources, dict) else None


def _literal(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:
        return None
