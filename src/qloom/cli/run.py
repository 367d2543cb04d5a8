"""`qloom run`: a program from a file, as a job."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from qloom.api.jobs import Job
from qloom.api.programs import Program
from qloom.app import application
from qloom.cli.environment import enter_environment
from qloom.cli.live import follow
from qloom.cli.outcome import Outcome, finish
from qloom.cli.output import Json, emit, error_document, notes, table
from qloom.cli.scripts import ScriptCall, is_script, read_inputs, start_script
from qloom.errors import InvalidParameters, InvalidSetting, Misuse, QloomError
from qloom.limits import Budget, Resources
from qloom.programs.shipping import bundle_function, find_programs, load_program

Target = Annotated[
    str,
    typer.Argument(
        metavar="FILE[:NAME]",
        help="A Python file, and the program in it where there are several; or a plain Braket script, or a folder with one.",
    ),
]
Parameter = Annotated[
    list[str] | None, typer.Option("-p", "--parameter", metavar="KEY=VALUE", help="An argument of the program.")
]


def register(app: typer.Typer) -> None:
    """Add `run` to the command line."""
    app.command()(run)


def run(
    context: typer.Context,
    target: Target,
    parameter: Parameter = None,
    device: Annotated[list[str] | None, typer.Option(help="Device that ctx.device is; NAME=DEVICE for one of several.")] = None,
    executor: Annotated[str | None, typer.Option(help="Where the classical part runs.")] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(metavar="STAGES|JSON", help="Stages round the device, from the device outward: `ddd,zne`, or a JSON list."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Decides every random number of the job.")] = None,
    budget_usd: Annotated[float | None, typer.Option(help="A hard wall on what the job may spend.")] = None,
    cpus: Annotated[int | None, typer.Option(help="Cores the job may use.")] = None,
    memory_mb: Annotated[int | None, typer.Option(help="Memory of all its processes together, MiB.")] = None,
    wall_time_s: Annotated[float | None, typer.Option(help="Seconds it may run.")] = None,
    processes: Annotated[int | None, typer.Option(help="Processes it may have at one time.")] = None,
    input_data: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]PATH", help="A file or folder copied in as an input channel; without a name, as `input`."),
    ] = None,
    entry: Annotated[
        str | None, typer.Option(metavar="MODULE[:FUNCTION]", help="Run it as a plain Braket script, from this entry point.")
    ] = None,
    requirements: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A requirements.txt: the packages of the job's environment.")
    ] = None,
    python: Annotated[
        str | None, typer.Option(help="The job's Python: a version as 3.12, or the path of an interpreter.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option(metavar="NAME", help="The Python of a script by its environment's name, such as braket-sdk.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here when the job has ended.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and list what would be shipped; start nothing.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start it, print its id and return; it goes on when the terminal closes.")
    ] = False,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Let it see and write only its own folder, without a network.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a program as a job, show its progress, and print its result."""
    python = _absolute(python)
    limits = _said(cpus=cpus, memory_mb=memory_mb, wall_time_s=wall_time_s, processes=processes)
    try:
        said = _said(
            executor=executor,
            input_data=read_inputs(input_data) if input_data else None,
            detach=detach or None,
            sandbox=sandbox or None,
            requirements=None if requirements is None else requirements.absolute(),
        )
        if is_script(target, entry):
            call = ScriptCall(
                target=target,
                entry=entry,
                hyperparameters=_pairs(parameter or [], "-p"),
                devices=device or [],
                limits=limits,
                options=said,
                python=python,
                environment=environment,
                meaningless={"--pipeline": pipeline, "--seed": seed, "--budget-usd": budget_usd},
            )
            started = start_script(call, dry_run=dry_run, as_json=as_json)
            if started is not None:
                _watch(started, detach=detach, as_json=as_json, report=report)
            return
        if environment is not None:
            raise Misuse(f"--environment is for plain Braket scripts, and {target} is a program; give --python PATH")
        limits |= _said(python=python)
        file, name = _file_of(target)
        enter_environment(file, name, requirements=requirements, python=python, arguments=context.find_root().obj)
        program = _load(file, name)
        said |= _said(
            pipeline=pipeline,
            seed=seed,
            budget=None if budget_usd is None else Budget(usd=budget_usd),
            resources=_merged(program.options.resources, limits) if limits else None,
        )
        program = program.with_options(**said, **_device_options(program, device or []))
        arguments = program.parse_arguments(_pairs(parameter or [], "-p"))
        if dry_run:
            _dry_run(program, arguments, as_json=as_json)
            return
        job = program.submit(**program.decode_arguments(arguments))
    except QloomError as error:
        if not as_json:
            raise
        emit({"job_id": None, "state": None, "result": None, "error": error_document(error)})
        notes().print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(error.exit_code) from error
    _watch(job, detach=detach, as_json=as_json, report=report)


