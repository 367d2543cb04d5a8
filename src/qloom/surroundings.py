"""Which environment a program or a script runs in: what its options, the command line and its file ask for, and what is there."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from inspect import unwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom.environments import INSIDE, LOCK, in_environment, may_have_header
from qloom.errors import Misuse
from qloom.programs.shipping import declared_environment

# What builds and looks is loaded by who asks for something: this file is loaded in every process of a job.
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.environments.asked import Wanted
    from qloom.environments.environment import Environment
    from qloom.environments.keeping import Environments
    from qloom.jobspecs import JobSpec
    from qloom.kit.job_folder import JobFolder
    from qloom.programs.definition import ProgramDefinition, RunOptions
    from qloom.programs.scripts import Script
    from qloom.programs.shipping import Bundle


class Surroundings:
    """The environments of jobs on this machine.

    Args:
        home: qloom's home.

    >>> import tempfile, pathlib
    >>> Surroundings(pathlib.Path(tempfile.mkdtemp())).kept.built()
    []
    """

    def __init__(self, home: Path) -> None:
        self._home = home

    @cached_property
    def kept(self) -> Environments:
        """Those that were built."""
        import qloom.environments.keeping as keeping

        return keeping.Environments(self._home / "environments")

    def of_program(self, program: ProgramDefinition, bundle: Bundle) -> Environment | None:
        """Return the environment that a program's job runs in, built where it is not there yet; None for this process's own.

        Raises:
            InvalidSetting: it cannot be built, or does not fit; every mismatch is said, with the way to mend it.
            MissingExtra, Unavailable: there is no uv, or no package index answers.
        """
        wanted = self._wanted(program)
        needed = set(bundle.third_party) - set(bundle.optional)
        found = None if wanted is None else self.kept.prepare(wanted, imports=needed, progress=say)
        if wanted is not None and found is not None:
            self.kept.check_imports(found, needed, wanted.requirements_from or wanted.python_from or "the header")
        if found is None and in_environment():
            from qloom.environments.environment import current_environment

            return current_environment()
        return found

    def describe(self, program: ProgramDefinition, bundle: Bundle) -> dict[str, Any]:
        """Return the environment of a program's job as `--dry-run` shows it: what it is, and who asks for it.

        Raises:
            InvalidSetting, MissingExtra, Unavailable: as for `of_program`.
        """
        wanted, found = self._wanted(program), self.of_program(program, bundle)
        python = str(found.python) if found else sys.executable
        asked = {"requirements": wanted.requirements_from, "python": wanted.python_from} if wanted else {}
        asked = {what: where for what, where in asked.items() if where}
        if found is None or not found.digest:
            says = f"{python}, taken as it is" if found else f"the one that runs qloom, {python}"
            return {"interpreter": python, "asked_by": asked, "lock_digest": "", "requirements": [], "packages": {}, "says": says}
        who = ", ".join(dict.fromkeys(asked.values())) or "where this command runs"
        says = f"lock digest {found.lock_digest}, Python {found.version}, {len(found.packages)} packages; asked for by {who}"
        return {"interpreter": python, "asked_by": asked, **found.record(), "says": says}

    def _wanted(self, program: ProgramDefinition) -> Wanted | None:
        wanted = _wanted_by(program)
        return None if wanted is None else self.kept.as_said(wanted)

    def of_file(
        self,
        file: Path,
        name: str | None,
        *,
        requirements: str | None = None,
        python: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Environment | None:
        """Return the environment in which a program's file has to be imported; None where this process is in it.

        Args:
            file: the file; it is read, not imported.
            name: the program in it; None for the only one.
            requirements: path of a requirements.txt that counts instead of what the file asks for.
            python: the same for the interpreter.
            progress: told what is being done; where there is none, a person at a terminal is.

        Raises:
            InvalidSetting, MissingExtra, Unavailable: as for `of_program`.
        """
        declared_packages, declared_python = declared_environment(file, name)
        asked = (requirements, python, declared_packages, declared_python)
        if all(one is None for one in asked) and not may_have_header(str(file)) and not in_environment():
            return None
        import qloom.environments.asked as asking

        places = (
            asking.Asked("--requirements", requirements),
            asking.Asked("--python", None, python),
            asking.Asked(f"the options of {name or file.stem}", declared_packages, declared_python),
        )
        return self.kept.elsewhere(asking.wanted_by(file, *places), progress=progress or say)

    def of_script(self, script: Script, options: RunOptions, python: str | None, name: str | None) -> Environment:
        """Return the interpreter that a script runs with, and its environment where one was built for it.

        One is built as `--requirements`, a version or the script's header asks. A requirements.txt that merely stands beside it
        (`script.requirements`) asks for nothing: its packages would come without Braket's, which are there on Braket.

        Args:
            script: what `read_script` returned.
            options: its `requirements` counts.
            python: path of an interpreter, or a version; None for this one.
            name: of an environment instead.

        Raises:
            Misuse: two of them were given.
            UnknownName: no environment of that name.
            InvalidSetting, MissingExtra, Unavailable: as for `of_program`; an import of the script's that is not there.
        """
        import qloom.environments.asked as asking
        import qloom.environments.checks as checks
        from qloom.environments.environment import Environment
        from qloom.environments.looking import look_at

        if name is not None and options.requirements is not None:
            raise Misuse("--environment and --requirements both say which packages there are; give one of them")
        places = (asking.Asked("--requirements", options.requirements), asking.Asked("--python", None, python))
        wanted = asking.wanted_by(script.file, *places)
        version = asking.is_version(wanted.python)
        asks = bool(wanted.requirements or wanted.requires_python) or version
        built = self.kept.prepare(wanted, with_qloom=False, progress=say) if asks and name is None else None
        # A version for which nothing is built is the one that runs here.
        path = built.python if built else checks.find_interpreter(None if version else python, name, self._home)
        look = look_at(path, script.needs)
        checks.check_for_script(look, path, script.name)
        return built or Environment(python=path, version=look.version)

    def of_resumed(self, job: JobSpec, folder: JobFolder) -> str:
        """Return the interpreter that a job is resumed with: the one it began with, built again where it is gone.

        Raises:
            WrongState, InvalidSetting, CorruptRecord: it is gone and cannot be built again.
        """
        if job.environment:
            return str(self.kept.rebuild(job.environment, folder.path / LOCK, progress=say).python)
        self.kept.check_again(Path(job.python), job.versions, with_qloom=job.kind == "program")
        return job.python


def refuse_misfits(program: ProgramDefinition) -> None:
    """Refuse to run a program in this process where it asks for what this process does not have.

    Raises:
        Misuse: each misfit, with the way to mend it.
    """
    wanted = _wanted_by(program)
    if wanted is None:
        return
    import qloom.environments.checks as checks

    if misfits := checks.check_this_process(wanted):
        raise Misuse(
            f"program {program.name} does not fit into this process: {'; '.join(misfits)}. Or submit it: its job runs in an "
            "environment of its own"
        )


def command_in(environment: Environment, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command that starts this command line again in an environment, and the variables it needs."""
    command = [str(environment.python), "-P", "-m", "qloom", *arguments]
    return command, {**os.environ, INSIDE: environment.digest or str(environment.python)}


def say(text: str) -> None:
    """Tell a person at a terminal what takes so long."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")


def _wanted_by(program: ProgramDefinition) -> Wanted | None:
    """Return what a program asks for: by its options, or by the header of its file; None where it asks for nothing."""
    options = program.options
    file = _file_of(program.function)
    if options.requirements is None and options.resources.python is None and not (file and may_have_header(file)):
        return None
    import qloom.environments.asked as asking

    said = asking.Asked(f"the options of {program.name}", options.requirements, options.resources.python)
    wanted = asking.wanted_by(Path(file) if file else None, said)
    return wanted if wanted.anything else None


def _file_of(function: Callable[..., Any]) -> str:
    """The file a program is written in; empty in a notebook, whose cells a debugger may have written into files."""
    name = unwrap(function).__code__.co_filename
    return name if os.path.isfile(name) and "/ipykernel_" not in name else ""  # noqa: PTH113  each call passes here
