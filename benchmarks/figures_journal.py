"""The journal against the least that can be done with the same bytes: encode, checksum, write, sync, read, decode."""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from zlib import crc32

import msgspec
import numpy as np

from benchmarks.harness import Figure, Sides
from benchmarks.pairs import Target
from benchmarks.workload import SHOTS, ansatz, count_parameters, parameter_sets
from qloom.journal import Journal
from qloom.results import Engine, Result, SampleTable
from qloom.tasks import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.harness import Bench
    from benchmarks.pairs import Timed
    from qloom.contracts import Device, Prepared

SEED = 1
ANSWERS = 10_000
VARIETY = 64
"""Different questions and answers that a timing cycles through."""
FRAME = struct.Struct("<II")
DIGEST = "d" * 32
KEYS, COUNTS = np.dtype("<u8"), np.dtype("<i8")

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode


class Call(NamedTuple):
    """One question with its answer: as the journal gets them, and as the plain data a record holds."""

    question: Question
    answer: Callable[[int], Result]
    plain: tuple[Any, ...]


def calls(num_qubits: int) -> list[Call]:
    """Return questions as a loop at this size asks them, with answers of a usual form: up to 600 different keys."""
    rng = np.random.default_rng(SEED)
    made = []
    for values in parameter_sets(count_parameters(ansatz(num_qubits)), VARIETY):
        keys = np.sort(rng.choice(2**num_qubits, min(2**num_qubits, 600), replace=False)).astype(np.uint64)
        counts = rng.multinomial(SHOTS - len(keys), np.full(len(keys), 1 / len(keys))) + 1
        table = SampleTable(keys, counts, (0, len(keys)), int(rng.integers(2**62)))
        result = Result(engine=Engine("lightning", "0.45.0"), shots=SHOTS, key_lengths=(num_qubits,), samples=table)
        question = Question("sample", DIGEST, np.array(values).tobytes(), 1, SHOTS, None)
        made.append(Call(question, partial(_given, result), (2**63 + 1, question, result.pack())))
    return made


def _given(result: Result, _seed: int) -> Result:
    return result


class Fresh:
    """Gives each timing a file system place of its own, so that no side's file grows through the run."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """Give a journal with its first records behind it, a durable one among them: that syncs the folder too, once."""
        with self.folder() as folder:
            journal = Journal.open(folder, job_id="bench", attempt=1, seed=SEED)
            journal.lane("main").now(lambda: 0.0)
            journal.save_checkpoint({})
            try:
                yield journal
            finally:
                journal.close()

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        """Give a file to append to, with its first bytes behind it."""
        with self.folder() as folder:
            descriptor = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            os.write(descriptor, b"plain")
            os.fdatasync(descriptor)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give an empty folder."""
        folder = self._bench.new_folder("journal")
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


@contextmanager
def append(bench: Bench, num_qubits: int) -> Iterator[Sides]:
    """Record an answer; the peer encodes the same plain data, checksums and writes it."""
    fresh, given = Fresh(bench), calls(num_qubits)

    def mine(loops: int) -> float:
        with fresh.journal() as journal:
            ask = journal.lane("main").ask
            chosen = [given[index % VARIETY] for index in range(loops)]
            start = time.perf_counter()
            for question, answer, _ in chosen:
                ask(question, answer)
            return time.perf_counter() - start

    def theirs(loops: int) -> float:
        with fresh.descriptor() as descriptor:
            chosen = [given[index % VARIETY].plain for index in range(loops)]
            start = time.perf_counter()
            for plain in chosen:
                body = encode(plain)
                crc32(body)
                os.write(descriptor, body)
            return time.perf_counter() - start

    yield Sides(mine, theirs)


class PaidTask:
    """A device that bills, a circuit prepared on it and its task in one: it answers at once."""

    name = "paid"
    id = "task-1"

    def __init__(self, answer: Callable[[int], Result]) -> None:
        self._answer = answer

    def submit(self, *_: Any, seed: int, **__: Any) -> PaidTask:
        """Take the task."""
        self._seed = seed
        return self

    def result(self) -> Result:
        """Give its answer."""
        return self._answer(self._seed)


