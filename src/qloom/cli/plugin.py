"""`qloom plugin`: every installed device, stage and executor, ours as anyone's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from qloom.api import devices
from qloom.cli.output import Json, emit, table
from qloom.errors import UnknownName

app = typer.Typer(help="Installed devices, stages and executors.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_plugins(as_json: Json = False) -> None:
    """List everything that is registered, broken ones with their error."""
    parts = devices.plugins()
    if as_json:
        emit([asdict(part) for part in parts])
        return
    rows = [(part.kind, part.name, f"{part.distribution} {part.version}", part.error or part.doc) for part in parts]
    table("Plugins", ["kind", "name", "from", "what it is"], rows)


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name of a device, stage or executor.")], as_json: Json = False) -> None:
    """Show one plugin: where it comes from and its options."""
    parts = devices.plugins()
    found = [part for part in parts if part.name == name]
    if not found:
        raise UnknownName.among("plugin", name, [part.name for part in parts])
    if as_json:
        emit(asdict(found[0]))
        return
    table(name, ["what", "value"], [(key, value) for key, value in asdict(found[0]).items()])
