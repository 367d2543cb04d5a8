"""`qloom device`: what devices there are, what they can do, and a circuit run on one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qloom.api import devices
from qloom.cli.output import Json, emit, notes, people, table
from qloom.convert import read_circuit
from qloom.errors import InvalidObservable, InvalidSetting, InvalidTask, UnknownName, Unsupported
from qloom.specs import Fit, Requirements, fit
from qloom.tasks import read_shots

if TYPE_CHECKING:
    from qloom.catalogue import Part
    from qloom.circuits import Circuit
    from qloom.programs.quantum import QuantumDevice
    from qloom.results import Result

app = typer.Typer(
    help="Devices: what is installed, what they can do, and a circuit run on one.", no_args_is_help=True, rich_markup_mode=None
)

BAR_WIDTH = 40
SHOWN_KEYS = 32
UNSTATED: tuple[object, ...] = (None, "", [], {})
"""Values of a spec's fields that say nothing."""

Name = Annotated[str, typer.Argument(help="Device name, such as sim or sim:engine=qulacs.")]
File = Annotated[Path, typer.Argument(help="An OpenQASM 2 or 3 file.", exists=True, dir_okay=False)]


@app.command("list")
def list_devices(as_json: Json = False) -> None:
    """List the installed devices with their kind, qubits and engines, broken ones with their error."""
    rows = [_listed(part) for part in devices.plugins("device")]
    if as_json:
        emit(rows)
        return
    table("Devices", ["name", "kind", "qubits", "engines", "what it is"], [_row(row) for row in rows])


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show what a device can do, how good it is and what it costs."""
    spec = devices.device(name).spec()
    document = spec.to_json()
    if as_json:
        emit(document)
        return
    in_words: dict[str, Any] = {
        "connectivity": str(spec.connectivity),
        "engines": [f"{engine.name} {engine.version}" for engine in spec.engines],
        "noise": "none" if spec.noise == {} else spec.noise,
    }
    stated = [(field, _readable(value)) for field, value in (document | in_words).items() if value not in UNSTATED]
    table(name, ["what", "value"], stated)


@app.command()
def check(
    name: Name,
    file: File,
    shots: Annotated[int | None, typer.Option(help="Shots it would be run with.")] = None,
    requirements: Annotated[
        Path | None, typer.Option(help="A file of what is asked for besides: JSON, or one line of `field: value; ...`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say every reason why a device cannot run a circuit; exit 1 where it cannot."""
    wanted = _requirements(requirements)
    said = _fit(devices.device(name), read_circuit(file), wanted if shots is None else replace(wanted, shots=read_shots(shots)))
    if as_json:
        emit({"device": name, "file": str(file), "fits": said.fits, "reasons": said.reasons, "notes": said.notes})
    else:
        verdict = f"{file} fits {name}" if said.fits else f"{file} cannot run on {name}:"
        lines = [verdict, *(f"  - {reason}" for reason in said.reasons), *(f"  note: {note}" for note in said.notes)]
        people().print("\n".join(lines), markup=False)
    if not said.fits:
        raise typer.Exit(1)


