"""Plain Braket algorithm scripts: what is shipped of one, and whether its entry point can be one. Nothing is run.

A script is a file, or a folder as Braket's `source_module`, that knows nothing of qloom. Its entry point has Braket's form:
`module` is run as `python -m` does, `module:function` is imported and called.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from qloom.errors import InvalidParameters, InvalidProgram, InvalidSetting, Misuse, UnknownName
from qloom.programs.collecting import LIMIT_MB, Collection, bundle_parts, refuse_script_imports
from qloom.programs.finding import bound_names, top_statements
from qloom.programs.local_modules import PYTHONS_OWN, find_module, imports, parse, place_of, read_file
from qloom.programs.shipping import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REQUIREMENTS = "requirements.txt"
MOST_HYPERPARAMETERS = 100
LONGEST_NAME = 256
LONGEST_VALUE = 2500
"""Limits of Braket's service (`HyperParameters` in its API model, version 2019-09-01)."""

KINDS: dict[str, type[int | float]] = {"int": int, "float": float}
_SHOWN = 10
_DEVICE = re.compile(r"local:[\w.-]+/[\w.-]+(/[\w.-]+)*|arn:aws[a-z-]*:braket:[a-z0-9-]*:[0-9]*:device/[\w./-]+", re.ASCII)
_MODULE = re.compile(r"[^\s.:/]+(\.[^\s.:/]+)*")
_NO_CALLABLE = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.JoinedStr, ast.BinOp, ast.ListComp, ast.DictComp)


