"""`Task`: what a prepared task can do, whether it goes to the device as it is, through a pipeline, or to a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.results import Engine, Result
    from qloom.tasks import ParameterValues

    StageOptions = Mapping[str, Mapping[str, Any]] | None


class Task(Protocol):
    """Circuits made ready on a device: what `QuantumDevice.prepare` returns. `PreparedTask` says what each method does."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters, in the order of an array's columns."""
        ...

    @property
    def engine(self) -> Engine:
        """What computes the answers."""
        ...

    @property
    def digest(self) -> str:
        """Equal for equal circuits, observables and device options, on every machine."""
        ...

    def run(
        self,
        parameters: ParameterValues = None,
        shots: int = 1000,
        *,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Sample each circuit for each parameter set."""
        ...

    def estimate(
        self,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        precision: float | None = None,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return expectation values with standard errors, shape (circuits x sets, observables)."""
        ...

    def gradient(
        self,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return values and their derivatives, shape (circuits x sets, observables, parameters)."""
        ...
