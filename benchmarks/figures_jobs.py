"""The variational loop inside a job, journal on, against simulators that people use today."""

from __future__ import annotations

import socket
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qloom
from benchmarks import ours
from benchmarks.channel import Channel, ChannelClosed
from benchmarks.harness import Figure, Sides
from benchmarks.pairs import Sense, Target
from benchmarks.peers import NotRunError
from benchmarks.programs.served_loop import served_loop
from benchmarks.workload import SHOTS, ansatz, count_parameters, parameter_sets, qasm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Bench

START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 120.0


class ServedJob:
    """A job of `served_loop`, spoken to over a socket."""

    def __init__(self, job: qloom.Job, line: socket.socket) -> None:
        self.job = job
        self._line = line
        self._channel = Channel(line.fileno(), line.fileno())

    def seconds(self, loops: int) -> float:
        """Return what that many iterations took inside the job, as the job measured it."""
        return float(self._ask({"loops": loops})["seconds"])

    def counts(self, samples: int) -> dict[str, int]:
        """Return that many samples of the first parameter set, added up."""
        return dict(self._ask({"sample": samples})["counts"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._channel.ask(request, ANSWER_TIMEOUT_S)
        except ChannelClosed:
            self.job.result(timeout_s=START_TIMEOUT_S)  # says why the job ended
            raise

    def finish(self) -> None:
        """Let the job end; it must have completed, with its journal whole."""
        self._line.shutdown(socket.SHUT_WR)
        self.job.result(timeout_s=START_TIMEOUT_S)


@contextmanager
def served_job(num_qubits: int) -> Iterator[ServedJob]:
    """Start the loop as a job on the local executor, and take it down."""
    gates = ansatz(num_qubits)
    # Of its own, since the path of a socket may have 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="qloom-") as folder, socket.socket(socket.AF_UNIX) as listening:
        address = str(Path(folder) / "line")
        listening.bind(address)
        listening.listen(1)
        job = served_loop.with_options(device="sim", executor="local", seed=1).submit(
            circuit=qasm(gates, num_qubits),
            sets=parameter_sets(count_parameters(gates)),
            shots=SHOTS,
            address=address,
        )
        try:
            with accepted(listening, job) as line:
                served = ServedJob(job, line)
                yield served
                served.finish()
        finally:
            job.cancel()


def accepted(listening: socket.socket, job: qloom.Job) -> socket.socket:
    """Wait for the job to call, for as long as it lives."""
    listening.settimeout(0.2)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            line, _ = listening.accept()
        except TimeoutError:
            if job.state().ended:
                job.result(timeout_s=1)  # says why
            continue
        line.setblocking(True)
        return line
    raise NotRunError(f"job {job.id} did not call within {START_TIMEOUT_S:g} s")


@contextmanager
def against_worker(bench: Bench, num_qubits: int, module: str, environment: str | None, peer: str) -> Iterator[Sides]:
    """Run the same iterations in a job and in the peer's worker."""
    gates = ansatz(num_qubits)
    worker = bench.workers.get(module, environment)
    case = {
        "gates": gates,
        "num_qubits": num_qubits,
        "shots": SHOTS,
        "sets": parameter_sets(count_parameters(gates)),
    }
    way = worker.open(case)
    with served_job(num_qubits) as job:
        ours.agree(job.counts(ours.SAMPLES), worker.counts(ours.SAMPLES))
        yield Sides(job.seconds, worker.seconds, f"{peer}, {way}")


def figures(module: str, environment: str | None, peer: str, targets: dict[int, float]) -> list[Figure]:
    """Return the figures against one peer: qubits -> how many times faster at least."""
    return [
        Figure(
            name=f"loop in a job, journal on, {size} qubits",
            peer=peer,
            open=partial(against_worker, num_qubits=size, module=module, environment=environment, peer=peer),
            target=Target(least, Sense.AT_LEAST),
            quick=size <= 4,
        )
        for size, least in targets.items()
    ]


FIGURES = [
    *figures("braket_local", "braket-sdk", "Braket LocalSimulator", {4: 250, 10: 180, 16: 25, 20: 3}),
    *figures("aer", None, "Aer, transpiled once", {4: 20, 10: 15, 16: 6, 20: 2}),
    *figures("pennylane_qnode", None, "PennyLane QNode with shots on lightning.qubit", {10: 20}),
]
