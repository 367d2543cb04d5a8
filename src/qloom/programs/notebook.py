"""A program in a notebook, written out as a module: its cell and what that needs, found name by name.

Functions and classes of the notebook are shipped as their source, modules as imports, plain constants as literals with the
value they have now. Everything else is refused by the variable's name: a live object means nothing in another process.
"""

from __future__ import annotations
import __future__ as future

import ast
import builtins
import enum
import inspect
import linecache
import sys
import textwrap
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import InvalidProgram
from qloom.programs.definition import ProgramDefinition
from qloom.programs.literals import NotLiteral, literal
from qloom.programs.local_modules import parse

if TYPE_CHECKING:
    from types import FunctionType

MODULE_NAMES = frozenset(
    {"__annotations__", "__builtins__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__spec__"}
)
HEADER = "# Written by qloom: what `{name}` needs of the notebook it was submitted from."


def notebook_source(function: FunctionType) -> str:
    """Return the text of a module that defines the function and everything of the notebook's that it uses.

    Args:
        function: a function that was defined in a cell; the notebook's variables are its globals.

    Raises:
        InvalidProgram: a name that is not defined any more, a live object, a closure, a lambda, source that is gone;
            each by its name.
    """
    module = _Module(function)
    module.define(function.__name__, function)
    return module.text()


def live_closure(function: FunctionType) -> str | None:
    """Return what is wrong with a function that uses variables of the function around it; None where it uses none."""
    variables = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in variables:
        try:
            literal(cell.cell_contents, set())
        except NotLiteral as misfit:
            return f"variable {name!r} {misfit}"
        except ValueError:
            return f"variable {name!r} of the function around it has no value yet; define the program at the top level"
        return f"variable {name!r} belongs to the function around it; pass it as a parameter"
    return None


class Definition(NamedTuple):
    """The source of a function or class, and the global names it uses: some when it is defined, some when it is called."""

    text: str
    at_once: tuple[str, ...]
    later: tuple[str, ...]
    chains: tuple[tuple[str, ...], ...]


