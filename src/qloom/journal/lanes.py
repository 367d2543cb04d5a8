"""`LaneRecorder`: one lane's calls, answered from the history where it reaches, recorded where it does not."""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar, cast

import qloom.journal.records as records
from qloom.errors import Misuse, NoResult, Rejected, StorageFailed
from qloom.journal.blobs import LARGE, read_blob
from qloom.journal.failures import describe, restore
from qloom.kit.values import dumps, loads
from qloom.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from qloom.contracts import Device, Prepared, TaskHandle
    from qloom.journal.history import LaneHistory, RecordedCall
    from qloom.journal.ledger import Ledger
    from qloom.tasks import Question

T = TypeVar("T")
Call = tuple[Any, ...]

TELL_EVERY_S = 0.2
"""How often a lane notes how long its answers took: a kill loses no more of that than so much."""

_NOW: Call = ("now",)
_pack_place = records.PLACE.pack
_MISSING: Any = object()


def _kind(found: RecordedCall) -> int:
    return records.ANSWER if isinstance(found, bytes | records.Far) else found[0] & ~records.LARGE_FLAG


def derive_seed(job_seed: int, lane: str, ordinal: int) -> int:
    """Return the seed (64 bits) of the call at this place of a job.

    >>> derive_seed(1, "main", 0) == derive_seed(1, "main", 0), derive_seed(1, "main", 0) == derive_seed(1, "main", 1)
    (True, False)
    """
    import hashlib  # late: it loads OpenSSL, 9 ms

    return int.from_bytes(hashlib.blake2b(f"{job_seed}|{lane}|{ordinal}".encode(), digest_size=8).digest(), "big")


