"""`Journal`: records what a job's program asks, so that a killed job is replayed and goes on."""

from __future__ import annotations

import os
import threading
import weakref
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import qloom.journal.records as records
from qloom.errors import NoResult
from qloom.journal.billing import RETRY_WAITS_S
from qloom.journal.blobs import LARGE
from qloom.journal.lanes import LaneRecorder
from qloom.journal.ledger import Ledger
from qloom.kit.values import dumps, loads
from qloom.results import Engine
from qloom.results.stages import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qloom.tasks import Compiled

_CLOSED = "the journal is closed: the program has ended, so nothing more can be asked or recorded"
_FORKED = (
    "this is a fork of the job's process, and only the process that opened the journal may use the context; do classical work in "
    "forked processes and ask devices from the parent, or start processes with the `spawn` method and hand them numbers"
)


class Journal:
    """The journal of one attempt; implements `qloom.contracts.Recorder`.

    Opening costs nothing: earlier attempts are read, and this attempt's segment is made, when the first call comes.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> first = Journal.open(folder, job_id="job", attempt=1, seed=7)
    >>> first.lane("main").now(lambda: 5.0)
    5.0
    >>> first.close()
    >>> Journal.open(folder, job_id="job", attempt=2, seed=7).lane("main").now(lambda: 6.0)
    5.0
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lanes: dict[str, LaneRecorder] = {}
        self._starts: dict[str, tuple[int, int]] = {}
        self._engines: dict[str, Engine] = {}
        self._lock = threading.RLock()
        self._numbers = count()  # of lanes, for the whole segment
        self._left = [0, 0]

    @classmethod
    def open(
        cls,
        checkpoint_dir: Path,
        *,
        job_id: str,
        attempt: int,
        seed: int,
        writer: str = "program",
        from_scratch: bool = False,
        accept_divergence: bool = False,
        retry_waits_s: tuple[float, ...] = RETRY_WAITS_S,
    ) -> Journal:
        """Open the journal for one attempt.

        Args:
            checkpoint_dir: the job's checkpoint folder; the journal is in `journal/` there, and both are made when needed.
            job_id, seed: of the job.
            attempt: number of this attempt, higher than all earlier ones.
            writer: who records; each writer of an attempt has its own segment.
            from_scratch: what earlier attempts recorded counts no more, from now on and for all later attempts. Idempotency
                tokens stay the same, so a device that bills still finds its earlier tasks.
            accept_divergence: where a replay asks something else, drop what was recorded in that lane from there on.
            retry_waits_s: waits between tries while a device that bills does not answer.

        Raises:
            StorageFailed: with `from_scratch`, it cannot be recorded.
        """
        ledger = Ledger(
            checkpoint_dir,
            job_id=job_id,
            attempt=attempt,
            seed=seed,
            writer=writer,
            accept_divergence=accept_divergence,
            retry_waits_s=retry_waits_s,
        )
        journal = cls(ledger)
        _open_journals.add(journal)
        if from_scratch:
            ledger.start_from_scratch()
        return journal

    @property
    def executed(self) -> int:
        """Quantum tasks computed in this attempt."""
        return self._left[0] + sum(lane.executed for lane in self._lanes.values())

    @property
    def replayed(self) -> int:
        """Quantum tasks answered from the journal in this attempt."""
        return self._left[1] + sum(lane.replayed for lane in self._lanes.values())

    @property
    def problems(self) -> list[str]:
        """What was found while reading and is worth saying: dropped tails, dropped answers."""
        return self._ledger.problems

    def lane(self, name: str) -> LaneRecorder:
        lane = self._lanes.get(name)
        if lane is None:
            with self._lock:
                if (lane := self._lanes.get(name)) is not None:
                    return lane
                position, metric = self._starts.get(name, (0, 0))
                lane = LaneRecorder(self._ledger, name, next(self._numbers), position=position, metric=metric)
                self._lanes[name] = lane
        return lane

    def leave(self, name: str) -> None:
        """Forget a lane in which nothing more is asked in this attempt: many short lanes take no memory. Its records stay."""
        with self._lock:
            lane = self._lanes.pop(name, None)
            if lane is not None:
                self._left[0] += lane.executed
                self._left[1] += lane.replayed
                lane.end()

    def save_checkpoint(self, data: dict[str, Any]) -> None:
        """Record data together with the position of every lane. Durable (fdatasync) on return.

        A lane that another thread is using stands behind its last recorded answer, whether or not its program has seen it
        yet: save where the lanes rest.

        Raises:
            NoResult: the data is neither JSON nor arrays.
            StorageFailed: the disk is full, read-only or gone.
        """
        text = dumps(data, "the checkpoint")
        self._ledger.history()
        from qloom.journal.codec import encode  # loads msgspec

        with self._lock:
            for lane in self._lanes.values():
                lane.settle()
            places = [[name, *lane.place] for name, lane in self._lanes.items()]
            places += [[name, *place] for name, place in self._starts.items() if name not in self._lanes]
            kind, content = records.CHECKPOINT, encode((places, text))
            if len(content) >= LARGE:
                kind, content = kind | records.LARGE_FLAG, self._ledger.keep_blob(content)
            self._ledger.writer().append_durable(kind, content)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the latest checkpoint of earlier attempts and move every lane behind it; None where there is none.

        Raises:
            CorruptRecord: the checkpoint, or its blob, is missing or damaged.
        """
        self._ledger.check_usable()
        found = self._ledger.history().latest_checkpoint(self._ledger.blobs)
        if found is None:
            return None
        places, text = found
        with self._lock:
            self._starts = places
            for name, lane in self._lanes.items():
                lane.settle()
                if name in places:
                    lane.move(*places[name])
        data = loads(text)
        if not isinstance(data, dict):
            raise NoResult(f"a checkpoint holds a dict, this one a {type(data).__name__}")
        return data

    def engine_used(self, prepared: str, engine: Engine) -> Engine | None:
        with self._lock:
            known = self._ledger.history().engines.get(prepared) or self._engines.get(prepared)
            if known is None:
                from qloom.journal.codec import encode  # loads msgspec

                self._ledger.writer().append(records.ENGINE, encode((prepared, tuple(engine))))
                self._engines[prepared] = engine
                return None
        return None if known[:3] == engine[:3] else known

    def compiled_as(self, prepared: str, compiled: Compiled) -> Compiled | None:
        with self._lock:
            earlier, here = self._ledger.history().compiled, self._ledger.compiled
            if prepared in earlier or prepared in here:
                return None
            known = chain(reversed(here.values()), reversed(earlier.values()))
            before = next((one for one in known if one.source == compiled.source and one.digest != compiled.digest), None)
            from qloom.journal.codec import encode  # loads msgspec

            self._ledger.writer().append(records.COMPILED, encode((prepared, *compiled)))
            here[prepared] = compiled
            return before

    def note_stages(self, notes: Sequence[Mapping[str, Any]]) -> None:
        with self._lock:
            text, kind = dumps(plain(list(notes)), "what the stages noted"), records.STAGES
            if len(text) > LARGE:
                text, kind = self._ledger.keep_blob(text), kind | records.LARGE_FLAG
            self._ledger.writer().append(kind, text)

    def close(self) -> None:
        if not self._ledger.refusal:
            for lane in list(self._lanes.values()):
                lane.tell_time()
        self._end(_CLOSED)

    def _end(self, refusal: str) -> None:
        _open_journals.discard(self)
        self._ledger.close(refusal)
        for lane in self._lanes.values():
            lane.end()

    def _abandon(self) -> None:
        """End in the child of a fork, where locks may be held by threads that are gone."""
        self._lock = threading.RLock()
        self._ledger.abandon(_FORKED)
        for lane in list(self._lanes.values()):
            lane.end()


_open_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def _abandon_all() -> None:
    for journal in list(_open_journals):
        journal._abandon()  # noqa: SLF001  a function of this class in all but place


os.register_at_fork(after_in_child=_abandon_all)
