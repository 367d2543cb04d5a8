"""A peer's own server: real processes, answering on the loopback, gone with what they started."""

import itertools
import os
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.workers import servers
from benchmarks.workers.servers import HOST, free_port, new_folder, processor_s, rest, server, settled

PARENT = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"


def answering(port: int) -> Callable[[], bool]:
    return lambda: urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=1).status == 200


def test_a_server_answers_inside_the_block_and_is_gone_after_it(tmp_path: Path) -> None:
    ready = answering(port := free_port())
    command = [sys.executable, "-m", "http.server", str(port), "--bind", HOST]
    with server(command, folder=tmp_path, where=tmp_path, ready=ready):
        assert ready()
    with pytest.raises(OSError, match="refused"):
        ready()


def test_what_a_server_started_ends_with_it(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with server([sys.executable, "-c", PARENT], folder=tmp_path, where=tmp_path, ready=lambda: log.read_text().endswith("\n")):
        child = int(log.read_text())
        descriptor = os.pidfd_open(child)
    try:
        assert select.select([descriptor], [], [], 5.0)[0] == [descriptor]
    finally:
        os.close(descriptor)


def test_a_server_that_ends_at_once_gives_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('the port is taken')"]
    with (
        pytest.raises(RuntimeError, match="the server ended: the port is taken"),
        server(command, folder=tmp_path, where=tmp_path, ready=answering(free_port())),
    ):
        pass


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "START_S", 0.1)
    with (
        pytest.raises(RuntimeError, match=r"did not answer within 0\.1 s: without a word"),
        server(["sleep", "60"], folder=tmp_path, where=tmp_path, ready=lambda: False),
    ):
        pass


def test_a_peers_folder_is_removed_with_what_is_in_it() -> None:
    with new_folder("toy") as folder:
        (folder / "file").touch()
    assert not folder.exists()


def test_a_peer_comes_back_when_its_server_is_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([1.0, 1.05, 1.09, 1.09, 1.2])
    monkeypatch.setattr(servers, "processor_s", lambda group: next(used))
    assert settled(lambda loops: loops * 2.0, 1)(3) == 6.0
    assert next(used) == 1.2


def test_a_server_that_never_rests_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    used = itertools.count()
    monkeypatch.setattr(servers, "processor_s", lambda group: float(next(used)))
    monkeypatch.setattr(servers, "REST_S", 0.1)
    assert not rest(1)


def test_the_processor_time_of_a_group_counts_whoever_is_in_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"], process_group=0) as process:
        while processor_s(process.pid) - time.process_time() < 0.03:
            assert process.poll() is None
        process.kill()
