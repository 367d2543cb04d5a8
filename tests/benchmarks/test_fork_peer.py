"""The bare peer of `map`: jobs in forks of a real server, results in order, limits set."""

import asyncio
import json
import os
import resource
import socket
from typing import Any

import pytest

from benchmarks.workers import fork_server
from benchmarks.workers.fork_supervisor import fork_server as running_server
from benchmarks.workers.fork_supervisor import run_all


def test_every_job_of_a_thousand_comes_back_however_many_are_in_flight() -> None:
    with running_server() as first, running_server() as second:
        assert asyncio.run(run_all([first, second], 60, 8)) == [{}] * 60
        assert asyncio.run(run_all([first, second], 3, 50)) == [{}] * 3


def limits() -> dict[str, Any]:
    return {"pid": os.getpid(), "limits": [resource.getrlimit(limit)[0] for limit in fork_server.LIMITS]}


def test_a_job_runs_in_a_process_of_its_own_with_all_five_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fork_server.FUNCTIONS, "limits", limits)
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        fork_server.run(json.dumps({"function": "limits", "arguments": {}}).encode(), writing)
    os.close(writing)
    answer = json.loads(os.read(reading, 1000))
    os.close(reading)
    assert answer == {"pid": pid, "limits": list(fork_server.LIMITS.values())}
    assert os.waitpid(pid, 0)[1] == 0


def test_a_fork_server_ends_when_its_supervisor_does() -> None:
    with running_server() as line:
        line.shutdown(socket.SHUT_RDWR)
