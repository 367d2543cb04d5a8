"""A bare asyncio supervisor of two fork servers: `python -m benchmarks.workers.fork_supervisor`.

The floor for running many small jobs, each in a process of its own: nothing is written down, and nobody can resume anything.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count, cycle
from typing import TYPE_CHECKING, Any

from benchmarks.workers.serving import keep_to_cores, serve_calls, timed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.workers.serving import Timed

CORES = 2
JOBS = 1000
IN_FLIGHT = (8, 50)
REQUEST = json.dumps({"function": "noop", "arguments": {}}).encode()
READ_BYTES = 65_536
STOP_S = 2.0


@contextmanager
def fork_server() -> Iterator[socket.socket]:
    """Run a fork server that has loaded everything, and give the socket to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            command = [sys.executable, "-m", "benchmarks.workers.fork_server", str(theirs.fileno())]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        if ours.recv(READ_BYTES) != b"ready":
            raise RuntimeError("a fork server ended before it was ready")
        yield ours
    process.wait(STOP_S)


async def job(server: socket.socket, loop: asyncio.AbstractEventLoop) -> Any:
    """Run one job and return its result once its process has ended."""
    reading, writing = os.pipe()
    socket.send_fds(server, [REQUEST], [writing])
    os.close(writing)
    ended = loop.create_future()
    parts: list[bytes] = []

    def take() -> None:
        if part := os.read(reading, READ_BYTES):
            parts.append(part)
        else:
            loop.remove_reader(reading)
            os.close(reading)
            ended.set_result(b"".join(parts))

    loop.add_reader(reading, take)
    return json.loads(await ended)


async def run_all(servers: Sequence[socket.socket], jobs: int, in_flight: int) -> list[Any]:
    """Run jobs on the servers in turn, so many at a time, and return their results in order."""
    loop = asyncio.get_running_loop()
    results: list[Any] = [None] * jobs
    numbers = count()

    async def lane(servers: Iterator[socket.socket]) -> None:
        while (number := next(numbers)) < jobs:
            results[number] = await job(next(servers), loop)

    turns = cycle(servers)
    await asyncio.gather(*(lane(turns) for _ in range(in_flight)))
    return results


def start(stack: ExitStack) -> dict[str, Timed]:
    """Start the servers and return the ways of running a thousand jobs."""
    keep_to_cores(CORES)
    servers = [stack.enter_context(fork_server()) for _ in range(CORES)]

    def thousand(in_flight: int) -> None:
        assert asyncio.run(run_all(servers, JOBS, in_flight)) == [{}] * JOBS

    return {f"{in_flight} in flight": timed(partial(thousand, in_flight)) for in_flight in IN_FLIGHT}


if __name__ == "__main__":
    with ExitStack() as running:
        serve_calls(partial(start, running))