class Parameters(NamedTuple):
    """The parameters of an entry point, as its source says.

    Attributes:
        required: names without a default.
        optional: names with one.
        any_name: whether it takes other names too.
        hybrid_job: whether it is decorated as one.
        kinds: name -> `int` or `float`, of those that are annotated so: they get their text as that.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    any_name: bool = False
    hybrid_job: bool = False
    kinds: Mapping[str, type[int | float]] = MappingProxyType({})


class Script(NamedTuple):
    """A script that can be shipped.

    Attributes:
        name: what the job is called, for people.
        bundle: its files and entry point.
        needs: modules of other people's that it imports as it starts, dotted.
        parameters: of its function; None where it has none, or where they cannot be read.
        requirements: content of its requirements.txt; None where there is none.
        file: its file; None for a folder.
    """

    name: str
    bundle: Bundle
    needs: tuple[str, ...]
    parameters: Parameters | None = None
    requirements: bytes | None = None
    file: Path | None = None


def read_script(path: Path, entry: str | None = None) -> Script:
    r"""Return the script in a file or a folder.

    Args:
        path: a Python file; the modules beside it that it imports travel too. Or a folder, which travels whole.
        entry: `module` or `module:function`, the module as Braket names it (`folder.module`), or as it stands in the folder.

    Raises:
        Misuse: no entry point where there has to be one, or one that cannot be: a constant, a module, a coroutine.
        UnknownName: no such module or function, with the nearest names.
        InvalidProgram: no Python, a link out of the folder, too large.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "algo.py"
    >>> _ = file.write_text("import braket.jobs, json\ndef start(): ...\nstart()\n")
    >>> script = read_script(file)
    >>> script.bundle.entry_point, script.needs, read_script(file, "algo:start").bundle.entry_point
    ('algo', ('braket.jobs',), 'algo:start')
    """
    return _of_folder(path.resolve(), entry) if path.is_dir() else _of_file(path, entry)


def read_entry(entry: str) -> tuple[str, str]:
    """Return module and function of an entry point; the function is empty where the module itself is run.

    Raises:
        Misuse: it has another form.

    >>> read_entry("algo.train:main"), read_entry("algo/train.py")
    (('algo.train', 'main'), ('algo.train', ''))
    """
    module, colon, function = entry.partition(":")
    module = module.removeprefix("./").removesuffix(".py").strip("/").replace("/", ".")
    if not _MODULE.fullmatch(module) or bool(colon) != function.isidentifier():
        raise Misuse(f"entry point {entry!r} is neither `module` nor `module:function`, such as algo.train:main")
    return module, function


def read_device(name: str) -> str:
    """Return the name of a device as Braket's jobs write it; nothing is looked up.

    Raises:
        InvalidSetting: it has none of Braket's forms.

    >>> read_device("local:braket/default")
    'local:braket/default'
    """
    if not _DEVICE.fullmatch(name) or len(name) > LONGEST_NAME:
        raise InvalidSetting(
            f"a script's device has one of Braket's forms, local:PROVIDER/SIMULATOR or an ARN "
            f"arn:aws:braket:REGION::device/TYPE/PROVIDER/NAME, got {name!r}; local:none/none is the one for none"
        )
    return name


def check_hyperparameters(values: Mapping[str, str], script: Script) -> None:
    """Refuse hyperparameters that Braket would refuse, or that the script's function does not take.

    Raises:
        InvalidParameters: each that does not fit is named, with the limit.

    >>> check_hyperparameters({"steps": ""}, Script("algo", Bundle({}, "algo", "", (), ()), ()))
    Traceback (most recent call last):
    qloom.errors.InvalidParameters: hyperparameter steps is empty; Braket takes 1 to 2500 characters
    """
    wrong = list(_wrong_hyperparameters(values))
    if wrong:
        raise InvalidParameters("; ".join(wrong))
    taken = script.parameters
    if taken is None:
        return
    known = (*taken.required, *taken.optional)
    surplus = [name for name in values if name not in known and not taken.any_name]
    missing = [name for name in taken.required if name not in values]
    if surplus and taken.hybrid_job:
        raise _wrong_name(script.bundle.entry_point, surplus[0], known)
    if missing:
        give = " ".join(f"-p {name}=..." for name in missing)
        more = f"; -p gives {', '.join(surplus)}, which it does not take" if surplus else ""
        raise InvalidParameters(f"{script.bundle.entry_point} needs {', '.join(missing)}; give {give}{more}")
    for name, kind in taken.kinds.items() if not surplus else ():  # a function that does not take all of them is given none
        _check_kind(name, values.get(name, "0"), kind)


def _check_kind(name: str, text: str, kind: type[int | float]) -> None:
    try:
        kind(text)
    except ValueError as error:
        raise InvalidParameters(f"hyperparameter {name} must be {kind.__name__}, as its parameter says, got {text!r}") from error


def _wrong_name(entry: str, name: str, known: tuple[str, ...]) -> InvalidParameters:
    hint = str(UnknownName.among("parameter", name, known)).partition(";")[2].strip() or "it takes none"
    return InvalidParameters(f"{entry} has no parameter called {name!r}; {hint}")


def _wrong_hyperparameters(values: Mapping[str, str]) -> Iterator[str]:
    if len(values) > MOST_HYPERPARAMETERS:
        yield f"{len(values)} hyperparameters, Braket takes {MOST_HYPERPARAMETERS}; hand a file over as input"
    for name, value in values.items():
        shown = name if len(name) <= 40 else f"{name[:40]}..."
        if len(name) > LONGEST_NAME:
            yield f"the name of hyperparameter {shown} has {len(name)} characters, Braket takes {LONGEST_NAME}"
        if not value:
            yield f"hyperparameter {shown} is empty; Braket takes 1 to {LONGEST_VALUE} characters"
        elif len(value) > LONGEST_VALUE:
            yield f"hyperparameter {shown} has {len(value)} characters, Braket takes {LONGEST_VALUE}; hand it over as input"
        elif "\n" in value:
            yield f"hyperparameter {shown} has several lines, Braket takes one; hand it over as input"


# ---- files and folders -------------------------------------------------------------------------------------------------


def _of_file(path: Path, entry: str | None) -> Script:
    place = place_of(path)
    path = path.resolve()
    module, function = read_entry(entry) if entry else (place.module, "")
    if module not in (place.module, path.stem):
        raise Misuse(
            f"--entry names the module {module!r}, the script is {place.module!r}; "
            f"write --entry {place.module} or --entry {place.module}:FUNCTION"
        )
    tree = parse(read_file(path), path)
    parameters = _check_entry(tree, path, place.module, function)
    collection = Collection(roots=(place.root,), only=place.only)
    collection.add_module(place.module)
    refuse_script_imports(tree, path, place)
    collection.read_all()
    beside = path.parent / REQUIREMENTS
    requirements = read_file(beside) if beside.is_file() else None
    if requirements is not None:
        collection.files[beside.relative_to(place.root).as_posix()] = requirements
    return _script(path.stem, collection, place.module, function, parameters, requirements)._replace(file=path)


def _of_folder(folder: Path, entry: str | None) -> Script:
    files = dict(_folder_files(folder))
    if entry is None and "__main__.py" not in files:
        raise Misuse(f"{folder.name} is a folder and needs an entry point: --entry MODULE:FUNCTION; {_offer(folder, files)}")
    module, function = read_entry(entry or folder.name)
    inside = _inside(folder, module, function)
    file = _entry_file(folder, inside, function)
    if file is None:
        modules = {".".join([folder.name, *_dotted(name)]) for name in files if name.endswith(".py")}
        raise UnknownName.among(f"module in {folder.name}", module, modules)
    tree = parse(read_file(file), file)
    whole = module.partition(".")[0] == folder.name or _is_package(folder, files)
    root = folder.parent if whole else folder
    dotted = ".".join([*([folder.name] if whole else []), *([inside] if inside else [])])
    _check_name(folder, dotted)
    parameters = _check_entry(tree, file, dotted, function)
    collection = Collection(roots=(root,), only=folder.name if whole else None)
    collection.add_module(dotted if file.name != "__main__.py" else f"{dotted}.__main__")
    collection.read_all()
    prefix = f"{folder.name}/" if whole else ""
    collection.files.update({prefix + name: content for name, content in files.items()})
    return _script(folder.name, collection, dotted, function, parameters, files.get(REQUIREMENTS))


def _script(
    name: str, collection: Collection, module: str, function: str, parameters: Parameters | None, requirements: bytes | None
) -> Script:
    bundle = Bundle(*bundle_parts(collection, f"{module}:{function}" if function else module))
    return Script(name, bundle, tuple(sorted(_needs(collection, module))), parameters, requirements)


def _folder_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what travels of a folder; hidden files and what Python compiled stay."""
    size = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__" and not name.startswith("."))
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        for name in [*linked, *sorted(names)]:
            path = Path(parent, name)
            if name.startswith(".") or path.suffix == ".pyc":
                continue
            _check_link(path, folder)
            size += path.stat().st_size
            if size > LIMIT_MB * 1_000_000:
                raise InvalidProgram(
                    f"folder {folder} has more than {LIMIT_MB} MB, the limit of a script, with {path.relative_to(folder)}; "
                    "hand large inputs over with --input-data"
                )
            yield path.relative_to(folder).as_posix(), read_file(path)


