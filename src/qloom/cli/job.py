"""`qloom job`: what ran, what became of it, and how it goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from qloom.api import jobs
from qloom.app import application
from qloom.cli.live import follow
from qloom.cli.outcome import Outcome, finish
from qloom.cli.output import Json, emit, error_document, moment, notes, people, table
from qloom.cli.selection import Selection, read_since, read_states
from qloom.errors import QloomError
from qloom.jobspecs import shown_device
from qloom.report import write_comparison, write_report
from qloom.report.readable import readable
from qloom.results.telling import told

app = typer.Typer(help="Jobs: what ran, what became of it, and how it goes on.", no_args_is_help=True, rich_markup_mode=None)

JobId = Annotated[str, typer.Argument(metavar="ID", help="A job's id, or the beginning of it.")]


@app.command("list")
def list_jobs(
    state: Annotated[list[str] | None, typer.Option(metavar="STATE", help="Only in this state; may be repeated.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="Only from the last 2h, 3d, ... or since a date.")] = None,
    program: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this program.")] = None,
    of_map: Annotated[str | None, typer.Option("--map", metavar="NAME", help="Only of this map.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="At most so many.")] = None,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    oldest = None if since is None else read_since(since, time.time())
    selection = Selection(states=read_states(state or []), since=oldest, program=program, map=of_map, limit=limit)
    found = jobs.jobs(limit=None if state or since or program or of_map else limit)
    skipped = list(application().store.problems)
    summaries = selection.summaries(found, skipped.append)
    for problem in skipped:
        notes().print(f"note: {problem}", style="yellow", markup=False)
    if as_json:
        emit(summaries)
        return
    rows = [(item["job_id"], item["program"], item["state"], moment(item["created_at"])) for item in summaries]
    if not rows:
        notes().print(f"no jobs to list in {application().settings.home}", style="dim", markup=False)
        return
    table("Jobs", ["id", "program", "state", "created"], rows, cut="program")


@app.command()
def show(job_id: JobId, as_json: Json = False) -> None:
    """Show one job: its state, inputs, attempts, quantum tasks and result."""
    details = jobs.job(job_id).details()
    if as_json:
        emit(details)
        return
    table(f"Job {details['job_id']}", ["what", "value"], for_people(details))


def for_people(details: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a job's details as short lines; what says nothing is left out.

    >>> for_people({"job_id": "01", "seconds": 1.5, "problems": [], "parameters": {"shots": 10, "word": "a"}})
    [('job_id', '01'), ('seconds', '1.50'), ('parameters', 'shots=10, word=a')]
    """
    shown = {**details, "created_at": moment(details["created_at"])} if "created_at" in details else details
    written: dict[str, Callable[[Any], Any]] = {"result": readable, "stages": told, "devices": _devices}
    lines = {key: _line(written[key](value) if key in written else value) for key, value in shown.items()}
    return [(key, line) for key, line in lines.items() if line]


def _devices(devices: dict[str, str]) -> dict[str, str]:
    return {name: shown_device(device) for name, device in devices.items()}


def _line(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, dict):
        return ", ".join(f"{key}={_item(key, item)}" for key, item in value.items() if item is not None and item != "")
    if isinstance(value, list):
        return "\n".join(map(_line, value))
    return "" if value is None else str(value)


def _item(name: str, value: Any) -> str:
    if isinstance(value, float) and (name.endswith("_s") or name == "seconds"):
        return f"{value:.3g}"
    if isinstance(value, float) and name.endswith("_at"):
        return moment(value)
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


@app.command()
def logs(
    job_id: JobId,
    follow_it: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends.")] = False,
    as_json: Json = False,
) -> None:
    """Print the captured output, with time stamps."""
    lines = jobs.job(job_id).logs(follow=follow_it)
    if as_json:
        emit(list(lines))
        return
    for line in lines:
        print(line, flush=follow_it)


@app.command()
def metrics(job_id: JobId, as_json: Json = False) -> None:
    """Print the metrics that the program logged."""
    found = jobs.job(job_id).metrics()
    if as_json:
        emit(found)
        return
    rows = [
        (item["name"], "-" if item["step"] is None else item["step"], f"{item['value']:.10g}", moment(item["timestamp"]))
        for item in found
    ]
    table("Metrics", ["name", "step", "value", "time"], rows)


@app.command()
def resume(
    job_id: JobId,
    force: Annotated[bool, typer.Option("--force", help="Also a job that was cancelled.")] = False,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Forget what is recorded and begin anew.")] = False,
    accept_divergence: Annotated[
        bool, typer.Option("--accept-divergence", help="Forget it from the first question that differs.")
    ] = False,
    executor: Annotated[str | None, typer.Option(help="Go on somewhere else.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return.")] = False,
    as_json: Json = False,
) -> None:
    """Go on with a job that was interrupted or failed: what is recorded is replayed, nothing is paid for twice."""
    job = jobs.job(job_id)
    try:
        job.resume(force=force, from_scratch=from_scratch, accept_divergence=accept_divergence, executor=executor, detach=detach)
    except QloomError as error:
        if not as_json:
            raise
        emit({"job_id": job.id, "state": str(job.state()), "result": None, "error": error_document(error)})
        notes().print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(error.exit_code) from error
    if detach:
        emit(Outcome.of(job, job.status()).document()) if as_json else print(job.id)
        return
    try:
        status = follow(job, quiet=as_json)
    except KeyboardInterrupt:
        application().suspend(job.folder)
        status = job.status()
    finish(job, status, as_json=as_json)


@app.command()
def cancel(job_id: JobId, as_json: Json = False) -> None:
    """End a job for good, its whole process group."""
    _tell_state(job_id, jobs.job(job_id).cancel(), as_json=as_json)


@app.command()
def suspend(job_id: JobId, as_json: Json = False) -> None:
    """End a job's processes but keep it resumable."""
    job = jobs.job(job_id)
    application().suspend(job.folder)
    _tell_state(job_id, job.state(), as_json=as_json)


@app.command()
def report(
    job_id: JobId,
    other_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Another job, to compare the two.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path("report.html"),
    as_json: Json = False,
) -> None:
    """Write a job's report, or two jobs side by side: one HTML file that needs nothing else."""
    job = jobs.job(job_id)
    other = jobs.job(other_id) if other_id is not None else None
    if other is None:
        write_report(job, output)
    else:
        write_comparison(job, other, output)
    if as_json:
        emit({"job_id": job.id, "report": str(output)} | ({"compared_with": other.id} if other else {}))
    else:
        people().print(f"wrote {output}", markup=False)


def _tell_state(job_id: str, state: str, *, as_json: bool) -> None:
    job = jobs.job(job_id)
    if as_json:
        emit({"job_id": job.id, "state": str(state)})
    else:
        people().print(f"job {job.id} is {state}", markup=False)
