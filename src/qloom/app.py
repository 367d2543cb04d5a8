"""The one place that introduces the rooms to each other: settings, store, executors, devices, journal, programs."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom import catalogue
from qloom.config import Settings
from qloom.contracts import SandboxingExecutor, SealingExecutor
from qloom.convert import read_circuit
from qloom.errors import InvalidSetting, JobInterrupted, Misuse, UnknownName, Unsupported, WrongState
from qloom.jobspecs import JobSpec, JobState, JobStatus, shown_device
from qloom.journal import JournalTail, read_journal
from qloom.kit.files import read_json, write_json
from qloom.kit.job_folder import JobFolder
from qloom.kit.text_cache import TextCache
from qloom.launching import Launch, ran_with
from qloom.pipelines import read_pipeline
from qloom.pipelines.opening import check_chain
from qloom.programs.context import DEFAULT_DEVICE, Context
from qloom.programs.pipelined import Pipeline
from qloom.programs.quantum import QuantumDevice
from qloom.programs.shipping import bundle_function
from qloom.sealing.folder import check_hidden, check_sealed, sealed_in, sealed_stages
from qloom.storage import FolderStore, MapRecord, MapStore, input_files
from qloom.surroundings import Surroundings, refuse_misfits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qloom.contracts import Executor, Lane, Recorder
    from qloom.environments.environment import Environment
    from qloom.journal import JournalView
    from qloom.programs.definition import ProgramDefinition, RunOptions
    from qloom.programs.scripts import Script
    from qloom.programs.shipping import Bundle

NO_DEVICE = "local:none/none"
"""The device of a script that names none, as in Braket's SDK."""
CALIBRATION_BYTES = 64 * 1024 * 1024
"""How much of what stages calibrated is kept."""
OWN_DEVICE = "python:"
"""Beginning of the names of devices that are code of the program."""
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
        self.environments = Surroundings(settings.home)
        self._executors: dict[str, Executor] = {}

    # ---- devices -------------------------------------------------------------------------------------------------

    def device(
        self,
        name: str | None = None,
        *,
        lanes: Callable[[], Lane] | None = None,
        recorder: Recorder | None = None,
        threads: int | None = None,
        pipeline: object = (),
    ) -> QuantumDevice:
        """Return a device as programs see it: it takes circuits of any front end and goes through a lane.

        Args:
            name: the default device when not given.
            lanes, recorder: of a job.
            threads: of a simulator.
            pipeline: the stages round it, as `qloom.pipelines.read_pipeline` takes them.

        Raises:
            InvalidSetting: a pipeline that cannot work; what and where is in the message.
            UnknownName: nobody registered that name.
            MissingExtra: its packages are not installed.
        """
        device = catalogue.create_device(name or self.settings.default_device, threads=threads)
        return QuantumDevice(
            device, lanes=lanes, intake=read_circuit, recorder=recorder, pipeline=self._pipeline(pipeline) if pipeline else None
        )

    def _pipeline(self, given: object) -> Pipeline:
        chain = read_pipeline(given)
        _refuse_sealed(sealed_in(chain, self.settings.sealed_stages))
        check_chain(chain, catalogue.open_stage)
        kept = TextCache(self.settings.home / "calibrations", limit_bytes=CALIBRATION_BYTES)
        return Pipeline(chain, catalogue.open_stage, kept)

    def local_context(self, options: RunOptions) -> Context:
        """Return the context of a plain call: this process, no journal."""
        self._refuse_unpriced(options)
        _refuse_sealed(self._check_pipeline(options.pipeline))
        names = self._device_names(options)
        return Context.local(
            devices={
                name: _opener(partial(self.device, device, threads=options.resources.cpus, pipeline=options.pipeline))
                for name, device in names.items()
            },
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
        refuse_misfits(program)
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
        environment = self.environments.of_program(program, bundle)
        template = self._template(program.name, options, bundle, environment)
        sealed = sealed_in(read_pipeline(options.pipeline), self.settings.sealed_stages)
        if sealed and environment is not None:
            raise Unsupported(
                f"stage {sealed[0]} is sealed, and its server runs in the host's Python, not in one built for a job; leave "
                "requirements and python out"
            )
        template = replace(template, devices=self._device_names(options), pipeline=options.pipeline, sealed=sealed)
        return Launch(self.store, self.executor(template.executor), template, bundle, environment, options.seed)

    def launch_script(
        self,
        script: Script,
        hyperparameters: Mapping[str, str],
        options: RunOptions,
        *,
        python: str | None = None,
        environment: str | None = None,
    ) -> Launch:
        """Return what starts a plain Braket script; everything that can be refused has been.

        Args:
            script: what `read_script` returned.
            hyperparameters: what it will be started with, as Braket takes them: every value text.
            options: `device` in one of Braket's forms; `executor`, `input_data`, `sandbox`, `requirements` as for a program.
            python: path of an interpreter, or a version; None for this one.
            environment: name of an environment instead.

        Raises:
            InvalidParameters, InvalidSetting, UnknownName, Rejected, Unsupported: what does not fit, and the next step.
            MissingExtra, Unavailable: its environment cannot be built.
        """
        # Here, as this file is loaded in every process of a job.
        from qloom.programs.scripts import check_hyperparameters, read_device

        check_hyperparameters(hyperparameters, script)
        device = read_device(options.device or NO_DEVICE)
        for channel, path in options.input_data.items():
            input_files(channel, Path(path))
        self._check_executor(options)
        found = self.environments.of_script(script, options, python, environment)
        template = self._template(script.name, options, script.bundle, found)
        template = replace(template, devices={DEFAULT_DEVICE: device}, kind="script")
        return Launch(self.store, self.executor(template.executor), template, script.bundle, found, seed=template.seed)

    def _template(self, name: str, options: RunOptions, bundle: Bundle, environment: Environment | None) -> JobSpec:
        return JobSpec(
            job_id="",
            program=name,
            entry_point=bundle.entry_point,
            source_digest=bundle.digest,
            executor=options.executor or self.settings.default_executor,
            resources=options.resources,
            input_data=options.input_data,
            detach=options.detach,
            sandbox=options.sandbox,
            **ran_with(environment),
        )

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
        if job.sealed:
            self._check_still_sealed(job, runner)
        if job.python:
            job = replace(job, python=self.environments.of_resumed(job, folder))
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
            options = {"fork_server": False} if name == "local" and not self.settings.fork_server else {}
            self._executors[name] = catalogue.create_executor(name, **options)
        return self._executors[name]

    # ---- checks --------------------------------------------------------------------------------------------------

    def check_options(self, options: RunOptions) -> None:
        """Refuse unknown names, budgets that nothing can watch and sandboxes that cannot be made; starts nothing."""
        self._refuse_unpriced(options)
        devices = self._device_names(options)
        self._check_executor(options)
        if sealed := self._check_pipeline(options.pipeline):
            self._check_sealed(sealed, options, devices)

    def _check_executor(self, options: RunOptions) -> None:
        executor, known = options.executor or self.settings.default_executor, catalogue.names("executor")
        if executor not in known:
            raise UnknownName.among("executor", executor, known)
        if options.sandbox:
            _check_sandbox(self.executor(executor))

    def _check_pipeline(self, given: object) -> tuple[str, ...]:
        """Refuse a pipeline that cannot work, and return its sealed stages."""
        if not given:
            return ()
        chain, folder = read_pipeline(given), self.settings.sealed_stages
        sealed = sealed_in(chain, folder)
        if folder is not None and sealed:
            check_sealed(folder, chain)
        else:
            check_chain(chain, catalogue.open_stage)
        return sealed

    def _check_sealed(self, sealed: tuple[str, ...], options: RunOptions, devices: Mapping[str, str]) -> None:
        for device in devices.values():
            if device.startswith(OWN_DEVICE):
                raise Unsupported(
                    f"device {device} is code of the program, and the device server of the sealed stage {sealed[0]} runs none of "
                    "that; take a device that is installed"
                )
        if options.sandbox and self.settings.sealed_stages is not None:
            check_hidden(self.settings.sealed_stages)
        _check_sealing(self.executor(options.executor or self.settings.default_executor))

    def _check_still_sealed(self, job: JobSpec, runner: Executor) -> None:
        missing = sorted(set(job.sealed) - set(sealed_stages(self.settings.sealed_stages)))
        if missing:
            raise UnknownName(
                f"this job needs the sealed stage {missing[0]}, which this host does not have; set QLOOM_SEALED_STAGES to the "
                "folder that it is in"
            )
        if job.sandbox and self.settings.sealed_stages is not None:
            check_hidden(self.settings.sealed_stages)
        _check_sealing(runner)

    def _device_names(self, options: RunOptions) -> dict[str, str]:
        names = {DEFAULT_DEVICE: options.device or self.settings.default_device, **options.devices}
        return {name: catalogue.check_device_name(device) for name, device in names.items()}

    def _refuse_unpriced(self, options: RunOptions) -> None:
        if options.budget is not None:
            devices = ", ".join(sorted({shown_device(name) for name in self._device_names(options).values()}))
            raise InvalidSetting(
                f"no priced device: a budget of {options.budget.usd:g} USD has nothing to watch on {devices}; leave it out"
            )


@cache
def application() -> Application:
    """Return the application with the settings of this process's environment; made once."""
    return Application(Settings.read())


def job_context(folder: JobFolder, attempt: int, recorder: Recorder) -> Context:
    """Return the context of a job's program: its devices go through the recorder's lanes."""
    job = folder.spec()
    app = application()
    if job.sealed:
        return _linked_context(folder, attempt, recorder)

    def opener(lanes: Callable[[], Lane], name: str) -> QuantumDevice:
        cpus = job.resources.cpus
        return app.device(name, lanes=lanes, recorder=recorder, threads=cpus, pipeline=job.pipeline)

    return Context.of_job(folder=folder, job=job, attempt=attempt, recorder=recorder, open_device=opener)


def _linked_context(folder: JobFolder, attempt: int, recorder: Recorder) -> Context:
    """Return the context of a program whose devices are in a device server, since its pipeline has sealed stages."""
    import socket  # here, as this file is loaded in every process of a job

    from qloom.executors.handover import LINK
    from qloom.programs.far import FarDevice, Link

    job = folder.spec()
    link = Link(socket.socket(fileno=int(os.environ.pop(LINK))))
    if not job.sandbox:
        for stage in job.sealed:
            recorder.problems.append(f"without --sandbox the code of sealed stage {stage} can be read by this program")

    def opener(lanes: Callable[[], Lane], name: str) -> QuantumDevice:
        return FarDevice(link, name, lanes=lanes, intake=read_circuit, recorder=recorder)

    return Context.of_job(folder=folder, job=job, attempt=attempt, recorder=recorder, open_device=opener)


def attempt_options(folder: JobFolder, attempt: int) -> dict[str, Any]:
    """Return how an attempt was asked for; the first one has no options."""
    path = folder.attempt(attempt) / "options.json"
    return dict(read_json(path)) if path.exists() else {}


def _check_sandbox(executor: Executor) -> None:
    if not isinstance(executor, SandboxingExecutor):
        raise Unsupported(f"executor {executor.name} has no sandbox, and without one the job is not run; take executor local")
    executor.check_sandbox()


def _refuse_sealed(sealed: tuple[str, ...]) -> None:
    if sealed:
        raise Misuse(
            f"stage {sealed[0]} is sealed: its code never comes into the process of the program that uses it, so a plain call "
            "cannot have it; submit the program, or run it with `qloom run`"
        )


def _check_sealing(executor: Executor) -> None:
    if not isinstance(executor, SealingExecutor):
        raise Unsupported(f"executor {executor.name} cannot keep a sealed stage away from the program; take executor local")
    executor.check_sealed()


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


def _opener(open_device: Callable[..., QuantumDevice]) -> Callable[[Callable[[], Lane]], QuantumDevice]:
    return lambda lanes: open_device(lanes=lanes)


def interrupted(folder: JobFolder, status: JobStatus) -> JobInterrupted:
    """Return the error that says why an interrupted job has no result, and how to go on."""
    name = folder.path.name
    return JobInterrupted(
        f"job {name} is INTERRUPTED ({status.reason}): {status.error}; go on with `qloom job resume {name}`", reason=status.reason
    )


__all__ = ["RESUMABLE", "Application", "Launch", "MapRecord", "application", "attempt_options", "interrupted", "job_context"]
