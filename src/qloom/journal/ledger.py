"""What all lanes of an open journal share: the history of earlier attempts, this attempt's segment, the blobs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import qloom.journal.records as records
from qloom.errors import Divergence, WrongState
from qloom.journal.blobs import write_blob
from qloom.journal.segments import SUFFIX, SegmentWriter

if TYPE_CHECKING:
    from pathlib import Path

    from qloom.journal.history import History
    from qloom.tasks import Compiled


class Ledger:
    """The files of one attempt's journal. Nothing is read or written before somebody asks for it.

    Attributes:
        checkpoints: the job's checkpoint folder.
        job_id, attempt, seed: of the job and of this life of it.
        accept_divergence: whether a replay that asks something else goes on fresh.
        retry_waits_s: waits between tries while a device does not answer.
        problems: what was found and is worth saying, as sentences.
        compiled: digest of a structure that was prepared in this attempt -> what a compiler made of it.
    """

    def __init__(
        self,
        checkpoints: Path,
        *,
        job_id: str,
        attempt: int,
        seed: int,
        writer: str,
        accept_divergence: bool,
        retry_waits_s: tuple[float, ...],
    ) -> None:
        self.checkpoints = checkpoints
        self.job_id = job_id
        self.attempt = attempt
        self.seed = seed
        self.accept_divergence = accept_divergence
        self.retry_waits_s = retry_waits_s
        self.problems: list[str] = []
        self.compiled: dict[str, Compiled] = {}
        self.blobs = records.blob_folder(checkpoints)
        self.refusal = ""
        self._path = records.journal_folder(checkpoints) / f"{attempt}-{writer}{SUFFIX}"
        self._from_scratch = False
        self._lock = threading.RLock()
        self._writer: SegmentWriter | None = None
        self._is_opened = False
        self._history: History | None = None
        self._spent: set[str] | None = None

    def start_from_scratch(self) -> None:
        """Record at once that earlier attempts count no more, so that this holds even if nothing else gets recorded.

        Raises:
            StorageFailed: it cannot be recorded.
        """
        self._from_scratch = True
        if records.segment_files(self.checkpoints):
            self.writer()

    def history(self) -> History:
        """Return what earlier attempts recorded; read once.

        Raises:
            CorruptRecord, InvalidSetting, StorageFailed: it cannot be read.
            WrongState: a later attempt has begun, so this one must not go on.
            Divergence: it was recorded with another seed.
        """
        with self._lock:
            if self._history is None:
                from qloom.journal.history import History  # loads msgspec

                self._refuse_late_attempt()
                first = self.attempt if not self._from_scratch else 0
                history = History.read(self.checkpoints, before_attempt=first)
                try:
                    self._check_origin(history.opened)
                except Divergence:
                    history.close()
                    raise
                self.problems += history.problems
                self._history = history
            return self._history

    def writer(self) -> SegmentWriter:
        """Return the writer of this attempt's segment; the first call makes the file.

        Raises:
            WrongState: closed, forked, or the attempt has a segment already.
            StorageFailed: the disk is full, read-only or gone.
        """
        with self._lock:
            self.check_usable()
            if self._writer is None:
                self.history()
                self._writer = SegmentWriter.create(self._path)
            if not self._is_opened:
                from qloom.journal.codec import encode

                opened = records.Opened(self.job_id, self.attempt, str(self.seed), self._from_scratch)
                append = self._writer.append_durable if self._from_scratch else self._writer.append
                append(records.OPENED, encode(opened))
                self._is_opened = True
            return self._writer

    def keep_blob(self, content: bytes) -> bytes:
        """Keep large content and return its digest."""
        with self._lock:  # two lanes may keep equal content at the same time
            return write_blob(self.blobs, content)

    def spent(self) -> set[str]:
        """Return the idempotency tokens that must not be used again; read once, kept up by the lanes."""
        with self._lock:
            if self._spent is None:
                from qloom.journal.history import spent_tokens

                files = records.segment_files(self.checkpoints)
                self._spent = set(spent_tokens([file for file in files if file.attempt < self.attempt]))
            return self._spent

    def check_usable(self) -> None:
        """Refuse calls after the end.

        Raises:
            WrongState: closed, or this process is a fork of the one that opened the journal.
        """
        if self.refusal:
            raise WrongState(self.refusal)

    def close(self, refusal: str) -> None:
        """Close the segment; every later call is refused with this reason. Idempotent."""
        self.refusal = self.refusal or refusal
        if self._history is not None:
            self._history.close()
        if self._writer is not None:
            self._writer.close(self.refusal)

    def abandon(self, refusal: str) -> None:
        """Close in the child of a fork, where other threads are gone and may have held the lock."""
        self._lock = threading.RLock()
        self.close(refusal)

    def _refuse_late_attempt(self) -> None:
        for file in records.segment_files(self.checkpoints):
            if file.attempt > self.attempt or file.path == self._path:
                raise WrongState(
                    f"attempt {self.attempt} of job {self.job_id} cannot record, since attempt {file.attempt} has begun "
                    f"({file.path}); resuming the job starts a new attempt"
                )

    def _check_origin(self, opened: list[records.Opened]) -> None:
        for segment in opened:
            if segment.seed != str(self.seed) and not self.accept_divergence:
                raise Divergence(
                    f"attempt {segment.attempt} was recorded with job seed {segment.seed}, this one has {self.seed}; give the "
                    "same seed, or resume with `--from-scratch`, or with `--accept-divergence` to keep the recorded answers",
                    field="seed",
                )
        for job_id in sorted({segment.job_id for segment in opened} - {self.job_id}):
            self.problems.append(f"the journal in {self.checkpoints} was begun by job {job_id}; its answers are used here")