class _Module:
    """The module being written."""

    def __init__(self, function: FunctionType) -> None:
        self.program = function.__name__
        self.names: dict[str, Any] = function.__globals__
        self.imports: set[str] = set()
        self.blocks: list[str] = []
        self.bound: set[str] = set()
        self.defined: dict[str, object] = {}
        self.postponed = False

    def text(self) -> str:
        head = ["from __future__ import annotations"] if self.postponed else []
        parts = [HEADER.format(name=self.program), "\n".join([*head, *sorted(self.imports)]), *self.blocks]
        return "\n\n".join(part for part in parts if part) + "\n"

    def need(self, name: str, user: str) -> None:
        """Bring in a global name that `user` uses."""
        if name in self.bound or name in MODULE_NAMES:
            return
        if name not in self.names and not hasattr(builtins, name):
            raise self.refused(f"name {name!r}, used by {user!r}, is not defined in the notebook (any more); run its cell again")
        value = self.names[name] if name in self.names else getattr(builtins, name)
        if name not in self.names and not str(getattr(value, "__module__", "")).startswith("IPython"):
            return
        self.bound.add(name)
        self.bring(name, value)

    def bring(self, name: str, value: Any) -> None:
        value = value.function if isinstance(value, ProgramDefinition) else value
        original = inspect.unwrap(value) if callable(value) and "__wrapped__" in getattr(value, "__dict__", {}) else value
        if inspect.ismodule(value):
            self.import_module(name, value)
        elif self.is_own(original):
            self.define(name, original)
        elif origin := _importable(value):
            module, attribute = origin
            self.imports.add(f"from {module} import {attribute}" + (f" as {name}" if name != attribute else ""))
        elif isinstance(value, enum.Enum) and _defined_as(self.names, type(value)):
            self.need(type(value).__name__, name)
            self.blocks.append(f"{name} = {type(value).__name__}[{value.name!r}]")
        else:
            self.blocks.append(f"{name} = {self.constant(name, value)}")

    def is_own(self, value: object) -> bool:
        defined_here = getattr(value, "__module__", None) == self.names.get("__name__", "__main__")
        return defined_here and (inspect.isfunction(value) or inspect.isclass(value))

    def constant(self, name: str, value: Any) -> str:
        try:
            return literal(value, self.imports)
        except NotLiteral as misfit:
            raise self.refused(f"variable {name!r} {misfit}") from None

    def define(self, name: str, value: Any) -> None:
        """Bring in a function or class under a name, and everything it uses before it."""
        own = value.__name__
        if own == "<lambda>":
            raise self.refused(f"variable {name!r} is a lambda, whose source cannot be shipped; write it as a `def`")
        if inspect.isfunction(value) and (complaint := live_closure(value)):
            raise self.refused(f"{name!r} is a closure: {complaint}")
        if "." in value.__qualname__:
            raise self.refused(
                f"{name!r} was made inside {value.__qualname__.partition('.')[0]!r}; define it at the top level of a cell"
            )
        if self.defined.setdefault(own, value) is not value:
            raise self.refused(f"{name!r} is another version of {own!r} than the one also used; run the newer cell again")
        self.bound.add(own)
        if inspect.isfunction(value):
            self.postponed |= bool(value.__code__.co_flags & future.annotations.compiler_flag)
        definition = self.find(value)
        for used in (*definition.at_once, *definition.later):
            self.need(used, own)
        self.load_submodules(definition)
        self.blocks.append(definition.text + (f"\n\n{name} = {own}" if name != own else ""))

    def find(self, value: Any) -> Definition:
        node = _function_node(value) if inspect.isfunction(value) else self.class_node(value)
        if node is None:
            raise self.refused(f"the source of {value.__name__!r} is gone; run its cell again")
        return _definition(*node)

    def class_node(self, value: type) -> tuple[ast.stmt, list[str]] | None:
        found: dict[str, tuple[ast.stmt, list[str]]] = {}
        for tree, lines in _cells(value):
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and node.name == value.__name__ and _fits(node, value):
                    found[ast.unparse(node)] = (node, lines)
        if len(found) > 1:
            raise self.refused(
                f"class {value.__name__!r} was defined in several cells; restart the notebook, or put it into a file"
            )
        return next(iter(found.values()), None)

    def import_module(self, name: str, module: ModuleType) -> None:
        if sys.modules.get(module.__name__) is not module:
            raise self.refused(f"variable {name!r} is a module that was made by hand; put it into a file")
        self.imports.add(f"import {module.__name__}" + (f" as {name}" if name != module.__name__ else ""))

    def load_submodules(self, definition: Definition) -> None:
        """`import scipy` alone does not load `scipy.optimize`: bring in every submodule that is reached by its dots."""
        for first, *rest in definition.chains:
            found: object = self.names.get(first)
            for part in rest:
                found = getattr(found, part, None) if inspect.ismodule(found) else None
                if isinstance(found, ModuleType) and sys.modules.get(found.__name__) is found:
                    self.imports.add(f"import {found.__name__} as _{found.__name__.replace('.', '_')}")

    def refused(self, why: str) -> InvalidProgram:
        return InvalidProgram(f"program {self.program}: {why}")


# ---- where source is -------------------------------------------------------------------------------------------------


def _function_node(function: Any) -> tuple[ast.stmt, list[str]] | None:
    code = function.__code__
    lines = linecache.getlines(code.co_filename)
    tree = parse("".join(lines).encode(), code.co_filename) if lines else None
    for node in ast.walk(tree) if tree else ():
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name == code.co_name
            and _first_line(node) == code.co_firstlineno
        ):
            return node, lines
    return None


