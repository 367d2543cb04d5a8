"""`qloom run` of a plain Braket algorithm script: a file or a folder that knows nothing of qloom."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qloom.api.jobs import Job
from qloom.app import NO_DEVICE, application
from qloom.cli.output import emit, notes, table
from qloom.errors import InvalidSetting, Misuse
from qloom.limits import Resources
from qloom.programs.definition import RunOptions
from qloom.programs.scripts import REQUIREMENTS, Script, read_script
from qloom.programs.shipping import find_programs

CHANNEL = "input"
"""The channel of input data that is given without a name, as in Braket's SDK."""


@dataclass(frozen=True, kw_only=True)
class ScriptCall:
    """What the command line says of a script.

    Attributes:
        target: FILE, FILE:FUNCTION or FOLDER.
        entry: `module` or `module:function`.
        hyperparameters: from -p.
        devices: from --device.
        limits: fields of `Resources`.
        options: other fields of `RunOptions`.
        python, environment: which interpreter.
        meaningless: option -> value of those that only programs have.
    """

    target: str
    entry: str | None = None
    hyperparameters: dict[str, str] = field(default_factory=dict)
    devices: list[str] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    python: str | None = None
    environment: str | None = None
    meaningless: dict[str, Any] = field(default_factory=dict)

    def run_options(self) -> RunOptions:
        """Return how it is to be run.

        Raises:
            Misuse: an option that means nothing to a script.
            InvalidSetting: several devices.
        """
        for name, value in self.meaningless.items():
            if value is not None:
                raise Misuse(
                    f"{name} means nothing to a plain Braket script, which asks devices without qloom; leave it out, "
                    "or make the function a program (@qloom.program)"
                )
        if len(self.devices) > 1:
            raise InvalidSetting(
                f"a Braket job has one device, --device was given {len(self.devices)}: {', '.join(self.devices)}"
            )
        resources = Resources.from_json(self.limits)
        return RunOptions(device=self.devices[0] if self.devices else None, resources=resources, **self.options)


def is_script(target: str, entry: str | None) -> bool:
    """Whether a target is run as a script: a folder, a file without a program, or anything with an entry point."""
    path, name = _split(target)
    if entry is not None or path.is_dir():
        return True
    return path.is_file() and path.suffix == ".py" and not find_programs(path) and not (name and _imports_qloom(path))


def start_script(call: ScriptCall, *, dry_run: bool, as_json: bool) -> Job | None:
    """Check a script and start it as a job; None after a dry run, which prints what would be shipped.

    Raises:
        QloomError: everything that does not fit, before anything is written.
    """
    path, name = _split(call.target)
    if not path.exists():
        raise Misuse(f"{str(path)!r} is no file and no folder; give a Python file, or a folder with --entry")
    if name and call.entry:
        raise Misuse(f"{call.target} and --entry {call.entry} both name an entry point; give one of them")
    script = read_script(path, f"{path.stem}:{name}" if name else call.entry)
    options, where = call.run_options(), {"python": call.python, "environment": call.environment}
    app = application()
    if not as_json:
        _say_notes(script)
    launch = app.launch_script(script, call.hyperparameters, options, **where)
    if dry_run:
        job = launch.template
        document = _document(script, call.hyperparameters, options) | {"python": job.python, "version": job.versions["python"]}
        _show(document, as_json=as_json)
        return None
    return Job(launch.start(call.hyperparameters))


def read_inputs(texts: list[str]) -> dict[str, str]:
    """Return channel -> path of `--input-data`: PATH for the channel `input`, or NAME=PATH.

    Raises:
        InvalidSetting: no path, or two for one channel.

    >>> read_inputs(["data", "graph=graph.json"])
    {'input': 'data', 'graph': 'graph.json'}
    """
    inputs: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            name, path = CHANNEL, text
        if not name or not path:
            raise InvalidSetting(f"--input-data takes PATH or NAME=PATH, got {text!r}")
        if name in inputs:
            raise InvalidSetting(
                f"--input-data gives channel {name!r} twice: {inputs[name]} and {path}; give each a name of its own"
            )
        inputs[name] = path
    return inputs


def _split(target: str) -> tuple[Path, str]:
    if not target.strip():  # a shell variable that is not set, say: it does not mean the folder we are in
        raise Misuse("an empty name is no file; give a Python file, as in `qloom run vqe.py`")
    whole = Path(target)
    if whole.exists():
        return whole, ""
    text, _, name = target.partition(":")
    return Path(text), name


def _imports_qloom(path: Path) -> bool:
    nodes = list(ast.walk(ast.parse(path.read_bytes())))
    names = [item.name for node in nodes if isinstance(node, ast.Import) for item in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return any(name.partition(".")[0] == "qloom" for name in names)


def _say_notes(script: Script) -> None:
    said = list(script.bundle.notes)
    if script.requirements is not None:
        said.append(f"{REQUIREMENTS} travels along but is not installed; the packages are those of the interpreter")
    for note in said:
        notes().print(f"note: {note}", style="yellow", markup=False)


def _document(script: Script, hyperparameters: dict[str, str], options: RunOptions) -> dict[str, Any]:
    return {
        "program": script.name,
        "kind": "script",
        "parameters": hyperparameters,
        "entry_point": script.bundle.entry_point,
        "device": options.device or NO_DEVICE,
        "files": {name: len(content) for name, content in sorted(script.bundle.files.items())},
        "digest": script.bundle.digest,
        "packages": list(script.bundle.third_party),
        "notes": list(script.bundle.notes),
    }


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(document)
        return
    table(f"{document['program']} would ship", ["file", "bytes"], document["files"].items())
    print(f"entry point: {document['entry_point']}")
    print(f"packages it imports: {', '.join(document['packages']) or 'none'}")
    print(f"interpreter: {document['python']} (Python {document['version']})")
    print(f"hyperparameters: {document['parameters']}")