def _check_link(path: Path, folder: Path) -> None:
    target = path.resolve()
    if path.is_symlink() and not target.is_relative_to(folder):
        raise InvalidProgram(f"{path} links out of the script's folder, to {target}; copy that in instead")
    if not target.is_file():
        raise InvalidProgram(f"{path} {'links to no file' if path.is_symlink() else 'is no file'}; leave it out")


def _dotted(name: str) -> list[str]:
    parts = name.removesuffix(".py").split("/")
    return parts[:-1] if parts[-1] == "__init__" else parts


def _inside(folder: Path, module: str, function: str) -> str:
    """Return a module's name below the folder: Braket's names begin with that of the folder itself."""
    if module == folder.name and _entry_file(folder, "", function) is None:
        return module  # a module that is called as the folder is
    return "" if module == folder.name else module.removeprefix(f"{folder.name}.")


def _entry_file(folder: Path, inside: str, function: str) -> Path | None:
    """Return the file that an entry point means: of a package, `__init__.py` for a function, `__main__.py` to be run."""
    found = find_module(folder, inside) if inside else folder
    if found is not None and found.is_file() and (function or found.name != "__init__.py"):
        return found
    package = found if found is not None and found.is_dir() else found.parent if found is not None else None
    file = package / ("__init__.py" if function else "__main__.py") if package is not None else None
    return file if file is not None and file.is_file() else None


