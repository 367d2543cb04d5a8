"""Adapter of lightning's form for NVIDIA's GPUs: the same bindings, with the states in the GPU's memory.

Its classes have the names and the arguments of those on the CPU (compared in 0.45), so circuits, sums and gradients are those of
`lightning_engine`. Probabilities come back to the host, where our own sampler draws. It is used where it is asked for by name.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from qloom.devices.lightning_engine import CHECKED_RELEASES, Lightning
from qloom.errors import MissingExtra, Unsupported
from qloom.results import Engine

if TYPE_CHECKING:
    from qloom.circuits.gates import ComplexArray

PACKAGE = "pennylane-lightning-gpu"


class LightningGpu(Lightning):
    """The library behind `sim` with `engine=lightning_gpu`.

    Raises:
        MissingExtra: its package is not installed, or in a release that was not checked; or there is no GPU that it can use.
    """

    name = "lightning_gpu"
    reason = "asked for"

    def __init__(self) -> None:
        try:
            from pennylane_lightning import lightning_gpu_ops
            from pennylane_lightning.core import __version__ as version
        except ImportError as error:
            raise MissingExtra(f"lightning_gpu is not installed ({error}); `pip install {PACKAGE}`") from error
        if not version.startswith(tuple(f"{release}." for release in CHECKED_RELEASES)):
            wanted = ", ".join(CHECKED_RELEASES)
            raise MissingExtra(
                f"lightning_gpu {version} is installed, its bindings were compared in {wanted} only; "
                f"`pip install '{PACKAGE}=={CHECKED_RELEASES[-1]}.*'`"
            )
        _require_gpu(lightning_gpu_ops)
        self.version = str(version)
        self.ops: Any = _with_states(lightning_gpu_ops)
        self._openmp = None  # threads serve sums on the CPU
        self._pool: dict[int, list[tuple[Any, Any]]] = {}

    def engine(self, num_qubits: int, threads: int | None) -> Engine:
        """Return what computes a circuit: the GPU, and one thread that talks to it."""
        return Engine(self.name, self.version, 1, self.reason)

    def take_state(self, num_qubits: int) -> tuple[Any, Any]:
        """Return a state |0...0> with its measurements; no other thread has it until it is given back.

        Raises:
            Unsupported: the GPU has no room for it; its own words are told.
        """
        try:
            pair = super().take_state(num_qubits)
            pair[0].resetStateVector()
        except RuntimeError as error:
            raise Unsupported(f"lightning_gpu cannot hold a state of {num_qubits} qubits: {error}; use fewer qubits") from error
        return pair


def _require_gpu(ops: Any) -> None:
    """Refuse a machine without a GPU that the library can use.

    Raises:
        MissingExtra: there is none, or none that is new enough.
    """
    way = "run it where there is one, or take engine=lightning"
    try:
        count = int(ops.DevPool.getTotalDevices())
    except RuntimeError as error:
        told = str(error).rpartition("Error in PennyLane Lightning: ")[2]
        raise MissingExtra(f"lightning_gpu has no GPU here ({told}); {way}") from error
    if not count:
        raise MissingExtra(f"lightning_gpu has no GPU here; {way}")
    if not ops.is_gpu_supported():
        major, minor = ops.get_gpu_arch()
        raise MissingExtra(f"lightning_gpu cannot use the GPU here, of compute capability {major}.{minor}; {way}")


def _with_states(ops: Any) -> SimpleNamespace:
    """Return the library's classes, with states that are copied to the host by the call that is meant for it."""

    class State(ops.StateVectorC128):
        def getState(self, amplitudes: ComplexArray) -> None:  # noqa: N802  the library's name
            self.DeviceToHost(amplitudes, False)

    return SimpleNamespace(
        StateVectorC128=State,
        MeasurementsC128=ops.MeasurementsC128,
        observables=ops.observables,
        algorithms=ops.algorithms,
    )
