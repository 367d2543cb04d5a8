"""A bare fork server, as one would write it without qloom: `python -m benchmarks.workers.fork_server DESCRIPTOR`.

Each message on its socket is a job as JSON, with the descriptor of the pipe that its result goes to. The job runs in a fork
with limits of its own; the pipe is closed when it has ended. No files, no journal, no supervision of what it starts.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
from typing import Any, NoReturn

PRELOADED = ("numpy", "qulacs", "pennylane_lightning.lightning_qubit_ops")
"""What qloom's own fork server has loaded of other people's libraries."""
LARGEST_MESSAGE = 65_536
LIMITS = {
    resource.RLIMIT_AS: 8 * 2**30,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_CPU: 3600,
    resource.RLIMIT_FSIZE: 8 * 2**30,
    resource.RLIMIT_NOFILE: 512,
}


def noop() -> dict[str, Any]:
    """Return at once."""
    return {}


FUNCTIONS = {"noop": noop}


def serve(line: socket.socket) -> None:
    """Run what comes, each in a fork, until the socket is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel collects what has ended
    gc.collect()
    gc.freeze()  # forks share these pages as long as nobody writes to them
    while True:
        content, descriptors, _, _ = socket.recv_fds(line, LARGEST_MESSAGE, 1)
        if not content:
            return
        if os.fork() == 0:
            run(content, descriptors[0])
        os.close(descriptors[0])


def run(content: bytes, pipe: int) -> NoReturn:
    """Run one job in this fork, and end it."""
    try:
        for limit, value in LIMITS.items():
            resource.setrlimit(limit, (value, value))
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        request = json.loads(content)
        os.write(pipe, json.dumps(FUNCTIONS[request["function"]](**request["arguments"])).encode())
    finally:
        os._exit(0)


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    with socket.socket(fileno=int(sys.argv[1])) as own:
        own.send(b"ready")
        serve(own)
