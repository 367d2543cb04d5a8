"""The one place that introduces the rooms to each other: settings, store, executors, devices, journal, programs."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from functools import cache, cached_property
from inspect import unwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom import catalogue
from qloom.config import Settings, __version__
from qloom.contracts import SandboxingExecutor
from qloom.convert import read_circuit
from qloom.environments import INSIDE, LOCK, in_environment, may_have_header
from qloom.errors import InvalidSetting, JobInterrupted, Misuse, StorageFailed, UnknownName, Unsupported, WrongState
from qloom.jobspecs import JobSpec, JobState, JobStatus, new_job_id
from qloom.journal import JournalTail, read_journal
from qloom.kit.files import read_json, write_atomically, write_json
from qloom.kit.job_folder import JobFolder
from qloom.programs.context import DEFAULT_DEVICE, Context
from qloom.programs.quantum import QuantumDevice
from qloom.programs.shipping import bundle_function, declared_environment
from qloom.storage import FolderStore, MapRecord, MapStore, input_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qloom.contracts import Executor, Lane, Recorder
    from qloom.environments.asked import Wanted
    from qloom.environments.environment import Environment
    from qloom.environments.keeping import Environments
    from qloom.journal import JournalView
    from qloom.programs.definition import ProgramDefinition, RunOptions
    from qloom.programs.interpreters import Interpreter
    from qloom.programs.scripts import Script
    from qloom.programs.shipping import Bundle

NO_DEVICE = "local:none/none"
"""The device of a script that names none, as in Braket's SDK."""
RESUMABLE = (JobState.INTERRUPTED, JobState.FAILED)