@contextmanager
def billed(bench: Bench) -> Iterator[Sides]:
    """Ask a device that bills: intent, task id and answer are synced. The peer syncs three records of the same bytes."""
    fresh, given = Fresh(bench), calls(4)
    devices = [PaidTask(call.answer) for call in given]
    token = "t" * 32

    def mine(loops: int) -> float:
        with fresh.journal() as journal:
            ask = journal.lane("main").ask_billed
            chosen = [(given[index % VARIETY].question, devices[index % VARIETY]) for index in range(loops)]
            start = time.perf_counter()
            for question, device in chosen:
                ask(question, cast("Device", device), cast("Prepared", device))
            return time.perf_counter() - start

    def theirs(loops: int) -> float:
        with fresh.descriptor() as descriptor:
            chosen = [given[index % VARIETY] for index in range(loops)]
            start = time.perf_counter()
            for question, _, plain in chosen:
                for record in ((2**63 + 1, question, token), (token, PaidTask.id), plain):
                    os.write(descriptor, encode(record))
                    os.fdatasync(descriptor)
            return time.perf_counter() - start

    yield Sides(mine, theirs)


@contextmanager
def checkpoint(bench: Bench) -> Iterator[Sides]:
    """Save a checkpoint of 32 angles; the peer writes and syncs the same data as JSON."""
    fresh = Fresh(bench)
    data = {"theta": parameter_sets(32, 1)[0], "iteration": 1}

    def mine(loops: int) -> float:
        with fresh.journal() as journal:
            start = time.perf_counter()
            for _ in range(loops):
                journal.save_checkpoint(data)
            return time.perf_counter() - start

    def theirs(loops: int) -> float:
        with fresh.descriptor() as descriptor:
            start = time.perf_counter()
            for _ in range(loops):
                os.write(descriptor, json.dumps(data).encode())
                os.fdatasync(descriptor)
            return time.perf_counter() - start

    yield Sides(mine, theirs)


@contextmanager
def replay(bench: Bench, num_qubits: int) -> Iterator[Sides]:
    """Serve 10,000 recorded answers; the peer reads a file of the same records, checks and decodes each.

    Both sides end with the arrays of keys and counts in hand, so that neither puts the decoding off.
    """
    given = calls(num_qubits)
    asked = [given[index % VARIETY].question for index in range(ANSWERS)]
    with Fresh(bench).folder() as folder:
        recorded = Journal.open(folder, job_id="bench", attempt=1, seed=SEED)
        for index in range(ANSWERS):
            recorded.lane("main").ask(given[index % VARIETY].question, given[index % VARIETY].answer)
        recorded.close()
        plain = folder / "plain"
        plain.write_bytes(b"".join(_framed(encode(given[index % VARIETY].plain)) for index in range(ANSWERS)))
        yield Sides(_served(folder, asked), _decoded(plain))


def _framed(body: bytes) -> bytes:
    return FRAME.pack(len(body), crc32(body)) + body


def _served(folder: Path, asked: list[Question]) -> Timed:
    def refused(seed: int) -> Result:
        raise AssertionError(f"asked again, with seed {seed}: it is not served from the journal")

    def side(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            journal = Journal.open(folder, job_id="bench", attempt=2, seed=SEED)
            ask = journal.lane("main").ask
            for question in asked:
                _ = ask(question, refused).samples
            assert journal.replayed == ANSWERS
            journal.close()
        return time.perf_counter() - start

    return side


def _decoded(path: Path) -> Timed:
    def side(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            found = 0
            with path.open("rb", buffering=1 << 18) as file:
                while head := file.read(FRAME.size):
                    length, check = FRAME.unpack(head)
                    body = file.read(length)
                    assert crc32(body) == check
                    _, _, (_, _, _, _, (keys, counts, _, _), *_) = decode(body)
                    np.frombuffer(keys, KEYS), np.frombuffer(counts, COUNTS)
                    found += 1
            assert found == ANSWERS
        return time.perf_counter() - start

    return side


FIGURES = [
    *(
        Figure(
            name=f"journal append, an answer of {size} qubits",
            peer="encode, CRC-32, write",
            open=partial(append, num_qubits=size),
            target=Target(3.0),
            quick=size <= 4,
        )
        for size in (4, 10)
    ),
    Figure(
        name="journal, durable class: a billed question",
        peer="encode, write, fdatasync, three times",
        open=billed,
        target=Target(1.3),
        quick=True,
    ),
    Figure(
        name="journal, durable class: a checkpoint of 32 angles",
        peer="json.dumps, write, fdatasync",
        open=checkpoint,
        target=Target(1.3),
    ),
    *(
        Figure(
            name=f"serve {ANSWERS:,} recorded answers of {size} qubits",
            peer="read, check CRC-32, decode into arrays",
            open=partial(replay, num_qubits=size),
            target=Target(3.0),
            quick=size <= 4,
        )
        for size in (4, 10)
    ),
]
