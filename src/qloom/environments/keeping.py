"""Environments: kept below one folder, built by uv, addressed by what is in them.

```
environments/
  resolved/<key>.json             what was asked for, under which Python -> packages with versions and hashes
  looked/<key>.json               what an interpreter said about itself
  by-digest/<digest>/             one environment; `qloom-environment.json` and `environment.lock` in it say what it is
  by-digest/.<digest>.<pid>/      one that is being built, or was when its builder died
  by-digest/.<digest>.building    locked (flock) by whoever builds it, and by the uv that works for it
```

A `resolved` record spares asking uv again; what it leads to is looked at each time, and built again where it is damaged.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom.environments import INSIDE, LOCK, own
from qloom.environments.asked import Wanted, is_version
from qloom.environments.building import Builder, Plan, digest_of, silent
from qloom.environments.checks import check_interpreter, same_file, same_version
from qloom.environments.environment import (
    Environment,
    Interpreter,
    current_environment,
    read_environment,
)
from qloom.environments.looking import Look, look_at
from qloom.environments.requirements import parse_all, parse_versions
from qloom.environments.uv import find_python, refuse, run_uv, uv_version
from qloom.errors import CorruptRecord, InvalidSetting, Unavailable, WrongState
from qloom.kit.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.specifiers import SpecifierSet

    from qloom.environments.building import Progress

_ATTEMPTS = 3
_COMPILE = (
    "--quiet",
    "pip",
    "compile",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
)


class Environments:
    """The environments below one folder.

    Args:
        root: the folder; made when the first environment is.

    >>> import tempfile, pathlib
    >>> Environments(pathlib.Path(tempfile.mkdtemp())).prepare(Wanted()) is None
    True
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._builder = Builder(root)
        self._entered: dict[str, Environment] = {}
        self._said: dict[str, Wanted] = {}

    # ---- asking ----------------------------------------------------------------------------------------------------

    def prepare(
        self,
        wanted: Wanted,
        *,
        with_qloom: bool = True,
        imports: Iterable[str] = (),
        progress: Progress | None = None,
    ) -> Environment | None:
        """Return the environment that fits a wish, built where it is not there yet; None where the running one does.

        Packages that are asked for always get an environment of their own. An interpreter that is asked for by its path,
        without packages, is taken as it is.

        Args:
            wanted: what is asked for.
            with_qloom: whether the running qloom and what it needs go in; a plain script needs none of it.
            imports: top-level modules that an interpreter taken as it is must find.
            progress: told what is being done, where something is.

        Raises:
            InvalidSetting: a requirement that is none or cannot be resolved, a Python that is not there or does not fit; all
                mismatches with an interpreter that is taken as it is, with the way to mend them.
            MissingExtra: there is no uv.
            Unavailable: no package index answers.
            StorageFailed: the disk is full or read-only; nothing half built is left in place.
        """
        if not wanted.anything:
            return None
        entered = self._entered.get(self._wish(wanted, with_qloom=with_qloom))
        if entered is not None:
            return entered
        for _ in range(_ATTEMPTS):
            try:
                return self._prepare(wanted, with_qloom, tuple(imports), progress or silent)
            except own.Changed:
                continue
        raise Unavailable(f"the files of qloom in {own.FOLDER} change while they are copied; run again when they rest")

    def elsewhere(self, wanted: Wanted, *, progress: Progress | None = None) -> Environment | None:
        """Return the environment that this process should be started again in; None where it runs in the right one.

        Which one it runs in is noted, so that `prepare` answers with it: the variable `INSIDE` tells a process that was
        started again, and is taken out of the environment, as it is not for its children.

        Raises:
            InvalidSetting: it was started again, and yet runs in another one. Besides: as for `prepare`.
        """
        expected = os.environ.pop(INSIDE, "")
        if not wanted.anything:
            return None
        self._said[wanted.key()] = wanted
        here = current_environment() or Environment(python=Path(sys.executable), version=Interpreter.running().version)
        if not expected:
            found = self.prepare(wanted, progress=progress)
            if found is None or not _is_here(found, here):
                return found
        elif expected not in (here.digest, sys.executable):
            raise InvalidSetting(
                f"the environment {expected} was started and {sys.executable} runs; remove {self._builder.place(expected)}, "
                "so that it is built again"
            )
        self._entered[self._wish(wanted, with_qloom=True)] = here
        return None

    def as_said(self, wanted: Wanted) -> Wanted:
        """Return the same wish with the places where it was said, as `elsewhere` was told them: the command line among them."""
        return self._said.get(wanted.key(), wanted)

    def check_imports(self, environment: Environment, imports: Iterable[str], where: str) -> None:
        """Refuse imports that an environment which qloom built does not find.

        Raises:
            InvalidSetting: they are named, with the place to add them.
        """
        names = sorted(set(imports))
        if not names or environment.folder is None:
            return
        if missing := self.look(environment.python, names).missing:
            raise InvalidSetting(
                f"the program imports {', '.join(missing)}, which its environment (of {where}) does not have: "
                f"add the packages that bring them to {where}"
            )

    def rebuild(self, record: dict[str, Any], lock_file: Path, *, progress: Progress | None = None) -> Environment:
        """Return the environment of a job, built again from its lock where its folder is gone or damaged.

        Args:
            record: what `Environment.record` returned.
            lock_file: its lock, read where it is needed.
            progress: told what is being done.

        Raises:
            InvalidSetting: the Python it was made with is not here any more, or a package cannot be had.
            CorruptRecord: the lock is not the one that the record names.
        """
        known = read_environment(self._builder.place(record["digest"]))
        if known is not None and known.is_whole():
            return known
        with_qloom = record["digest"] != digest_of([record["lock_digest"], ""])
        lock = _kept_lock(lock_file)
        for _ in range(_ATTEMPTS):
            plan = Plan(
                interpreter=self._same_python(record),
                lock=lock,
                requirements=tuple(record["requirements"]),
                own_digest=own.digest() if with_qloom else "",
            )
            if plan.lock_digest != record["lock_digest"]:
                raise CorruptRecord(
                    f"the {LOCK} of this job has digest {plan.lock_digest}, recorded is {record['lock_digest']}: the file was "
                    "changed, or its packages are for another platform; restore it from a copy, or run the program anew"
                )
            try:
                return self._builder.build(plan, progress or silent)
            except own.Changed:
                continue
        raise Unavailable(f"the files of qloom in {own.FOLDER} change while they are copied; run again when they rest")

    def check_again(self, python: Path, versions: dict[str, str], *, with_qloom: bool) -> None:
        """Refuse to go on with an interpreter that a job was started with and that is gone, or another one now.

        Raises:
            WrongState: with what to put back.
        """
        back = "put it back, or run the program anew with another one"
        try:
            look = self.look(python)
        except InvalidSetting as error:
            raise WrongState(f"this job ran with {python}, and {error}; {back}") from error
        if look.version != versions.get("python", look.version):
            raise WrongState(f"this job ran with Python {versions['python']}, and {python} is {look.version} now; {back}")
        if misfits := check_interpreter(look, python, Wanted(), qloom=own.version() if with_qloom else None):
            raise WrongState("; ".join(misfits))

    def look(self, python: Path, imports: Iterable[str] = ()) -> Look:
        """Return what an interpreter says about itself; see `look_at`."""
        return look_at(python, imports, kept_in=self._builder.folder("looked"))

    def built(self) -> list[Environment]:
        """Return the environments that are there, by digest.

        >>> import tempfile, pathlib
        >>> Environments(pathlib.Path(tempfile.mkdtemp())).built()
        []
        """
        place = self.root / "by-digest"
        folders = [path for path in place.iterdir() if not path.name.startswith(".")] if place.is_dir() else []
        return [found for found in map(read_environment, sorted(folders)) if found is not None]

    def summary(self) -> str:
        """Return in one line what builds environments, where they are and how much they take.

        Raises:
            MissingExtra, InvalidSetting: there is no uv that works.
        """
        bytes_taken = _bytes_below(self.root)
        return (
            f"uv {uv_version()}; {len(self.built())} built in {self.root}, {bytes_taken / 2**20:.0f} MiB (shared with uv's cache)"
        )

    # ---- what is wanted --------------------------------------------------------------------------------------------

    def _prepare(self, wanted: Wanted, with_qloom: bool, imports: tuple[str, ...], progress: Progress) -> Environment | None:  # noqa: FBT001  inner
        running = Interpreter.running()
        key = digest_of([self._wish(wanted, with_qloom=with_qloom), running.path, *running.identity, *_interpreter_stamp(wanted)])
        if known := self._remembered(key):
            return known
        packages, extras = _packages(wanted, with_qloom=with_qloom)
        python = self._python(wanted, running, with_qloom=with_qloom)
        if not packages and not extras:
            if wanted.python and not is_version(wanted.python):
                return self._as_it_is(wanted, imports, with_qloom=with_qloom)
            if python == running:
                return None
            if not with_qloom:
                return Environment(python=Path(python.path), version=python.version)
        plan = self._resolve(packages, extras, python, wanted, with_qloom=with_qloom, progress=progress)
        environment = self._builder.build(plan, progress)
        self._remember(key, plan)
        return environment

    def _python(self, wanted: Wanted, running: Interpreter, *, with_qloom: bool) -> Interpreter:
        """Return the Python to build with: the one asked for, else the running one, else one that the header allows."""
        bounds = parse_versions(wanted.requires_python, wanted.requires_python_from)
        limits = own.requires_python() if with_qloom else ""
        if not wanted.python:
            _refuse_both(bounds, limits, wanted.requires_python_from)
            found = (
                running if bounds.contains(running.version) else self._found(_joined(bounds, limits), wanted.requires_python_from)
            )
        elif not is_version(wanted.python):
            found = _interpreter(self.look(Path(wanted.python)))
        elif same_version(wanted.python, running.version):
            found = running
        else:
            _refuse_python(wanted.python, limits, wanted)
            found = self._found(wanted.python, wanted.python_from)
        if not bounds.contains(found.version):
            raise InvalidSetting(
                f"{wanted.requires_python_from} requires Python {wanted.requires_python}, and {wanted.python_from} asks for "
                f"{wanted.python}, which is {found.version}: choose another one, or correct {wanted.requires_python_from}"
            )
        _refuse_python(found.version, limits, wanted)
        return found

    def _found(self, version: str, why: str) -> Interpreter:
        return _interpreter(self.look(Path(find_python(version, folder=self._builder.folder(), why=why))))

    def _same_python(self, record: dict[str, Any]) -> Interpreter:
        running = Interpreter.running()
        if running.version == record["python"] and running.implementation == record["implementation"]:
            return running
        return self._found(record["python"], "the environment of this job, which is gone,")

    def _as_it_is(self, wanted: Wanted, imports: tuple[str, ...], *, with_qloom: bool) -> Environment:
        python = Path(wanted.python)
        look = self.look(python, imports)
        if misfits := check_interpreter(look, python, wanted, qloom=own.version() if with_qloom else None):
            raise InvalidSetting("; ".join(misfits))
        return Environment(python=python, version=look.version)

    # ---- resolving -------------------------------------------------------------------------------------------------

    def _resolve(
        self,
        packages: list[str],
        extras: tuple[str, ...],
        python: Interpreter,
        wanted: Wanted,
        *,
        with_qloom: bool,
        progress: Progress,
    ) -> Plan:
        base = own.base_requirements(extras) if with_qloom else ()
        where = wanted.requirements_from or wanted.python_from or wanted.requires_python_from
        progress(f"resolving what {where} asks for")
        folder = self._builder.folder()
        done = run_uv(
            [*_COMPILE, "--python", python.path, "-"],
            folder=folder,
            text="\n".join([*packages, *base]) + "\n",
        )
        beside = f" (beside what qloom needs itself: {', '.join(base)})" if base else ""
        fix = f"change the names or bounds in {where}{beside}"
        refuse(done, f"the requirements of {where} cannot be resolved for Python {python.version}", fix)
        said = tuple(wanted.requirements)
        return Plan(interpreter=python, lock=done.stdout, requirements=said, own_digest=own.digest() if with_qloom else "")

    def _wish(self, wanted: Wanted, *, with_qloom: bool) -> str:
        own_part = [own.digest(), *own.declared()] if with_qloom else []
        return json.dumps([wanted.key(), with_qloom, own_part])

    def _remembered(self, key: str) -> Environment | None:
        """Return the environment that the same wish led to before, if it is whole; uv is not asked."""
        try:
            digest = read_json(self.root / "resolved" / f"{key}.json")["digest"]
            known = read_environment(self._builder.place(str(digest)))
        except (OSError, CorruptRecord, LookupError, TypeError):
            return None
        return known if known is not None and known.is_whole() else None

    def _remember(self, key: str, plan: Plan) -> None:
        write_json(
            self._builder.folder("resolved") / f"{key}.json",
            {"digest": plan.digest, "requirements": list(plan.requirements)},
            durable=False,
        )