class Application:
    """qloom on this machine: where jobs are kept, how they are started and asked about.

    >>> import tempfile, pathlib
    >>> app = Application(Settings(home=pathlib.Path(tempfile.mkdtemp())))
    >>> list(app.store.jobs())
    []
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = FolderStore(settings.home)
        self.maps = MapStore(settings.home)
        self._executors: dict[str, Executor] = {}

    # ---- devices -------------------------------------------------------------------------------------------------

    def device(
        self,
        name: str | None = None,
        *,
        lanes: Callable[[], Lane] | None = None,
        recorder: Recorder | None = None,
        threads: int | None = None,
    ) -> QuantumDevice:
        """Return a device as programs see it: it takes circuits of any front end and goes through a lane.

        Raises:
            UnknownName: nobody registered that name.
            MissingExtra: its packages are not installed.
        """
        device = catalogue.create_device(name or self.settings.default_device, threads=threads)
        return QuantumDevice(device, lanes=lanes, intake=read_circuit, recorder=recorder)

    def local_context(self, options: RunOptions) -> Context:
        """Return the context of a plain call: this process, no journal."""
        self._refuse_unpriced(options)
        names = self._device_names(options)
        return Context.local(
            devices={name: _opener(self.device, device, options.resources.cpus) for name, device in names.items()},
            seed=options.seed,
            inputs=options.input_data,
        )

    # ---- jobs ----------------------------------------------------------------------------------------------------

    def call(self, program: ProgramDefinition, arguments: dict[str, Any]) -> Any:
        """Run a program in this process, without a journal, and return what it returns.

        Raises:
            Misuse: the program asks for a sandbox, which this process is not, or for packages that it does not have.
        """
        if program.options.sandbox:
            way = "submit it, or call the one that `with_options(sandbox=False)` returns"
            raise Misuse(f"program {program.name} asks for a sandbox, and a plain call runs in this process; {way}")
        _refuse_misfits(program)
        context = self.local_context(program.options)
        return program.function(context, **program.decode_arguments(arguments))

    def submit(self, program: ProgramDefinition, arguments: Mapping[str, Any]) -> JobFolder:
        """Create a job and start its first attempt; everything that can be refused is refused before anything is written.

        Raises:
            UnknownName: no such device, executor or stage.
            InvalidSetting: a budget without a device that has a price.
            Rejected, Unsupported: a sandbox was asked for, and this machine or the executor has none.
            StorageFailed: the job's folder cannot be written; nothing is left behind.
            MissingExtra, Unavailable: its environment cannot be built: there is no uv, or no package index answers.
        """
        return self.launch(program).start(arguments)

    def launch(self, program: ProgramDefinition) -> Launch:
        """Return what starts jobs of a program; everything that does not depend on their arguments is done and checked once.

        Raises:
            UnknownName, InvalidSetting, Rejected, Unsupported, MissingExtra, Unavailable: as `submit`.
        """
        options = program.options
        self.check_options(options)
        bundle = bundle_function(program.function, data_files=options.data_files)
        environment = self.environment(program, bundle)
        executor = self.executor(options.executor or self.settings.default_executor)
        template = JobSpec(
            job_id="",
            program=program.name,
            entry_point=bundle.entry_point,
            source_digest=bundle.digest,
            devices=self._device_names(options),
            executor=executor.name,
            pipeline=options.pipeline,
            budget_usd=None,
            resources=options.resources,
            input_data=options.input_data,
            detach=options.detach,
            versions=_versions(environment),
            sandbox=options.sandbox,
            python=str(environment.python) if environment else "",
            environment=environment.record() if environment else {},
        )
        return Launch(self.store, executor, template, bundle, environment, options.seed)

    def map_record(self, name: str | None, launch: Launch, arguments: list[dict[str, Any]]) -> MapRecord:
        """Return the record of a map of that name, or a new one, which is written down before any of its jobs is started.

        Raises:
            InvalidSetting: that is no name, or there is another map of that name; the first difference is told.
            CorruptRecord, StorageFailed: it cannot be read or written.
        """
        template = launch.template
        record = MapRecord(
            name=new_job_id() if name is None else name,
            program=template.program,
            source_digest=template.source_digest,
            decides={"devices": template.devices, "pipeline": list(template.pipeline), "seed": launch.seed},
            seed=fresh_seed() if launch.seed is None else launch.seed,
            parameters=arguments,
            jobs=[new_job_id() for _ in arguments],
            created_at=time.time(),
        )
        known = None if name is None else self.maps.find(name)
        if known is None:
            self.maps.write(record)
            return record
        if difference := known.difference(record):
            raise InvalidSetting(f"there is another map {name!r}: {difference}; take another name, or leave it out for a new map")
        return known

    def check_script(
        self,
        script: Script,
        hyperparameters: Mapping[str, str],
        options: RunOptions,
        *,
        python: str | None = None,
        environment: str | None = None,
    ) -> tuple[Interpreter, Environment | None]:
        """Refuse everything about a script that can be refused before it starts; return where it runs.

        Args:
            script: what `read_script` returned.
            hyperparameters: as Braket takes them, every value text.
            options: `device` in one of Braket's forms; `executor`, `input_data`, `sandbox`, `requirements` as for a program.
            python: path of an interpreter, or a version; None for this one.
            environment: name of an environment instead.

        Returns:
            The interpreter, and the environment where one was built for the script.

        Raises:
            InvalidParameters, InvalidSetting, UnknownName, Rejected, Unsupported: what does not fit, and the next step.
            MissingExtra, Unavailable: its environment cannot be built.
        """
        # Here, as this file is loaded in every process of a job.
        from qloom.environments.asked import is_version
        from qloom.programs.interpreters import ask_interpreter, find_interpreter, refuse_missing
        from qloom.programs.scripts import check_hyperparameters, read_device

        check_hyperparameters(hyperparameters, script)
        read_device(options.device or NO_DEVICE)
        for channel, path in _paths(options.input_data).items():
            input_files(channel, path)
        self._check_executor(options)
        built = self._script_environment(script, options, python) if environment is None else None
        if environment is not None and options.requirements is not None:
            raise Misuse("--environment and --requirements both say which packages there are; give one of them")
        python = None if python and is_version(python) else python  # such a one is built, or runs here
        chosen = str(built.python) if built else find_interpreter(python, environment, self.settings.home)
        interpreter = ask_interpreter(chosen, script.needs)
        refuse_missing(interpreter, script.name)
        return interpreter, built

    def submit_script(
        self,
        script: Script,
        hyperparameters: Mapping[str, str],
        options: RunOptions,
        *,
        python: str | None = None,
        environment: str | None = None,
    ) -> JobFolder:
        """Create a job for a plain Braket script and start its first attempt; arguments and errors as for `check_script`.

        Raises:
            StorageFailed: the job's folder cannot be written; nothing is left behind.
        """
        interpreter, built = self.check_script(script, hyperparameters, options, python=python, environment=environment)
        executor = self.executor(options.executor or self.settings.default_executor)
        job = JobSpec(
            job_id=new_job_id(),
            program=script.name,
            entry_point=script.bundle.entry_point,
            source_digest=script.bundle.digest,
            parameters=dict(hyperparameters),
            devices={DEFAULT_DEVICE: options.device or NO_DEVICE},
            executor=executor.name,
            resources=options.resources,
            input_data=options.input_data,
            detach=options.detach,
            created_at=time.time(),
            versions=_versions(None) | {"python": interpreter.version},
            sandbox=options.sandbox,
            kind="script",
            python=interpreter.path,
            environment=built.record() if built else {},
        )
        folder = self.store.create(job, script.bundle.files, _paths(options.input_data))
        if built and built.lock:
            _keep_lock(folder, built)
        executor.submit(job, folder, 1)
        return JobFolder(folder)

    def _script_environment(self, script: Script, options: RunOptions, python: str | None) -> Environment | None:
        """Return the environment built for a script as `--requirements`, a version or its header asks; None where none does.

        A requirements.txt that merely stands beside it (`script.requirements`) asks for nothing: its packages would come
        without Braket's, which are there on Braket.
        """
        import qloom.environments.asked as asking

        wanted = asking.wanted_by(
            script.file, asking.Asked("--requirements", options.requirements), asking.Asked("--python", None, python)
        )
        plain = not (wanted.requirements or wanted.requires_python) and not asking.is_version(wanted.python)
        return None if plain else self.environments.prepare(wanted, with_qloom=False, progress=_say)

    def resume(
        self,
        folder: JobFolder,
        *,
        force: bool = False,
        from_scratch: bool = False,
        accept_divergence: bool = False,
        executor: str | None = None,
        detach: bool | None = None,
    ) -> None:
        """Start another attempt of a job that is INTERRUPTED or FAILED, or, with `force`, CANCELLED.

        Raises:
            WrongState: the job is running, was completed, or somebody else resumes it at this moment.
            Rejected, Unsupported: it ran in a sandbox, and this machine or the executor has none.
        """
        status = self.status(folder)
        allowed = (*RESUMABLE, JobState.CANCELLED) if force else RESUMABLE
        if status.state not in allowed:
            raise WrongState(_why_not_resumed(folder, status))
        job = folder.spec()
        if job.kind == "script" and accept_divergence:
            raise Misuse(
                f"job {folder.path.name} is a script, which resumes from its own checkpoints and replays nothing; "
                "leave --accept-divergence out, or take --from-scratch"
            )
        if detach is not None:
            job = replace(job, detach=detach)
        runner = self.executor(executor or job.executor)
        if job.sandbox:
            _check_sandbox(runner)
        if job.python:
            job = replace(job, python=self._same_environment(folder, job))
        attempt = _new_attempt(folder, status.attempt)
        write_json(
            folder.attempt(attempt) / "options.json",
            {"from_scratch": from_scratch, "accept_divergence": accept_divergence, "executor": runner.name, "detach": job.detach},
        )
        runner.submit(job, folder.path, attempt)

    def folder(self, job_id: str) -> JobFolder:
        """Return the folder of a job; the beginning of its id is enough."""
        return JobFolder(self.store.folder(job_id))

    def status(self, folder: JobFolder) -> JobStatus:
        """Return where a job stands now; a job whose processes are gone is INTERRUPTED, whoever asks."""
        return self.executor(folder.spec().executor).watch(folder.path)

    def wait(self, folder: JobFolder, timeout_s: float) -> None:
        """Return when a job may have ended, or after the time."""
        self.executor(folder.spec().executor).wait([folder.path], timeout_s)

    def journal(self, folder: JobFolder) -> JournalView:
        """Return what a job's journal holds: metrics, answers, engines, problems. Works while the job runs."""
        return read_journal(folder.checkpoints)

    def journal_tail(self, folder: JobFolder) -> JournalTail:
        """Return a reader that gives the metrics that are new since it was last asked."""
        return JournalTail(folder.checkpoints)

    def cancel(self, folder: JobFolder) -> JobStatus:
        """End a job for good; returns the state it is left in."""
        return self.executor(folder.spec().executor).cancel(folder.path)

    def suspend(self, folder: JobFolder) -> JobStatus:
        """End a job's processes but keep it resumable; returns the state it is left in."""
        return self.executor(folder.spec().executor).suspend(folder.path)

    def executor(self, name: str) -> Executor:
        """Return the executor of that name."""
        if name not in self._executors:
            self._executors[name] = catalogue.create_executor(name)
        return self._executors[name]

    # ---- environments --------------------------------------------------------------------------------------------

    @cached_property
    def environments(self) -> Environments:
        """The environments that programs ask for; loaded when one does."""
        import qloom.environments.keeping as keeping

        return keeping.Environments(self.settings.home / "environments")

    def environment(self, program: ProgramDefinition, bundle: Bundle) -> Environment | None:
        """Return the environment that a program's job runs in, built where it is not there yet; None for this process's own.

        Raises:
            InvalidSetting: it cannot be built, or does not fit; every mismatch is said, with the way to mend it.
            MissingExtra, Unavailable: there is no uv, or no package index answers.
        """
        wanted = self._wanted(program)
        needed = set(bundle.third_party) - set(bundle.optional)
        found = None if wanted is None else self.environments.prepare(wanted, imports=needed, progress=_say)
        if wanted is not None and found is not None:
            self.environments.check_imports(found, needed, wanted.requirements_from or wanted.python_from or "the header")
        if found is None and in_environment():
            from qloom.environments.environment import current_environment

            return current_environment()
        return found

    def describe_environment(self, program: ProgramDefinition, bundle: Bundle) -> dict[str, Any]:
        """Return the environment of a program's job as `--dry-run` shows it: what it is, and who asks for it.

        Raises:
            InvalidSetting, MissingExtra, Unavailable: as for `environment`.
        """
        wanted, found = self._wanted(program), self.environment(program, bundle)
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
        wanted = wanted_environment(program)
        return None if wanted is None else self.environments.as_said(wanted)

    def environment_of_file(
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
            InvalidSetting, MissingExtra, Unavailable: as for `environment`.
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
        return self.environments.elsewhere(asking.wanted_by(file, *places), progress=progress or _say)

    def command_in(self, environment: Environment, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Return the command that starts this command line again in an environment, and the variables it needs."""
        command = [str(environment.python), "-P", "-m", "qloom", *arguments]
        return command, {**os.environ, INSIDE: environment.digest or str(environment.python)}

    def _same_environment(self, folder: JobFolder, job: JobSpec) -> str:
        """Return the interpreter that a job is resumed with: the one it began with, built again where it is gone."""
        if job.environment:
            return str(self.environments.rebuild(job.environment, folder.path / LOCK, progress=_say).python)
        self.environments.check_again(Path(job.python), job.versions, with_qloom=job.kind == "program")
        return job.python

    # ---- checks --------------------------------------------------------------------------------------------------

    def check_options(self, options: RunOptions) -> None:
        """Refuse unknown names, budgets that nothing can watch and sandboxes that cannot be made; starts nothing."""
        self._refuse_unpriced(options)
        self._device_names(options)
        self._check_executor(options)

    def _check_executor(self, options: RunOptions) -> None:
        executor, known = options.executor or self.settings.default_executor, catalogue.names("executor")
        if executor not in known:
            raise UnknownName.among("executor", executor, known)
        if options.sandbox:
            _check_sandbox(self.executor(executor))

    def _device_names(self, options: RunOptions) -> dict[str, str]:
        names = {DEFAULT_DEVICE: options.device or self.settings.default_device, **options.devices}
        for name in names.values():
            catalogue.check_device_name(name)
        return names

    def _refuse_unpriced(self, options: RunOptions) -> None:
        known = catalogue.names("stage") if options.pipeline else []
        for stage in options.pipeline:
            if stage not in known:
                raise UnknownName.among("stage", stage, known)
        if options.budget is not None:
            devices = ", ".join(sorted(set(self._device_names(options).values())))
            raise InvalidSetting(
                f"no priced device: a budget of {options.budget.usd:g} USD has nothing to watch on {devices}; leave it out"
            )


class Launch:
    """Starts jobs of one program.

    Attributes:
        template: their specification, without what differs from job to job.
        executor: where they run.
        seed: the one that was asked for; None for a fresh one for each job.
    """

    def __init__(
        self,
        store: FolderStore,
        executor: Executor,
        template: JobSpec,
        bundle: Bundle,
        environment: Environment | None,
        seed: int | None,
    ) -> None:
        self.template = template
        self.executor = executor
        self.seed = seed
        self._store = store
        self._bundle = bundle
        self._environment = environment

    def start(self, arguments: Mapping[str, Any], **changes: Any) -> JobFolder:
        """Create a job and start its first attempt.

        Args:
            arguments: of the program, checked.
            changes: other fields of the specification, such as `job_id` and `seed`.

        Raises:
            Rejected, StorageFailed: nothing was started, and of a folder that cannot be written nothing is left behind.
        """
        fresh: dict[str, Any] = {
            "job_id": new_job_id(),
            "seed": fresh_seed() if self.seed is None else self.seed,
            "created_at": time.time(),
        }
        job = replace(self.template, parameters=dict(arguments), **(fresh | changes))
        folder = self._store.create(job, self._bundle.files, _paths(job.input_data), queued=True)
        if self._environment and self._environment.lock:
            _keep_lock(folder, self._environment)
        self.executor.submit(job, folder, 1)
        return JobFolder(folder)


def fresh_seed() -> int:
    """Return a seed that nobody asked for.

    >>> 0 <= fresh_seed() < 2**32
    True
    """
    return int.from_bytes(os.urandom(4), "big")


@cache
def application() -> Application:
    """Return the application with the settings of this process's environment; made once."""
    return Application(Settings.read())


def job_context(folder: JobFolder, attempt: int, recorder: Recorder) -> Context:
    """Return the context of a job's program: its devices go through the recorder's lanes."""
    job = folder.spec()
    app = application()

    def opener(lanes: Callable[[], Lane], name: str) -> QuantumDevice:
        return app.device(name, lanes=lanes, recorder=recorder, threads=job.resources.cpus)

    return Context.of_job(folder=folder, job=job, attempt=attempt, recorder=recorder, open_device=opener)


def attempt_options(folder: JobFolder, attempt: int) -> dict[str, Any]:
    """Return how an attempt was asked for; the first one has no options."""
    path = folder.attempt(attempt) / "options.json"
    return dict(read_json(path)) if path.exists() else {}


def _check_sandbox(executor: Executor) -> None:
    if not isinstance(executor, SandboxingExecutor):
        raise Unsupported(f"executor {executor.name} has no sandbox, and without one the job is not run; take executor local")
    executor.check_sandbox()


def _new_attempt(folder: JobFolder, latest: int) -> int:
    """Reserve the next number: making its folder is what two resumes at once cannot both do."""
    attempt = latest + 1
    while True:
        try:
            folder.attempt(attempt).mkdir(parents=True)
        except FileExistsError:
            attempt += 1
        else:
            return attempt


def _why_not_resumed(folder: JobFolder, status: JobStatus) -> str:
    name = folder.path.name
    if status.state is JobState.COMPLETED:
        return f"job {name} is COMPLETED; its result is there (`qloom job show {name}`), run the program again for another"
    if status.state is JobState.CANCELLED:
        return f"job {name} was cancelled; resume it all the same with --force"
    return f"job {name} is {status.state}, attempt {status.attempt} is alive; wait for it or cancel it first"


def _opener(open_device: Callable[..., QuantumDevice], name: str, threads: int) -> Callable[..., QuantumDevice]:
    return lambda lanes: open_device(name, lanes=lanes, threads=threads)


def _versions(environment: Environment | None) -> dict[str, str]:
    python = ".".join(map(str, sys.version_info[:3])) if environment is None else environment.version
    return {"python": python, "qloom": __version__}


def wanted_environment(program: ProgramDefinition) -> Wanted | None:
    """Return what a program asks for: by its options, or by the header of its file; None where it asks for nothing.

    Raises:
        InvalidSetting: a header or a requirements.txt that cannot be read.
    """
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


def _refuse_misfits(program: ProgramDefinition) -> None:
    """Refuse to run a program in this process where it asks for what this process does not have."""
    wanted = wanted_environment(program)
    if wanted is None:
        return
    import qloom.environments.checks as checks

    if misfits := checks.check_this_process(wanted):
        raise Misuse(
            f"program {program.name} does not fit into this process: {'; '.join(misfits)}. Or submit it: its job runs in an "
            "environment of its own"
        )


def _keep_lock(folder: Path, environment: Environment) -> None:
    """Write the packages of a job's environment beside its record, so that it can be built again when it is gone."""
    try:
        write_atomically(folder / LOCK, environment.lock.encode(), durable=False)
    except StorageFailed:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
        raise


def _say(text: str) -> None:
    """Tell a person at a terminal what takes so long."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")


def _paths(inputs: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(path) for name, path in inputs.items()}


def interrupted(folder: JobFolder, status: JobStatus) -> JobInterrupted:
    """Return the error that says why an interrupted job has no result, and how to go on."""
    name = folder.path.name
    return JobInterrupted(
        f"job {name} is INTERRUPTED ({status.reason}): {status.error}; go on with `qloom job resume {name}`", reason=status.reason
    )


__all__ = ["RESUMABLE", "Application", "Launch", "MapRecord", "application", "attempt_options", "interrupted", "job_context"]