def _cells(value: type) -> list[tuple[ast.Module, list[str]]]:
    """The cells in which a class may stand: that of its methods, else all that are remembered and name it."""
    files = {
        member.__code__.co_filename
        for member in (getattr(item, "__func__", getattr(item, "fget", item)) for item in vars(value).values())
        if inspect.isfunction(member)
    }
    for names in (sorted(files), _cell_names()):
        found = [name for name in names if any(f"class {value.__name__}" in line for line in linecache.getlines(name))]
        if found:
            return [(parse("".join(linecache.getlines(name)).encode(), name), linecache.getlines(name)) for name in found]
    return []


def _cell_names() -> list[str]:
    """Source that is remembered without being a file: an entry without a time never goes stale."""
    return [name for name, entry in list(linecache.cache.items()) if len(entry) == 4 and entry[1] is None]


def _fits(node: ast.ClassDef, value: type) -> bool:
    """Whether a class statement made this class, as far as the names in its body tell."""
    assigned, annotated = set(), set()
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            assigned.add(item.name)
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            annotated.add(item.target.id)
        elif isinstance(item, ast.Assign):
            assigned |= {target.id for target in item.targets if isinstance(target, ast.Name)}
    return assigned <= set(vars(value)) and annotated == set(vars(value).get("__annotations__", {}))


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(mark.lineno for mark in node.decorator_list)])


def _definition(node: Any, lines: list[str]) -> Definition:
    whole = lines[_first_line(node) - 1 : node.end_lineno]
    text = "".join(whole).rstrip() if node.col_offset == 0 else ast.unparse(node)
    at_once, later = _global_names(text)
    chains = {tuple(chain) for chain in map(_chain, ast.walk(node)) if len(chain) > 1}
    hints = _text_annotations(node)
    return Definition(text, tuple(sorted(at_once)), tuple(sorted((later | hints) - at_once)), tuple(sorted(chains)))


# ---- names -----------------------------------------------------------------------------------------------------------


def _global_names(text: str) -> tuple[set[str], set[str]]:
    """Global names that a definition uses: when it is made (decorators, defaults, bases, annotations), and when called."""
    import symtable

    at_once: set[str] = set()
    later: set[str] = set()
    top = symtable.symtable(textwrap.dedent(text), "cell", "exec")
    waiting = [(child, False) for child in top.get_children()]
    at_once |= {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    while waiting:
        table, inside = waiting.pop()
        inside = inside or table.get_type() == "function"
        used = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        (later if inside else at_once).update(used)
        waiting += [(child, inside) for child in table.get_children()]
    own = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned()}
    return at_once - own, later - own


def _text_annotations(node: ast.AST) -> set[str]:
    """Names in annotations that are written as text, which a schema evaluates."""
    found: set[str] = set()
    for item in ast.walk(node):
        annotation = getattr(item, "annotation", None) or getattr(item, "returns", None)
        for inner in ast.walk(annotation) if isinstance(annotation, ast.AST) else ():
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                found |= _names_in_text(inner.value)
    return found


def _names_in_text(text: str) -> set[str]:
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return set()  # a Literal's text, not a name
    return {item.id for item in ast.walk(tree) if isinstance(item, ast.Name)}


def _chain(node: ast.AST) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return [node.id, *parts] if isinstance(node, ast.Name) else []


def _defined_as(names: dict[str, Any], kind: type) -> bool:
    return names.get(kind.__name__) is kind


def _importable(value: object) -> tuple[str, str] | None:
    """Return (module, name) from which a function, class or the like is imported: the shortest path that leads to it."""
    name = getattr(value, "__name__", None)
    module = getattr(value, "__module__", None) or ("numpy" if type(value).__name__ == "ufunc" else None)
    if not isinstance(name, str) or not isinstance(module, str) or module == "__main__":
        return None
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        candidate = ".".join(parts[:length])
        if getattr(sys.modules.get(candidate), name, None) is value:
            return candidate, name
    return None
