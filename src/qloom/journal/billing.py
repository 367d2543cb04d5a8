"""Tasks on devices that bill: one idempotency token for each, and a device is asked before it is told twice."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from qloom.errors import Unavailable, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from qloom.contracts import Device, Prepared, TaskHandle
    from qloom.tasks import Question

T = TypeVar("T")

RETRY_WAITS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits between tries while a device does not answer: 7 tries within 19 s."""


def fresh_token(job_id: str, lane: str, ordinal: int, question: Question, spent: Collection[str]) -> str:
    """Return the token of a task: equal for the same question at the same place of the same job, in every attempt.

    A spent token belongs to a task that failed on the device; the next try gets another one.

    >>> from qloom.tasks import Question
    >>> question = Question("sample", "digest", b"", 1, 100, None)
    >>> first = fresh_token("job", "main", 0, question, ())
    >>> first == fresh_token("job", "main", 0, question, ()), first == fresh_token("job", "main", 0, question, {first})
    (True, False)
    """
    import hashlib

    text = f"{job_id}|{lane}|{ordinal}|".encode() + question.digest()
    tokens = (hashlib.blake2b(text + (b"|%d" % n if n else b""), digest_size=16).hexdigest() for n in count())
    return next(token for token in tokens if token not in spent)


def patiently(ask: Callable[[], T], waits_s: tuple[float, ...], what: str) -> T:
    """Return what `ask` returns, asking again while the device does not answer.

    Raises:
        Unavailable: it did not answer any try.
    """
    for wait_s in waits_s:
        try:
            return ask()
        except Unavailable:
            time.sleep(wait_s)
    try:
        return ask()
    except Unavailable as error:
        raise Unavailable(
            f"{what} did not answer {len(waits_s) + 1} tries within {sum(waits_s):g} s ({error}); the intent is recorded: "
            "resuming the job asks the device for the task before sending it again"
        ) from error


def submit_once(
    device: Device, prepared: Prepared, question: Question, *, seed: int, token: str, is_known: bool, waits_s: tuple[float, ...]
) -> TaskHandle:
    """Return the task with this token; it is submitted only where the device certainly has none.

    Args:
        is_known: the device may have heard of the token, so it is asked first.

    Raises:
        Rejected: the device refused; nothing was submitted.
        Unavailable: nobody knows.
    """
    import numpy as np

    values = np.frombuffer(question.parameters, dtype="<f8").reshape(question.sets, -1)
    heard = is_known

    def ask() -> TaskHandle:
        nonlocal heard
        if heard and (found := device.find(token)) is not None:
            return found
        heard = True
        return prepared.submit(question.kind, values, question.shots, seed=seed, token=token)

    return patiently(ask, waits_s, f"device {device.name}")


def attach(device: Device, task_id: str, waits_s: tuple[float, ...]) -> TaskHandle:
    """Return a task that was submitted in an earlier attempt.

    Raises:
        UnknownName: the device does not have it any more. It is not sent again: it may have been billed.
        Unavailable: the device did not answer.
    """
    try:
        return patiently(lambda: device.attach(task_id), waits_s, f"device {device.name}")
    except UnknownName as error:
        raise UnknownName(
            f"device {device.name} no longer knows task {task_id}, which this job submitted and which may have been billed; "
            "it is not sent again by itself. `qloom job resume ID --from-scratch` sends it, and may be billed a second time"
        ) from error
