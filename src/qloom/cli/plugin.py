"""`qloom plugin`: every installed device, stage and executor, ours as anyone's."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from qloom.app import application
from qloom.cli.option_table import COLUMNS, option_rows, unset_options
from qloom.cli.output import Json, emit, table
from qloom.errors import BrokenPlugin, UnknownName
from qloom.sealing.folder import all_parts

if TYPE_CHECKING:
    from qloom.catalogue import Part

app = typer.Typer(help="Installed devices, stages and executors.", no_args_is_help=True, rich_markup_mode=None)

Kind = Annotated[str | None, typer.Argument(metavar="[KIND]", help="devices, stages or executors; all if left out.")]
OfKind = Annotated[str | None, typer.Option("--kind", help="device, stage or executor, where several have that name.")]


@app.command("list")
def list_plugins(kind: Kind = None, as_json: Json = False) -> None:
    """List everything that is registered, broken ones with their error."""
    parts = _parts(kind, details=as_json)
    if as_json:
        emit([part.to_json() for part in parts])
        return
    rows = [(part.kind, part.name, _origin(part), f"broken: {part.error}" if part.error else part.doc) for part in parts]
    table("Plugins", ["kind", "name", "from", "what it is"], rows)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a device, stage or executor.")], kind: OfKind = None, as_json: Json = False
) -> None:
    """Show one plugin: where it comes from, what it costs, and its options."""
    part = _one(name, _parts(kind, details=True))
    if as_json:
        emit(part.to_json())
        return
    table(f"{part.kind} {part.name}", ["what", "value"], _facts(part))
    for title, rows in option_rows(part.options or {}).items():
        print()
        table(title, list(COLUMNS), rows)


def _parts(kind: str | None, *, details: bool) -> list[Part]:
    # What a plugin prints when it is loaded is no part of an answer.
    with redirect_stdout(sys.stderr):
        return all_parts(application().settings.sealed_stages, kind, details=details)


def _one(name: str, parts: list[Part]) -> Part:
    asked = name.partition(":")[0]  # `mitiq:pec`, `sim:engine=qulacs`
    found = [part for part in parts if part.name == asked]
    if not found:
        raise UnknownName.among("plugin", name, {part.name for part in parts})
    kinds = sorted({part.kind for part in found})
    if len(kinds) > 1:
        raise UnknownName(f"{asked} is the name of a {' and of a '.join(kinds)}; say which with --kind {kinds[0]}")
    if len(found) > 1:
        raise BrokenPlugin(f"{found[0].kind} {asked}: {found[0].error}")
    return found[0]


def _origin(part: Part) -> str:
    return f"{part.distribution} {part.version}".strip()


def _facts(part: Part) -> list[tuple[str, str]]:
    said = {"what it is": part.doc, "from": _origin(part), "author": part.author, "licence": part.licence, "broken": part.error}
    facts = [(what, value) for what, value in said.items() if value]
    if part.kind != "stage" or part.error:
        return facts
    place = "behind parallel branches, as `combine`" if part.joins_branches else "in a chain"
    sealed = "yes: its code stays with the host" if part.sealed else "no"
    facts += [("gives", ", ".join(part.gives)), ("stands", place), ("costs", _cost(part)), ("sealed", sealed)]
    return facts


def _cost(part: Part) -> str:
    if part.cost is None:
        return f"depends on {', '.join(unset_options(part.options or {}))}, which have no default"
    rounds = f"{part.cost.rounds} at most" if part.cost.rounds > 1 else "1"
    more = "" if part.max_rounds in {None, part.cost.rounds} else f", with other options {part.max_rounds} at most"
    return f"circuits x {part.cost.circuits:g}, shots x {part.cost.shots:.3g}, rounds: {rounds}{more}"
