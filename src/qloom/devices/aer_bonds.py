"""What a matrix product state left out: the bonds of Aer's runs, and the weight that was cut.

The log that `mps_log_data` asks for is the only place where Aer 0.18 says what it cut: a state that is saved
(`save_matrix_product_state`) has the bonds of the end only, and its weights sum to 1 again after each cut; the result's own words
hold the limits that were asked for. Aer writes the bonds after each gate into that log, which it never empties, one for the whole
process, and hands over with each result. So it is asked for only where a bond may reach the limit at all, and not any more once
it is long.
"""

from __future__ import annotations

import re
import threading

LOG_CHARACTERS = 1 << 22
"""So long may the log of a process grow: beside that, a result's copy of it costs milliseconds."""

_BONDS = re.compile(r"BD=\[([\d ]*)\]")
_DISCARDED = re.compile(r"discarded_value=([-+\d.e]+)")


class Bonds:
    """The bonds of one circuit, for its results' notes.

    Args:
        num_qubits: of the circuit.
        max_bond: the most states that are kept at a cut.
    """

    lock = threading.Lock()
    read = 0
    """Characters of the log that were read, in this process."""

    def __init__(self, num_qubits: int, max_bond: int) -> None:
        self._max_bond = max_bond
        self._highest = 1 << (num_qubits // 2)
        self._largest: int | None = None
        self._discarded = 0.0

    @property
    def wanted(self) -> bool:
        """True where the next run should write a log."""
        return self._highest > self._max_bond and Bonds.read < LOG_CHARACTERS

    def note(self, log: str) -> None:
        """Read what was added to the log by the last run; under the lock that was held during it."""
        added = log[Bonds.read :] if len(log) > Bonds.read else log
        Bonds.read = max(Bonds.read, len(log) - 1)  # without the brace that closes it
        found = [max(map(int, bonds.split())) for bonds in _BONDS.findall(added) if bonds.strip()]
        self._largest = max(found, default=1)
        self._discarded = sum(map(float, _DISCARDED.findall(added)))

    def notes(self) -> dict[str, object]:
        """Return the limit, the largest bond, and the weight cut off: of the last run that was looked at.

        `discarded_weight` is the sum, over all cuts of the run, of the probabilities that were left out: about what the
        state's fidelity lost. It is 0 where the limit cannot be reached, since n qubits have bonds up to 2**(n // 2).

        >>> Bonds(8, 16).notes()
        {'max_bond': 16, 'largest_bond_at_most': 16, 'discarded_weight': 0.0}
        """
        if self._highest <= self._max_bond:
            return {"max_bond": self._max_bond, "largest_bond_at_most": self._highest, "discarded_weight": 0.0}
        if self._largest is None:
            return {"max_bond": self._max_bond, "bonds": "not looked at: Aer's log of this process is full"}
        return {"max_bond": self._max_bond, "largest_bond": self._largest, "discarded_weight": self._discarded}
