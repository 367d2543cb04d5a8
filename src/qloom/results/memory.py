"""How much memory a form of a result takes, and how much there is: what does not fit is refused before it is made."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.errors import InvalidTask, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AVAILABLE_PART = 0.8
"""The part of available memory that one form of a result may take."""
FREE_BYTES = 1 << 24
"""What is below 16 MiB is made without looking at the machine's memory."""

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
CGROUP_USES = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")

ADVICE = {
    "samples": "ask for fewer shots, or for fewer measured qubits",
    "packed_bits": "counts takes memory for the keys that were seen, not for the shots",
    "bits": "packed_bits takes an eighth of it, counts memory for the keys that were seen only",
    "counts": "packed_bits holds the shots themselves; take a part of its rows at a time",
    "measurements": "save() writes a file of an eighth of it",
}


def needed_bytes(form: str, rows: int, bits: int) -> int:
    """Return the bytes that a form of one item takes at its largest, buffers counted.

    Args:
        form: `samples` (the table of a wide result in shot order), `packed_bits`, `bits`, `counts`, or
            `measurements` (a text for each row, in a JSON document).
        rows: shots; for `counts` the distinct keys.
        bits: classical bits.

    Raises:
        UnknownName: no such form.

    >>> needed_bytes("samples", 1000, 500), needed_bytes("bits", 1000, 500)
    (71000, 587000)
    """
    packed = -(-bits // 8)
    each = {
        "samples": packed + 8,
        "packed_bits": packed + 24,  # the keys one by one, shifted, and in the order of a row's bytes
        "bits": bits + packed + 24,
        "measurements": bits + packed + 300,
        "counts": bits + packed + 300,  # two Python objects for each key, and their places in dicts (measured, rounded up)
    }
    if form not in each:
        raise UnknownName.among("form of a result", form, each)
    return rows * each[form]


def memory_limit() -> int:
    """Return 80 % of the memory that is available to this process now, in bytes: the machine's, or its cgroup's if less.

    >>> memory_limit() > 0
    True
    """
    return int(AVAILABLE_PART * min(_available()))


def require_memory(form: str, rows: int, bits: int) -> None:
    """Refuse a form that does not fit into memory, before anything is allocated.

    Raises:
        InvalidTask: it needs more bytes than the limit; both are named.

    >>> require_memory("bits", 1000, 500)
    >>> require_memory("bits", 2**50, 2)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    qloom.errors.InvalidTask: bits of 1125899906842624 shots x 2 classical bits need 30399297484750848 bytes, the limit is ...
    """
    need = needed_bytes(form, rows, bits)
    if need > FREE_BYTES and need > (limit := memory_limit()):
        allowed = f"the limit is {limit} (80 % of the memory available now)"
        raise InvalidTask(f"{_what(form, rows, bits)} need {need} bytes, {allowed}; {ADVICE[form]}")


@contextmanager
def memory_for(form: str, rows: int, bits: int) -> Iterator[None]:
    """Make a form of a result inside: what does not fit is refused before, and where the system gives less, after.

    Raises:
        InvalidTask: it does not fit.
    """
    require_memory(form, rows, bits)
    try:
        yield
    except MemoryError as error:
        need = needed_bytes(form, rows, bits)
        raise InvalidTask(
            f"{_what(form, rows, bits)} need {need} bytes, which the system did not give; {ADVICE[form]}"
        ) from error


def _what(form: str, rows: int, bits: int) -> str:
    return f"{form} of {rows} {'distinct keys' if form == 'counts' else 'shots'} x {bits} classical bits"


def _available() -> Iterable[int]:
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            yield 1024 * int(line.split()[1])
    for limit, use in zip(CGROUP_LIMITS, CGROUP_USES, strict=True):
        allowed, used = _text(limit).strip(), _text(use).strip()
        if allowed.isdigit() and used.isdigit():
            yield max(0, int(allowed) - int(used))
    yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