def _kept_lock(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptRecord(
            f"the environment of this job is gone, and {path}, from which it could be built again, cannot be read ({error}); "
            "restore one of them from a copy, or run the program anew"
        ) from error


def _is_here(found: Environment, here: Environment) -> bool:
    if found.digest or here.digest:
        return found.digest == here.digest
    return same_file(str(found.python), str(here.python))


def _interpreter(look: Look) -> Interpreter:
    return Interpreter(path=look.behind, version=look.version, implementation=look.implementation, platform=look.platform)


def _interpreter_stamp(wanted: Wanted) -> list[str]:
    """Return what changes when an interpreter that was asked for by its path is replaced."""
    if not wanted.python or is_version(wanted.python):
        return []
    try:
        return [str(Path(wanted.python).stat().st_mtime_ns)]
    except OSError:
        return [""]


def _packages(wanted: Wanted, *, with_qloom: bool) -> tuple[list[str], tuple[str, ...]]:
    """Return the requirements for the resolver, checked, and the extras of qloom among them."""
    if not wanted.requirements:
        return [], ()
    requirements = parse_all(wanted.requirements, wanted.requirements_from)
    if not with_qloom:
        return list(map(str, requirements)), ()
    others, extras = own.split(requirements, wanted.requirements_from)
    return list(map(str, others)), extras


def _refuse_python(version: str, limits: str, wanted: Wanted) -> None:
    """Refuse a Python that qloom does not run on; of `3.13` no patch release will do either."""
    padded = version + ".0" * (2 - version.count("."))
    if limits and not parse_versions(limits, "qloom").contains(padded):
        who = wanted.python_from or wanted.requires_python_from or wanted.requirements_from
        raise InvalidSetting(f"{who} asks for Python {version}, and qloom runs on {limits}: choose one of those")


def _refuse_both(bounds: SpecifierSet, limits: str, who: str) -> None:
    """Refuse bounds that leave no release of Python on which qloom runs; otherwise a search would tell nothing of that."""
    both = parse_versions(_joined(bounds, limits), who)
    releases = (f"3.{minor}.{micro}" for minor in range(60) for micro in range(40))
    if limits and not any(map(both.contains, releases)):
        raise InvalidSetting(f"{who} requires Python {bounds}, and qloom runs on {limits}: allow one of those")


def _joined(bounds: object, limits: str) -> str:
    return ",".join(part for part in (str(bounds), limits) if part)


def _bytes_below(folder: Path) -> int:
    """Return what the files below a folder take on the disk, each counted once however many names it has."""
    taken: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            found = os.lstat(os.path.join(place, name))  # noqa: PTH118  thousands of files
            taken[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(taken.values())
