"""What `sim` needs of a library that draws its own samples: noise, feed-forward, stabilizers, tensor networks.

A state-vector engine (`engines.py`) gives probabilities, and our sampler draws from them. Where there is no single state at the
end, the library draws; equal seeds then give equal samples for one release of it, which `Prepared.engine` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from qloom.results.memory import memory_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.devices.compiled import AngleTable
    from qloom.noise import NoiseModel
    from qloom.results import Engine, IntArray, KeyArray

    Readout = Callable[[int], tuple[float, float] | None]

METHODS = ("statevector", "density_matrix", "mps", "stabilizer", "trajectories")


MAX_BOND = 1024
"""The most states that an MPS keeps at each cut, where nobody said how many."""
WITHOUT_STATE = frozenset({"mps", "stabilizer"})
"""Methods that never hold a number for each basis state."""
LARGEST_QUBITS = 1 << 20
"""No method states more, whatever the memory: nobody ran such a circuit."""


def method_bytes(method: str, num_qubits: int, max_bond: int | None = None) -> int:
    """Return the bytes that a method's state takes, probabilities not counted.

    Args:
        method: one of `METHODS`.
        num_qubits: of the circuit.
        max_bond: of an MPS; None for 1024.

    >>> [method_bytes(method, 10) for method in METHODS]
    [16384, 16777216, 327680, 100, 16384]
    """
    if method == "density_matrix":
        return 16 << (2 * num_qubits)
    if method == "mps":
        bond = min(max_bond or MAX_BOND, 1 << (num_qubits // 2))
        return 32 * num_qubits * bond * bond
    return num_qubits * num_qubits if method == "stabilizer" else 16 << num_qubits


def sample_bytes(method: str, num_qubits: int, max_bond: int | None = None) -> int:
    """Return the bytes that samples by a method take at least, with the probabilities that it holds.

    >>> sample_bytes("statevector", 10), sample_bytes("stabilizer", 10)
    (24576, 100)
    """
    return method_bytes(method, num_qubits, max_bond) + (0 if method in WITHOUT_STATE else 8 << num_qubits)


def most_qubits_of(method: str, settings: Settings) -> int:
    """Return the most qubits whose samples by a method fit into the memory, up to 2**20.

    >>> most_qubits_of("density_matrix", Settings(memory_limit_bytes=1 << 30))
    12
    """
    allowed = memory_limit() if settings.memory_limit_bytes is None else settings.memory_limit_bytes
    fits = 0
    step = LARGEST_QUBITS
    while step:
        more = min(fits + step, LARGEST_QUBITS)
        if _fits(method, more, settings.max_bond, allowed):
            fits = more
        step //= 2
    return fits


def _fits(method: str, num_qubits: int, max_bond: int | None, allowed: int) -> bool:
    if method not in WITHOUT_STATE and num_qubits > allowed.bit_length():  # without numbers of a million digits
        return False
    return sample_bytes(method, num_qubits, max_bond) <= allowed


def perfect(_qubit: int) -> None:
    """A readout without errors."""
    return


class Settings(NamedTuple):
    """How a circuit is to be simulated.

    Attributes:
        method: one of `METHODS`; None for what suits the circuit.
        noise: what happens beside the circuit; None for an ideal machine.
        max_bond: the most states that an MPS keeps at each cut; None for 1024.
        memory_limit_bytes: for one call; None for 80 % of what is available.
    """

    method: str | None = None
    noise: NoiseModel | None = None
    max_bond: int | None = None
    memory_limit_bytes: int | None = None

    def noisy(self, circuit: Circuit) -> Circuit:
        """Return a circuit with its noise in it, as channels.

        Raises:
            Unsupported: the noise model has nothing for one of its gates.
        """
        return circuit if self.noise is None else self.noise.apply(circuit)

    @property
    def readout(self) -> Readout:
        """Qubit -> (p(1|0), p(0|1)), or None where it is read without errors."""
        return perfect if self.noise is None else self.noise.readout


class ShotCircuit(Protocol):
    """One circuit and its observables, made ready in an engine. Safe to use from several threads at once.

    Attributes:
        table: from parameters to the angles that the methods below take.
        notes: facts for the result's metadata, such as the bonds that an MPS cut; asked for after a call.
    """

    table: AngleTable

    @property
    def notes(self) -> dict[str, object]:
        """Facts about the last call, JSON."""
        ...

    def sample(self, angles: list[float], shots: int, seed: int) -> tuple[KeyArray, IntArray]:
        """Draw shots.

        Args:
            angles: as the table gives them.
            shots: how many, from 1 up.
            seed: 64 bits; equal seeds give equal samples.

        Returns:
            Keys and counts as `SampleTable` holds them: up to 64 classical bits distinct ascending uint64, above rows of
            packed bits, one for each shot.
        """
        ...

    def sample_in(self, angles: list[float], basis: str, shots: int, seed: int) -> tuple[KeyArray, IntArray]:
        """Draw shots of all qubits at the end of the circuit, each turned so that its letter's eigenstates are 0 and 1.

        Args:
            angles, shots, seed: as for `sample`.
            basis: one letter for each qubit, I where a qubit is not turned.

        Returns:
            As `sample`; position i of a key is qubit i. Readout errors of the noise model are in it.
        """
        ...

    def expectations(self, angles: list[float]) -> list[float]:
        """Return the exact expectation value of each observable at the end of the circuit; without readout errors.

        Raises:
            Unsupported: this engine has none for this circuit; ask with shots.
        """
        ...


@runtime_checkable
class ManySets(Protocol):
    """What a `ShotCircuit` may have besides: many parameter sets in one call, where that is faster.

    >>> from qloom.circuits import Circuit
    >>> from qloom.devices.aer_engine import Aer
    >>> isinstance(Aer().compile(Circuit(1).h(0), [], Settings(), None)[1], ManySets)
    True
    """

    def sample_sets(self, sets: Sequence[list[float]], shots: int, seeds: Sequence[int]) -> list[tuple[KeyArray, IntArray]]:
        """Return what `sample` gives for each set with its seed."""
        ...

    def expectation_sets(self, sets: Sequence[list[float]]) -> list[list[float]]:
        """Return what `expectations` gives for each set."""
        ...


class ShotLibrary(Protocol):
    """A library that draws its own samples.

    Attributes:
        name, version: what it is.
    """

    name: str
    version: str

    def reasons(self, circuit: Circuit, kind: str, settings: Settings) -> list[str]:
        """Return every reason why it cannot run this circuit so; empty where it can.

        Args:
            circuit: checked as a circuit.
            kind: `sample`, or `estimate` for exact values.
            settings: how.
        """
        ...

    def compile(
        self, circuit: Circuit, observables: Sequence[Observable], settings: Settings, threads: int | None
    ) -> tuple[Engine, ShotCircuit]:
        """Make a circuit ready that `reasons` has nothing against, and return what will compute it."""
        ...