class LaneRecorder:
    """One lane of a journal; implements `qloom.contracts.Lane`. Used by one thread at a time.

    Every call (`ask`, `ask_billed`, `step`, `now`) has an ordinal, counted from 0; metrics are counted apart.

    A call that raises and whose error the program catches is part of what happened: when the lane's next call comes, the
    error is recorded, and a replay raises it again. An error that ends the program is not recorded, so that resuming the
    job tries the call again.

    Attributes:
        executed, replayed: quantum tasks computed now, and served from the journal.
    """

    def __init__(self, ledger: Ledger, name: str, number: int, *, position: int = 0, metric: int = 0) -> None:
        self.executed = 0
        self.replayed = 0
        self._ledger = ledger
        self._name = name
        self._number = number
        self._position = position
        self._metric = metric
        self._recorded_metrics = 0
        self._calls: dict[int, RecordedCall] = {}
        self._history: LaneHistory | None = None
        self._failure: tuple[Call, list[Any], int] | None = None
        self._in_step = False
        self._announced = False
        self._took_s = self._told_s = 0.0
        self._tell_at = 0.0
        # One test on the hot path stands for all that is rare: what must be done, or refused, before the next call.
        self._gate: Callable[[], None] | None = self._begin
        self._append: Callable[[int, bytes], None] = self._append_first

    @property
    def name(self) -> str:
        return self._name

    @property
    def place(self) -> tuple[int, int]:
        """Ordinal of the next call, and number of the next metric."""
        return self._position, self._metric

    def ask(self, question: Question, compute: Callable[[int], Result]) -> Result:
        if self._gate is not None:
            self._gate()
        if (found := self._calls.get(self._position)) is not None and (result := self._replay(found, question)) is not None:
            return result
        if not self._announced:
            self._announce()
        try:
            seed = question.seed
            if seed is None:
                seed = self._seed()
            begun = perf_counter()
            result = compute(seed)
            ended = perf_counter()
            self._record(records.ANSWER, (seed, question, result.pack()))
        except Exception as error:
            self._note_failure(question, error)
            raise
        self._position += 1
        self.executed += 1
        self._took_s += ended - begun
        if ended >= self._tell_at:
            self.tell_time(ended)
        return result

    def ask_billed(self, question: Question, device: Device, prepared: Prepared) -> Result:
        if self._gate is not None:
            self._gate()
        found = self._calls.get(self._position)
        if found is not None and (result := self._replay(found, question)) is not None:
            return result
        self._announce()
        begun = perf_counter()
        try:
            result, seed = self._buy(question, device, prepared)
            ended = perf_counter()
            self._record(records.ANSWER, (seed, question, result.pack()), durable=True)
        except Exception as error:
            self._note_failure(question, error)
            raise
        self._position += 1
        self.executed += 1
        self._took_s += ended - begun
        if ended >= self._tell_at:
            self.tell_time(ended)
        return result

    def step(self, name: str, arguments: bytes, compute: Callable[[], Any]) -> Any:
        import hashlib

        call = ("step", name, hashlib.blake2b(arguments, digest_size=16).digest())
        found = self._meet(records.STEP, call)
        if found is not _MISSING:
            text, self._metric = found
            return loads(text)
        self._announce()
        self._gate, self._in_step = self._refuse_nested, True
        try:
            text = dumps(compute(), f"the result of step {name!r}")
            self._record(records.STEP, (call, text, self._metric))
        except Exception as error:
            self._note_failure(call, error)
            raise
        finally:
            self._in_step = False
            if self._failure is None:
                self._gate = None
        self._position += 1
        # As a replay gives it: tuples are lists the first time too.
        return loads(text)

    def next_seed(self) -> int:
        if self._gate is not None:
            self._gate()
        state = self._seed_start.copy()
        state.update(b"%d|drawn" % self._position)
        return int.from_bytes(state.digest(), "big")

    def now(self, read: Callable[[], float]) -> float:
        found = self._meet(records.NOW, _NOW)
        if found is not _MISSING:
            return float(found[0])
        self._announce()
        try:
            seconds = float(read())
            self._record(records.NOW, (_NOW, seconds))
        except Exception as error:
            self._note_failure(_NOW, error)
            raise
        self._position += 1
        return seconds

    def metric(self, name: str, value: float, step: int | None, timestamp: float) -> None:
        if self._gate is not None and not self._in_step and self._failure is None:
            self._gate()
        number = self._metric
        if number >= self._recorded_metrics:
            self._append(records.METRIC, _pack_place(self._number, number) + self._encode((name, value, step, timestamp)))
        self._metric = number + 1

    # ---- for the journal -----------------------------------------------------------------------------------------

    def move(self, position: int, metric: int) -> None:
        """Go on from this place."""
        self._position, self._metric = position, metric

    def settle(self) -> None:
        """Record the error that the program caught in its last call, if there was one."""
        if self._failure is None:
            return
        call, error, metric = self._failure
        self._record(records.FAILED, (call, error, metric))
        self._position += 1
        self._failure = None
        self._gate = None

    def tell_time(self, now: float = 0.0) -> None:
        """Note how long the answers of this lane took, where that is not noted yet."""
        self._tell_at = now + TELL_EVERY_S
        if self._took_s > self._told_s:
            told = self._took_s
            # Nothing hangs on it: where the disk is full, the next answer that is no longer recorded says so.
            with suppress(StorageFailed):
                self._record(records.TOOK, (told,))
                self._told_s = told

    def end(self) -> None:
        """Refuse every later call, with the ledger's reason."""
        self._gate = self._ledger.check_usable
        self._failure = None

    # ---- before a call -------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Load what earlier attempts recorded in this lane, before its first call."""
        import hashlib

        from qloom.journal.codec import decode, decode_answer, encode  # loads msgspec

        self._ledger.check_usable()
        self._seed_start = hashlib.blake2b(f"{self._ledger.seed}|{self._name}|".encode(), digest_size=8)
        history = self._ledger.history().lanes.get(self._name)
        if history is not None:
            self._history = history
            self._calls = history.calls
            self._recorded_metrics = history.metrics
        self._encode, self._decode, self._decode_answer = encode, decode, decode_answer
        self._gate = None

    def _refuse_nested(self) -> None:
        raise Misuse(
            f"a call on lane {self._name!r} inside a step: a replay does not run steps again, so it would not meet this call. "
            "Ask the device before or after the step; inside one only metrics can be logged"
        )

    def _seed(self) -> int:
        """`derive_seed` for this position, with the part that does not change hashed once."""
        state = self._seed_start.copy()
        state.update(b"%d" % self._position)
        return int.from_bytes(state.digest(), "big")

    # ---- replay --------------------------------------------------------------------------------------------------

    def _replay(self, found: RecordedCall, question: Question) -> Result | None:
        """Return the recorded answer to this question; None where it must be asked (again)."""
        if type(found) is bytes:
            _, asked, packed = self._decode_answer(found[8:])
        elif type(found) is records.Far:
            _, asked, packed = self._decode_answer(found.body())
        elif found[0] == records.ANSWER | records.LARGE_FLAG:
            _, asked, packed = self._decode_answer(self._body(found))
        else:
            self._meet_other(found, question)
            return None
        if asked != question:
            self._diverge(asked, question)
            return None
        self._position += 1
        self.replayed += 1
        return Result.unpack(packed)

    def _meet(self, kind: int, call: Call) -> Any:
        """Return what was recorded of a step or a look at the clock, without the call itself; `_MISSING` where nothing was."""
        if self._gate is not None:
            self._gate()
        found = self._calls.get(self._position)
        if found is None:
            return _MISSING
        if _kind(found) != kind:
            self._meet_other(found, call)
            return _MISSING
        recorded, *content = self._content(found)
        if tuple(recorded) != call:
            self._diverge(recorded, call)
            return _MISSING
        self._position += 1
        return content

    def _meet_other(self, found: RecordedCall, call: Call) -> None:
        """Meet a record that holds no answer: raise the error it holds, or check that it is about the same call."""
        kind = _kind(found)
        content = self._content(found)
        recorded = content[1] if kind in (records.ANSWER, records.INTENT) else content[0]
        if tuple(recorded) != call:
            self._diverge(recorded, call)
        elif kind == records.FAILED and (error := restore(content[1])) is not None:
            self._position += 1
            self._metric = content[2]
            raise error

    def _content(self, found: RecordedCall) -> list[Any]:
        return cast("list[Any]", self._decode(self._body(found)))

    def _body(self, found: RecordedCall) -> bytes:
        if isinstance(found, records.Far):
            return found.body()
        kind, payload = (records.ANSWER, found) if isinstance(found, bytes) else found
        body = payload[records.PLACE_SIZE :]
        return read_blob(self._ledger.blobs, body) if kind & records.LARGE_FLAG else body

    def _diverge(self, recorded: Any, call: Call) -> None:
        """Stop the replay, or forget what was recorded from here on where that was asked for."""
        from qloom.journal.divergence import divergence

        ledger = self._ledger
        compiled = ledger.history().compiled | ledger.compiled
        error = divergence(recorded, call, job_id=ledger.job_id, lane=self._name, position=self._position, compiled=compiled)
        if not ledger.accept_divergence or self._history is None:
            raise error
        self._record(records.DROPPED, (self._metric,))
        ledger.problems.append(
            f"lane {self._name!r}: what was recorded from call {self._position} on was dropped: field `{error.field}` differs"
        )
        if tasks := self._history.open_tasks(self._position):
            ledger.problems.append(f"tasks {', '.join(tasks)} of the dropped calls may still run; cancel them on their device")
        self._history.drop(self._position, self._metric)
        self._calls = self._history.calls
        self._recorded_metrics = self._history.metrics

    # ---- recording -----------------------------------------------------------------------------------------------

    def _announce(self) -> None:
        """Say this lane's name in the segment; before its first call is computed, so that no append stands between the two."""
        if not self._announced:
            writer = self._ledger.writer()
            writer.append(records.LANE, self._encode((self._number, self._name)))
            self._append = writer.append
            self._announced = True
            self._tell_at = perf_counter() + TELL_EVERY_S

    def _append_first(self, kind: int, payload: bytes) -> None:
        """Add the lane's first record where that is no answer: a metric, a dropped history."""
        self._announce()
        self._append(kind, payload)

    def _record(self, kind: int, content: Call, *, durable: bool = False) -> None:
        """Append one record at the lane's position."""
        try:
            body = self._encode(content)
        except (TypeError, OverflowError) as error:
            raise NoResult(f"lane {self._name!r}, call {self._position}: this cannot be recorded: {error}") from error
        if len(body) >= LARGE:
            body = self._ledger.keep_blob(body)
            kind |= records.LARGE_FLAG
        payload = _pack_place(self._number, self._position) + body
        if durable:
            self._append_durable(kind, payload)
        else:
            self._append(kind, payload)

    def _append_durable(self, kind: int, payload: bytes) -> None:
        self._announce()
        self._ledger.writer().append_durable(kind, payload)

    def _note_failure(self, call: Call, error: Exception) -> None:
        """Remember an error; it is recorded if the program goes on."""
        self._failure = (call, describe(error), self._metric)
        self._gate = self.settle

    # ---- devices that bill ---------------------------------------------------------------------------------------

    def _buy(self, question: Question, device: Device, prepared: Prepared) -> tuple[Result, int]:
        """Return the answer of the one task there is for this question, and its seed."""
        from qloom.journal.billing import patiently

        token, seed, is_known = self._intent(question)
        try:
            handle = self._task(question, device, prepared, token=token, seed=seed, is_known=is_known)
            result = patiently(handle.result, self._ledger.retry_waits_s, f"device {device.name}")
        except Rejected:
            self._record(records.SPENT, (token,), durable=True)
            self._ledger.spent().add(token)
            raise
        return result, seed

    def _intent(self, question: Question) -> tuple[str, int, bool]:
        """Return token, seed, and whether a device may know the token already; a new intent is durable on return."""
        from qloom.journal.billing import fresh_token

        spent = self._ledger.spent()
        found = self._calls.get(self._position)
        if found is not None and _kind(found) == records.INTENT:
            seed, _, token = self._content(found)
            if token not in spent:
                return token, seed, True
        seed = self._seed() if question.seed is None else question.seed
        token = fresh_token(self._ledger.job_id, self._name, self._position, question, spent)
        self._record(records.INTENT, (seed, question, token), durable=True)
        return token, seed, False

    def _task(
        self, question: Question, device: Device, prepared: Prepared, *, token: str, seed: int, is_known: bool
    ) -> TaskHandle:
        from qloom.journal.billing import attach, submit_once

        waits_s = self._ledger.retry_waits_s
        task_id = self._history.tasks.get(token) if self._history is not None else None
        if task_id is not None:
            return attach(device, task_id, waits_s)
        handle = submit_once(device, prepared, question, seed=seed, token=token, is_known=is_known, waits_s=waits_s)
        self._record(records.SUBMITTED, (token, handle.id), durable=True)
        return handle
