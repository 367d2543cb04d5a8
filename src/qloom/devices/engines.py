"""What `sim` needs of the library inside it, and how much memory that takes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from qloom.results.memory import FREE_BYTES, memory_limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.devices.compiled import AngleTable
    from qloom.results import Engine
    from qloom.tasks import FloatArray

SINGLE_THREAD_QUBITS = 16
"""Up to so many qubits one thread is as fast as several, and what it computes is the same to the last bit."""

AMPLITUDE_BYTES = 16
PROBABILITY_BYTES = 8
DIAGONAL_BYTES = 1 << 26
"""The most memory for an observable's diagonals, kept between calls; what does not fit is summed term by term."""


class EngineCircuit(Protocol):
    """One circuit and its observables, made ready in an engine. Safe to use from several threads at once.

    Basis states and probabilities have qubit 0 most significant.
    """

    table: AngleTable
    """From parameters to the angles that the methods below take."""

    def probabilities(self, angles: list[float]) -> FloatArray:
        """Return the probability of each basis state, shape (2**n,)."""
        ...

    def probabilities_in(self, angles: list[float], bases: Sequence[str]) -> Iterator[FloatArray]:
        """Yield, for each basis, the probabilities after turning each qubit so that its letter's eigenstates are 0 and 1.

        Args:
            angles: as the table gives them.
            bases: one letter for each qubit, I where a qubit is not turned.
        """
        ...

    def expectations(self, angles: list[float]) -> list[float]:
        """Return the exact expectation value of each observable."""
        ...

    def gradients(self, parameters: FloatArray) -> tuple[list[float], FloatArray]:
        """Return the values, and their derivatives of shape (observables, parameters), for one parameter set."""
        ...


class EngineLibrary(Protocol):
    """A library that simulates state vectors.

    Attributes:
        name, version: what it is.
        reason: why it stands in for another; empty where it does not. `sim` says why it picked one.
    """

    name: str
    version: str
    reason: str

    def engine(self, num_qubits: int, threads: int | None) -> Engine:
        """Return what would compute a circuit of that size with these threads (None: as many as suit the size).

        Raises:
            InvalidSetting: the library cannot change to that number of threads any more.
        """
        ...

    def compile(self, circuit: Circuit, observables: Sequence[Observable], engine: Engine) -> EngineCircuit:
        """Make a circuit ready; it was checked, so nothing is refused here."""
        ...

    def compile_alike(
        self, circuits: Sequence[Circuit], observables: Sequence[Observable], engine: Engine
    ) -> Sequence[EngineCircuit]:
        """Make circuits of one structure ready, in their order: they differ in the numbers of their angles only (`alike`)."""
        ...


def suitable_threads(num_qubits: int, threads: int | None) -> int:
    """Return the threads asked for, or 1 up to 16 qubits and every core this process may use above.

    >>> suitable_threads(4, None), suitable_threads(20, 2)
    (1, 2)
    """
    if threads is not None:
        return threads
    return 1 if num_qubits <= SINGLE_THREAD_QUBITS else usable_cores()


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def state_bytes(num_qubits: int) -> int:
    """Return the bytes of one state vector.

    >>> state_bytes(40)
    17592186044416
    """
    return AMPLITUDE_BYTES << num_qubits


def needed_bytes(kind: str, num_qubits: int, *, observables: int = 1, threads: int = 1) -> int:
    """Return the bytes that one call needs at its largest, buffers counted.

    Beside its state and its probabilities, a `sample` needs little and an `estimate` a copy to work on; a `gradient` holds a
    state for each observable, and three for each thread (measured, rounded up).

    >>> needed_bytes("sample", 20), needed_bytes("estimate", 20)
    (25165824, 109051904)
    """
    states = {"sample": 1, "estimate": 2, "gradient": 4 + observables + 3 * threads}[kind]
    kept = observables * DIAGONAL_BYTES if kind != "sample" and num_qubits > SINGLE_THREAD_QUBITS else 0
    return ((states * AMPLITUDE_BYTES + PROBABILITY_BYTES) << num_qubits) + kept


class OverLimit(NamedTuple):
    """A limit of memory that something does not keep; its text is for messages.

    Attributes:
        limit: bytes.
        origin: where it is from.
    """

    limit: int
    origin: str

    def __str__(self) -> str:
        return f"the limit is {self.limit} bytes ({self.origin})"


def over_limit(need: int, limit: int | None) -> OverLimit | None:
    """Return the limit that so many bytes are over, or None where they fit.

    Args:
        need: bytes in all. What is below 16 MiB does not look at the machine's memory, unless a limit was given.
        limit: in bytes; None for 80 % of what is available now.

    >>> print(over_limit(2000, 1000))
    the limit is 1000 bytes (memory_limit_bytes)
    """
    if limit is None and need < FREE_BYTES:
        return None
    allowed = memory_limit() if limit is None else limit
    if need <= allowed:
        return None
    return OverLimit(allowed, "80 % of the memory available now" if limit is None else "memory_limit_bytes")


def memory_reason(what: str, num_qubits: int, need: int, limit: int | None) -> str | None:
    """Return why a state vector does not fit into memory, or None where it does.

    Args:
        what: the call, as `a sample`.
        num_qubits: of the circuit.
        need: bytes in all.
        limit: in bytes; None for 80 % of what is available now.

    >>> memory_reason("a sample", 40, needed_bytes("sample", 40), 1 << 30)[:84]
    '40 qubits need 17592186044416 bytes for the state (26388279066624 in all for a sampl'
    """
    over = over_limit(need, limit)
    if over is None:
        return None
    state = spelled(state_bytes(num_qubits))
    return f"{num_qubits} qubits need {state} bytes for the state ({spelled(need)} in all for {what}), {over}; use fewer qubits"


def spelled(number: int) -> str:
    """Return a number in full while people can read it.

    >>> spelled(1024), spelled(1 << 200)
    ('1024', 'more than 2**200')
    """
    return str(number) if number < 1 << 100 else f"more than 2**{number.bit_length() - 1}"


def most_qubits(limit: int | None) -> int:
    """Return the most qubits whose samples fit into the limit (bytes).

    >>> most_qubits(24 << 10)
    10
    """
    allowed = memory_limit() if limit is None else limit
    return max(0, (allowed // needed_bytes("sample", 0)).bit_length() - 1)