def _watch(job: Job, *, detach: bool, as_json: bool, report: Path | None) -> None:
    if detach:
        if as_json:
            emit(Outcome.of(job, job.status()).document())
        else:
            print(job.id)
        return
    if not as_json:
        notes().print(f"job {job.id}", style="dim")
    try:
        status = follow(job, quiet=as_json)
    except KeyboardInterrupt:
        application().suspend(job.folder)
        status = job.status()
    finish(job, status, as_json=as_json, report=report)


def _file_of(target: str) -> tuple[Path, str | None]:
    text, _, name = target.partition(":")
    path = Path(text)
    if not path.is_file():
        raise Misuse(f"{text!r} is no file; give a Python file, as in `qloom run vqe.py`")
    return path, name or None


def _load(path: Path, name: str | None) -> Program:
    names = find_programs(path)
    loaded = load_program(path, name, names)
    if not isinstance(loaded, Program):
        raise Misuse(f"{name or path.name} is no program; put @qloom.program above the function")
    return loaded


def _absolute(python: str | None) -> str | None:
    """A path is meant from here, a version is not a path."""
    return os.path.abspath(python) if python and os.sep in python else python  # noqa: PTH100  links are kept as they are


def _device_options(program: Program, texts: list[str]) -> dict[str, Any]:
    """`--device sim` is the default device; `--device qpu=sim:engine=qulacs` one of several by its name in the program."""
    named = [text for text in texts if "=" in text.partition(":")[0]]
    plain = [text for text in texts if text not in named]
    if len(plain) > 1:
        raise InvalidSetting(f"--device was given {len(plain)} default devices: {', '.join(plain)}; name the others NAME=DEVICE")
    options: dict[str, Any] = {"device": plain[0]} if plain else {}
    return options | ({"devices": {**program.options.devices, **_pairs(named, "--device")}} if named else {})


def _said(**options: Any) -> dict[str, Any]:
    """Only what was said on the command line; the program's own options stand for the rest."""
    return {name: value for name, value in options.items() if value is not None}


def _merged(resources: Resources, said: dict[str, Any]) -> Resources:
    return Resources.from_json(asdict(resources) | said)


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    kind = InvalidParameters if option == "-p" else InvalidSetting
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise kind(f"{option} takes KEY=VALUE, got {text!r}")
        if name in pairs:
            raise kind(f"{option} gives {name} twice, {pairs[name]!r} and {value!r}; give it once")
        pairs[name] = value
    return pairs


def _dry_run(program: Program, arguments: dict[str, Any], *, as_json: bool) -> None:
    bundle = bundle_function(program.function, data_files=program.options.data_files)
    application().check_options(program.options)
    environment = application().environments.describe(program, bundle)
    document = {
        "program": program.name,
        "parameters": arguments,
        "entry_point": bundle.entry_point,
        "files": {name: len(content) for name, content in sorted(bundle.files.items())},
        "digest": bundle.digest,
        "packages": list(bundle.third_party),
        "environment": environment,
    }
    if as_json:
        emit(document)
        return
    table(f"{program.name} would ship", ["file", "bytes"], document["files"].items())  # type: ignore[attr-defined]
    print(f"packages it imports: {', '.join(bundle.third_party) or 'none'}")
    print(f"environment: {environment['says']}")
    print(f"parameters: {arguments}")
