"""`qloom device`: what devices there are, what they can do, and a circuit run on one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qloom.api import devices
from qloom.cli.output import Json, emit, people, table
from qloom.convert import read_circuit
from qloom.errors import InvalidTask, Unsupported

app = typer.Typer(
    help="Devices: what is installed, what they can do, and a circuit run on one.", no_args_is_help=True, rich_markup_mode=None
)

BAR_WIDTH = 40
SHOWN_KEYS = 32

Name = Annotated[str, typer.Argument(help="Device name, such as sim or sim:engine=qulacs.")]
File = Annotated[Path, typer.Argument(help="An OpenQASM 2 or 3 file.", exists=True, dir_okay=False)]


@app.command("list")
def list_devices(as_json: Json = False) -> None:
    """List the installed devices, broken ones with their error."""
    parts = devices.plugins("device")
    if as_json:
        emit([{"name": part.name, "version": part.version, "doc": part.doc, "error": part.error or None} for part in parts])
        return
    table("Devices", ["name", "version", "what it is"], [(part.name, part.version, part.error or part.doc) for part in parts])


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show what a device can do."""
    spec = devices.device(name).spec()
    if as_json:
        emit(spec.to_json())
        return
    table(name, ["what", "value"], [(key, _short(value)) for key, value in spec.to_json().items()])


@app.command()
def check(
    name: Name,
    file: File,
    shots: Annotated[int | None, typer.Option(help="Shots it would be run with.")] = None,
    as_json: Json = False,
) -> None:
    """Say every reason why a device cannot run a circuit; exit 1 where it cannot."""
    reasons = devices.device(name).check(read_circuit(file), shots)
    if as_json:
        emit({"device": name, "file": str(file), "fits": not reasons, "reasons": reasons})
    elif reasons:
        people().print(f"{file} cannot run on {name}:\n" + "\n".join(f"  - {reason}" for reason in reasons), markup=False)
    else:
        people().print(f"{file} fits {name}", markup=False)
    if reasons:
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
    as_json: Json = False,
) -> None:
    """Run a circuit and show its counts."""
    device = devices.device(name)
    circuit = read_circuit(file)
    if reasons := device.check(circuit, shots if shots > 0 else None):
        raise Unsupported(f"{file} cannot run on {name}: " + "; ".join(reasons))
    result = device.run(circuit, shots=shots, seed=seed, parameters=_values(parameter or []) or None)
    if as_json:
        emit(result.to_json())
        return
    ordered = sorted(result.counts.items(), key=lambda item: -item[1])
    most = ordered[0][1]
    rows = [(key, count, "█" * max(1, round(BAR_WIDTH * count / most))) for key, count in ordered[:SHOWN_KEYS]]
    table(
        f"{file.name} on {name} ({result.engine.name} {result.engine.version}), {shots} shots, c[0] first",
        ["key", "count", ""],
        rows,
    )
    if len(ordered) > SHOWN_KEYS:
        people().print(f"... and {len(ordered) - SHOWN_KEYS} more keys (--json gives all)")


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


def _short(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
