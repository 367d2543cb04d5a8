"""Covalent: a lattice of one electron that does nothing: `python -m benchmarks.workers.covalent_dispatch`.

It runs in its own environment. Its server is the one that `covalent start` starts, Dask cluster included. Covalent reads
its settings when it is imported, so they are made first.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.workers.servers import HOST, free_port, new_folder, server, settled
from benchmarks.workers.serving import serve_calls, timed

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.workers.serving import Timed

PAUSES_S = (0.02, 0.05, 0.1)
"""Between two looks at the status: `get_result(wait=True)` looks once a second, and looking often slows the server down."""
ENDED = ("COMPLETED", "FAILED", "CANCELLED")


def noop() -> dict[str, Any]:
    """Return at once."""
    return {}


def start(stack: ExitStack) -> dict[str, Timed]:
    """Start a server and return every way of getting the result of one electron."""
    folder = stack.enter_context(new_folder("covalent"))
    port = free_port()
    settle(folder, port)

    import covalent
    import covalent_ui
    from covalent._shared_files.config import reload_config
    from covalent_dispatcher._db.datastore import DataStore

    DataStore.factory().run_migrations(logging_enabled=False)
    command = [sys.executable, "app.py", "--port", str(port)]
    where = Path(covalent_ui.__file__).parent
    group = stack.enter_context(server(command, folder=folder, where=where, ready=partial(listens, port)))
    reload_config()  # the server has noted where its Dask cluster is
    return {label: settled(way, group) for label, way in ways(covalent).items()}


def settle(folder: Path, port: int) -> None:
    """Have all that Covalent writes in one folder, and its server on a port of the loopback."""
    for name in ("XDG_CONFIG_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        os.environ.pop(name, None)
    os.environ |= {"HOME": str(folder), "COVALENT_CONFIG_DIR": str(folder), "TMPDIR": str(folder)}
    os.environ |= {"COVALENT_DISPATCHER_ADDR": HOST, "COVALENT_SVC_PORT": str(port)}
    tempfile.tempdir = str(folder)


def listens(port: int) -> bool:
    """Return whether the server takes connections."""
    socket.create_connection((HOST, port), timeout=1).close()
    return True


def ways(covalent: Any) -> dict[str, Timed]:
    """Return both executors that Covalent brings, and the ways of waiting for a result."""
    found = {}
    for executor in ("local", "dask"):
        workflow = covalent.lattice(electron_in(covalent, executor))
        found[f"{executor} executor, get_result(wait=True)"] = timed(partial(waited_for, covalent, workflow))
        for pause_s in PAUSES_S:
            label = f"{executor} executor, status looked at every {pause_s:g} s"
            found[label] = timed(partial(looked_at, covalent, workflow, pause_s))
    return found


def electron_in(covalent: Any, executor: str) -> Callable[[], Any]:
    """Return a workflow of one electron."""
    electron = covalent.electron(noop, executor=executor)

    def workflow() -> Any:
        return electron()

    return workflow


def looked_at(covalent: Any, workflow: Any, pause_s: float) -> None:
    """Dispatch, look at the status until it has ended, and fetch the result."""
    dispatch_id = covalent.dispatch(workflow)()
    while str(covalent.get_result(dispatch_id, status_only=True)["status"]) not in ENDED:
        time.sleep(pause_s)
    result = covalent.get_result(dispatch_id, intermediate_outputs=False)
    assert result.result == {}, result


def waited_for(covalent: Any, workflow: Any) -> None:
    """Dispatch, and wait in the way that its tutorials show."""
    result = covalent.get_result(covalent.dispatch(workflow)(), wait=True)
    assert result.result == {}, result


if __name__ == "__main__":
    with ExitStack() as running:
        serve_calls(partial(start, running))
