"""Prefect: a flow that does nothing, called in a warm process beside a server: `python -m benchmarks.workers.prefect_flow`."""

from __future__ import annotations

import asyncio
import os
import sys
import urllib.request
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.workers.servers import HOST, free_port, new_folder, server, settled
from benchmarks.workers.serving import serve_calls, timed

if TYPE_CHECKING:
    from benchmarks.workers.serving import Timed


def noop() -> dict[str, Any]:
    """Return at once."""
    return {}


async def noop_coroutine() -> dict[str, Any]:
    """Return at once."""
    return {}


def start(stack: ExitStack) -> dict[str, Timed]:
    """Start a server and return the ways of running a flow."""
    folder = stack.enter_context(new_folder("prefect"))
    api = f"http://{HOST}:{(port := free_port())}/api"
    os.environ.update(PREFECT_HOME=str(folder), PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port), "--no-ui"]
    group = stack.enter_context(server(command, folder=folder, where=folder, ready=partial(healthy, f"{api}/health")))
    os.environ["PREFECT_API_URL"] = api

    from prefect import flow

    plain, coroutine = flow(noop), flow(noop_coroutine)
    loop = stack.enter_context(asyncio.Runner())

    def called() -> None:
        assert plain() == {}

    def awaited() -> None:
        assert loop.run(coroutine()) == {}

    return {"a flow, called": settled(timed(called), group), "an async flow, awaited": settled(timed(awaited), group)}


def healthy(address: str) -> bool:
    """Return whether the server says that it is well."""
    with urllib.request.urlopen(address, timeout=1) as answer:  # noqa: S310  our own server
        return bool(answer.status == 200)


if __name__ == "__main__":
    with ExitStack() as running:
        serve_calls(partial(start, running))
    os._exit(0)  # at exit Prefect sends its last log lines to the server, which is gone, and tries for long
