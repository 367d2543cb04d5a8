"""Shipping a program as source: its file, the project's own modules it imports, and the data files it names.

Nothing is run and nothing is pickled. A program in a notebook becomes a module of its own. This is the door; what is behind it
(`collecting`, `finding`, `notebook`) is loaded when something is shipped, so that declaring a program stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


class Bundle(NamedTuple):
    """Everything of the user's that a job needs to run the program.

    Attributes:
        files: path below the source root, with `/` -> content.
        entry_point: `module:function`.
        digest: equal for equal files and entry point, whatever their order and times (hex, 32 characters).
        third_party: top-level packages that it imports and that must be installed where it runs.
        notes: what a careful reader should know: imports that were not found, compiled modules left behind.
        optional: those of `third_party` that it imports only in a `try` or an `if`, so that it may live without them.
    """

    files: dict[str, bytes]
    entry_point: str
    digest: str
    third_party: tuple[str, ...]
    notes: tuple[str, ...]
    optional: tuple[str, ...] = ()


def bundle_file(path: Path, program_name: str, data_files: Sequence[str] = ()) -> Bundle:
    r"""Return the bundle of a program in a file.

    The root is the file's folder; inside a package (a folder with `__init__.py`) it is the folder that holds the top package.

    Args:
        path: the file.
        program_name: the program in it.
        data_files: glob patterns relative to the file's folder; a folder stands for all files below it.

    Raises:
        InvalidProgram: a file that cannot be read or is no Python (with the line), a data file that is missing, outside the
            root or too large.
        UnknownName: nothing of that name at the top level of the file.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "scan.py"
    >>> _ = file.write_text("import numpy, qloom\n@qloom.program\ndef scan(ctx): ...\n")
    >>> bundle = bundle_file(file, "scan")
    >>> list(bundle.files), bundle.entry_point, bundle.third_party
    (['scan.py'], 'scan:scan', ('numpy',))
    """
    import qloom.programs.collecting as collecting

    return Bundle(*collecting.of_file(path, program_name, data_files))


def bundle_function(function: Callable[..., Any], data_files: Sequence[str] = ()) -> Bundle:
    """Return the bundle of a program given as a function: of its file, or, from a notebook, of its cell and what that needs.

    Args:
        function: a function at the top level of a file or of a notebook.
        data_files: as for `bundle_file`; in a notebook relative to the current folder.

    Raises:
        InvalidProgram: as for `bundle_file`; a closure or a live object, named; source that is gone.
    """
    import qloom.programs.collecting as collecting

    return Bundle(*collecting.of_function_again(function, tuple(data_files)))


def find_programs(path: Path) -> list[str]:
    r"""Return the names of the functions in a file that are decorated as programs, in order. Runs nothing.

    Raises:
        InvalidProgram: it cannot be read, or is no Python.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "scan.py"
    >>> _ = file.write_text("import qloom as q\n@q.program(seed=1)\ndef scan(ctx): ...\n")
    >>> find_programs(file)
    ['scan']
    """
    import qloom.programs.finding as finding

    return finding.programs_in(path)


def declared_environment(path: Path, name: str | None = None) -> tuple[tuple[str, ...] | str | None, str | None]:
    r"""Return the requirements and the Python that a program's decorator asks for, as far as they stand there literally.

    Nothing is run: the file may import what only that environment has. None for what the decorator does not say.

    Args:
        path: the file.
        name: which program; may be left out where the file has a single one.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "scan.py"
    >>> _ = file.write_text("import qloom as q\n@q.program(requirements=['six'])\ndef scan(ctx): ...\n")
    >>> tuple(declared_environment(file))
    (('six',), None)
    """
    import qloom.programs.declared as declared

    return declared.declared(path, name)


def load_program(path: Path, name: str | None = None, names: Sequence[str] | None = None) -> Any:
    """Import a file and return the program in it.

    Args:
        path: the file.
        name: which program; may be left out where the file has a single one.
        names: what `find_programs` returned, where it was asked before.

    Raises:
        Misuse: several programs and none named, or none at all.
        UnknownName: no program of that name, with the nearest names.
        ProgramFailed: the file raised while it was imported.
    """
    import qloom.programs.finding as finding

    return finding.load(path, name, names)
