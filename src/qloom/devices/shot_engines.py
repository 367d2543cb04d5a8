"""What `sim` needs of a library that draws its own samples: noise, feed-forward, stabilizers, tensor networks.

A state-vector engine (`engines.py`) gives probabilities, and our sampler draws from them. Where there is no single state at the
end, the library draws; equal seeds then give equal samples for one release of it, which `Prepared.engine` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.devices.compiled import AngleTable
    from qloom.noise import NoiseModel
    from qloom.results import Engine, IntArray, KeyArray

    Readout = Callable[[int], tuple[float, float] | None]

METHODS = ("statevector", "density_matrix", "mps", "stabilizer", "trajectories")


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