@app.command()
def run(
    name: Name,
    file: File,
    shots: Annotated[int, typer.Option(help="How often each circuit is measured.")] = 1000,
    seed: Annotated[int | None, typer.Option(help="Decides every sample.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="name=value, for each input of the circuit.")
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(metavar="STAGES|JSON", help="Stages round the device, from the device outward: `ddd,zne`, or a JSON list."),
    ] = None,
    observable: Annotated[
        str | None,
        typer.Option(metavar="TERMS", help='Estimate instead of counting: `ZZ`, or JSON such as `{"ZZ": 1.0, "XI": 0.5}`.'),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a circuit and show its counts, or the value of an observable."""
    device = devices.device(name, pipeline=pipeline or ())
    circuit = read_circuit(file)
    if reasons := device.check(circuit, shots if shots > 0 else None):
        raise Unsupported(f"{file} cannot run on {name}: " + "; ".join(reasons))
    values = _values(parameter or []) or None
    if observable is None:
        result = device.run(circuit, shots=shots, seed=seed, parameters=values)
    else:
        result = device.estimate(circuit, _observable(observable), values, shots, seed)
    if as_json:
        emit(result.to_json())
        return
    title = f"{file.name} on {name} ({result.engine.name} {result.engine.version}), {shots} shots"
    if observable is not None:
        table(title, ["observable", "value", "standard error"], [(observable, result.value, result.standard_error)])
        return
    _show_keys(title, result)


def _show_keys(title: str, result: Result) -> None:
    """Show counts, or the quasi-probabilities that a pipeline made of them."""
    found: dict[str, int] | dict[str, float] = result.counts if result.holds_samples else result.probabilities
    word = "count" if result.holds_samples else "quasi-probability"
    ordered = sorted(found.items(), key=lambda item: -item[1])
    most = ordered[0][1]
    rows = [
        (key, count if result.holds_samples else f"{count:.4f}", "█" * max(int(count > 0), round(BAR_WIDTH * count / most)))
        for key, count in ordered[:SHOWN_KEYS]
    ]
    table(f"{title}, c[0] first", ["key", word, ""], rows)
    if len(ordered) > SHOWN_KEYS:
        people().print(f"... and {len(ordered) - SHOWN_KEYS} more keys (--json gives all)")


def _observable(text: str) -> dict[str, float]:
    """Read Pauli strings with their coefficients."""
    if not text.lstrip().startswith("{"):
        return {text.strip(): 1.0}
    try:
        found: dict[str, float] = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidObservable(f"--observable is no JSON ({error.msg}); write it as '{{\"ZZ\": 1.0}}' or as ZZ") from error
    return found


@app.command()
def calibrate(name: Annotated[str, typer.Argument(help="The simulator, such as sim.")] = "sim", as_json: Json = False) -> None:
    """Measure what operations cost on this machine, so that sim picks the fastest engine for large circuits; takes seconds."""
    measured: dict[str, Any] = {}
    for step in devices.calibrate(name):
        notes().print(step["note"])
        measured = step
    if as_json:
        emit({"device": name} | measured)
        return
    table(f"kept in {measured['file']}", ["engine", "what it takes"], list(measured["examples"].items()))


def _values(texts: list[str]) -> dict[str, float]:
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            values[name] = float(value)
        except ValueError as error:
            raise InvalidTask(f"-p takes name=number, got {text!r}") from error
        if not equals:
            raise InvalidTask(f"-p takes name=number, got {text!r}")
    return values


def _listed(part: Part) -> dict[str, Any]:
    """Return what is told of a device in a list; without a spec where it is broken, or needs more than its name."""
    row: dict[str, Any] = {
        "name": part.name,
        "kind": None,
        "qubits": None,
        "engines": [],
        "version": part.version,
        "doc": part.doc,
    }
    if part.error:
        return row | {"error": part.error}
    try:
        spec = devices.device(part.name).spec()
    except InvalidSetting:  # it takes something after the colon, which its documentation shows
        return row | {"error": None}
    except Exception as error:  # noqa: BLE001  a device is others' code: whatever it raises is told, and the rest is listed
        return row | {"error": f"{type(error).__name__}: {error}"}
    engines = [f"{engine.name} {engine.version}" for engine in spec.engines]
    return row | {"kind": spec.kind, "qubits": spec.num_qubits, "engines": engines, "error": None}


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    told = [row["kind"] or "-", "-" if row["qubits"] is None else row["qubits"], ", ".join(row["engines"]) or "-"]
    return row["name"], *told, f"broken: {row['error']}" if row["error"] else row["doc"]


def _requirements(file: Path | None) -> Requirements:
    if file is None:
        return Requirements()
    try:
        return Requirements.read(file.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"requirements cannot be read from {file}: {error}") from error
    except (InvalidSetting, UnknownName) as error:
        raise type(error)(f"{file}: {error}") from error


def _fit(device: QuantumDevice, circuit: Circuit, wanted: Requirements) -> Fit:
    """Return what the device itself says of the circuit, and what its spec says of it and of the requirements."""
    spec = device.spec()
    ours, asked = fit(spec, circuit, wanted.shots, transpile=wanted.transpile), fit(spec, wanted)
    # The device knows more than its spec; only where the file decides about transpiling does the spec say what it cannot.
    own = ours.reasons if wanted.transpile is not None else ()
    reasons = dict.fromkeys([*device.check(circuit, wanted.shots), *own, *asked.reasons])
    notes = dict.fromkeys([*ours.notes, *asked.notes])
    return Fit(tuple(reasons), tuple(note for note in notes if note not in reasons))


def _readable(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_readable, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(item)}" for name, item in value.items() if item not in UNSTATED)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
