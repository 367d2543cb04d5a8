"""Noise channels given by their operators, in the text of Amazon Braket's pragma.

`#pragma braket noise kraus([[0.6, 0], [0, 0.6]], [[0, 0.8im], [0.8im, 0]]) q[0]`
(https://docs.aws.amazon.com/braket/latest/developerguide/braket-openqasm-noise-simulation.html).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENTRY = re.compile(r"[^\[\],\s][^\[\],]*")
_LETTERS = re.compile(r"[\d.eE+j-]+")


def write_kraus(parameters: Sequence[float], num_qubits: int) -> str:
    """Return the operators of a `kraus` instruction as what stands between the pragma's parentheses.

    Args:
        parameters: as `qloom.circuits.gates.kraus_operators` takes them.
        num_qubits: how many qubits the channel acts on.

    >>> write_kraus([0, 0, 0, -1, 0.5, 2, 0, 0], 1)
    '[[0.0, -1.0im], [0.5 + 2.0im, 0.0]]'
    """
    size = 1 << num_qubits
    entries = [_entry(float(real), float(imag)) for real, imag in zip(parameters[::2], parameters[1::2], strict=True)]
    rows = [f"[{', '.join(entries[start : start + size])}]" for start in range(0, len(entries), size)]
    return ", ".join(f"[{', '.join(rows[start : start + size])}]" for start in range(0, len(rows), size))


def read_kraus(text: str) -> tuple[float, ...] | None:
    """Return operators in a pragma as parameters; None where the text is no list of square matrices of one size, 2 or 4.

    >>> read_kraus("[[0, -1im], [0.5 + 2im, 0]]")
    (0.0, 0.0, 0.0, -1.0, 0.5, 2.0, 0.0, 0.0)
    >>> read_kraus("[[0, 1], [1]]")
    """
    import numpy as np

    try:
        parts = np.array(json.loads(f"[{_ENTRY.sub(_pair, text)}]"), dtype=np.float64)
    except ValueError:  # no JSON, no number, or rows of different lengths
        return None
    if parts.ndim != 4 or parts.shape[1:] not in ((2, 2, 2), (4, 4, 2)):
        return None
    return tuple(parts.ravel().tolist())


def _entry(real: float, imag: float) -> str:
    if not imag:
        return repr(real)
    return f"{real!r} {'-' if imag < 0 else '+'} {abs(imag)!r}im" if real else f"{imag!r}im"


def _pair(found: re.Match[str]) -> str:
    """Return one entry, such as `0.5 - 2im`, as JSON."""
    text = "".join(found[0].split()).replace("im", "j").replace("+-", "-").replace("--", "+")
    if not _LETTERS.fullmatch(text):
        raise ValueError(text)
    value = complex(text)
    return f"[{value.real!r}, {value.imag!r}]"