def _is_package(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Whether the folder's modules reach each other through the folder's own name, or by relative imports."""
    if "__init__.py" in files:
        return True
    trees = (parse(content, name) for name, content in files.items() if name.endswith(".py") and "/" not in name)
    found = [item.module for tree in trees for item in imports(tree, "")]
    return any(module.startswith(".") or module.partition(".")[0] == folder.name for module in found)


def _check_name(folder: Path, dotted: str) -> None:
    top = dotted.partition(".")[0]
    if top in PYTHONS_OWN:
        raise InvalidProgram(f"{top} in {folder} has the name of a module of Python and would hide it; rename it")


def _offer(folder: Path, files: Mapping[str, bytes]) -> str:
    """Say what could be an entry point."""
    offers = []
    for name, content in files.items():
        if name.endswith(".py"):
            functions = [item.name for item in parse(content, folder / name).body if isinstance(item, ast.FunctionDef)]
            module = ".".join([folder.name, *_dotted(name)])
            offers += [f"{module}:{function}" for function in functions] or [module]
    more = f" and {len(offers) - _SHOWN} more" if len(offers) > _SHOWN else ""
    return f"it has {', '.join(offers[:_SHOWN])}{more}" if offers else "it has no Python file"


# ---- entry points ------------------------------------------------------------------------------------------------------


def _check_entry(tree: ast.Module, path: Path, module: str, function: str) -> Parameters | None:
    """Refuse an entry point that cannot be one; return the parameters of a function."""
    if not function:
        _check_does_something(tree, path, module)
        return None
    bindings = [statement for statement in top_statements(tree.body) if function in bound_names([statement])]
    if not bindings:
        if any(isinstance(item, ast.ImportFrom) and item.names[0].name == "*" for item in top_statements(tree.body)):
            return None
        functions = [item.name for item in top_statements(tree.body) if isinstance(item, ast.FunctionDef)]
        raise UnknownName.among(f"function in {path.name}", function, functions or set(bound_names(tree.body)))
    last = bindings[-1]
    where = f"entry point {module}:{function} is not callable: line {last.lineno} of {path.name}"
    if isinstance(last, ast.Import):
        raise Misuse(f"{where} imports a module of that name; name a function")
    if isinstance(last, ast.Assign | ast.AnnAssign) and isinstance(last.value, _NO_CALLABLE):
        raise Misuse(f"{where} assigns it {ast.unparse(last.value)[:60]}; name a function")
    if isinstance(last, ast.AsyncFunctionDef):
        raise Misuse(
            f"entry point {module}:{function} is an async function, which Braket calls and does not wait for; "
            "write a plain function that calls asyncio.run"
        )
    return _parameters(last) if isinstance(last, ast.FunctionDef) else None


def _parameters(function: ast.FunctionDef) -> Parameters | None:
    hybrid = [mark for mark in function.decorator_list if _is_hybrid_job(mark)]
    if len(hybrid) != len(function.decorator_list):
        return None  # a decorator may change what it takes
    given = function.args
    named = [item.arg for item in [*given.posonlyargs, *given.args]]
    defaults = len(given.defaults)
    required = named[: len(named) - defaults]
    required += [item.arg for item, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None]
    optional = [item for item in [*named, *(item.arg for item in given.kwonlyargs)] if item not in required]
    marks = {item.arg: _annotation(item) for item in [*given.args, *given.kwonlyargs]}
    kinds = {name: KINDS[mark] for name, mark in marks.items() if mark in KINDS}
    return Parameters(tuple(required), tuple(optional), given.kwarg is not None, bool(hybrid), kinds)


def _annotation(parameter: ast.arg) -> str:
    """Return the name a parameter is annotated with, written `int` or `"int"`; empty for anything else."""
    mark = parameter.annotation
    return mark.id if isinstance(mark, ast.Name) else str(mark.value) if isinstance(mark, ast.Constant) else ""


def _is_hybrid_job(mark: ast.expr) -> bool:
    target = mark.func if isinstance(mark, ast.Call) else mark
    return getattr(target, "attr", getattr(target, "id", "")) == "hybrid_job"


def _check_does_something(tree: ast.Module, path: Path, module: str) -> None:
    """Refuse to run a file that only defines things."""
    functions = [item.name for item in tree.body if isinstance(item, ast.FunctionDef)]
    if functions and all(_only_declares(statement) for statement in tree.body):
        raise Misuse(
            f"{path.name} has no entry point: run as a script it only defines {', '.join(functions[:_SHOWN])}; name a function, "
            f"--entry {module}:{functions[-1]}, or call it under `if __name__ == '__main__':`, or put @qloom.program above it"
        )


def _only_declares(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return not any(isinstance(node, ast.Call) for node in ast.walk(statement))
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    declarations = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Pass)
    return isinstance(statement, declarations)


def _needs(collection: Collection, module: str) -> set[str]:
    """Return the modules of other people's that the script imports for sure as it starts: not in a `try`, an `if`, a function."""
    found: set[str] = set()
    waiting, seen = [module, f"{module}.__main__"], set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in collection.trees:
            continue
        seen.add(name)
        parents = name.split(".")[:-1]
        waiting += [".".join(parents[: length + 1]) for length in range(len(parents))]
        sure: list[ast.stmt] = [item for item in collection.trees[name].body if isinstance(item, ast.Import | ast.ImportFrom)]
        package = name if _is_folder(collection, name) else ".".join(parents)
        for item in imports(ast.Module(sure, []), package):
            waiting += [item.module, *(f"{item.module}.{part}" for part in item.names)]
            top = item.module.partition(".")[0]
            if top and top not in PYTHONS_OWN and collection.root_of(top) is None:
                found.add(item.module)
    return found


def _is_folder(collection: Collection, dotted: str) -> bool:
    return f"{dotted.replace('.', '/')}/__init__.py" in collection.files
