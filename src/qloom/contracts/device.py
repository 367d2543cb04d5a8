"""Devices: prepare once, run many times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.results import Engine, Result
    from qloom.specs import DeviceSpec
    from qloom.tasks import Compiled, ParameterValues, TaskState


@runtime_checkable
class TaskHandle(Protocol):
    """One quantum task that was sent to a device."""

    @property
    def id(self) -> str:
        """The task's id: `Device.attach(id)` finds it again, from any process, for as long as the device keeps it."""
        ...

    def state(self) -> TaskState:
        """Return where the task stands; a state that has `ended` never changes again.

        Raises:
            Unavailable: the device did not answer.
        """
        ...

    def result(self, timeout_s: float | None = None) -> Result:
        """Wait for the answer and return it; the same answer each time.

        Raises:
            TimedOut: not ended in time; the task goes on.
            Rejected: the task failed or was cancelled on the device; it will never have a result.
            Unavailable: the device did not answer.
        """
        ...

    def cancel(self) -> None:
        """Ask the device to stop the task. After return the task ends by itself; it may still complete."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """Circuits made ready on a device, so that only numbers travel from now on.

    All methods are pure in the device's eyes: equal arguments and an equal seed give equal samples in every process with
    the same engine, version and thread count (`engine`). An engine that cannot promise that says so in its device's docs.
    """

    @property
    def digest(self) -> str:
        """Equal for equal circuits, observables and device options, on every machine."""
        ...

    @property
    def engine(self) -> Engine:
        """What will compute the answers."""
        ...

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters, in the order of an array's columns."""
        ...

    def run(self, parameters: ParameterValues = None, shots: int = 1000, *, seed: int | None = None) -> Result:
        """Sample each circuit for each parameter set.

        Args:
            parameters: as `qloom.tasks.read_parameters` takes them; all circuits share them.
            shots: for each circuit and set.
            seed: decides every sample; a fresh random one when None.

        Raises:
            InvalidTask: shots below 1, parameters missing, surplus, NaN.
        """
        ...

    def estimate(self, parameters: ParameterValues = None, shots: int | None = None, *, seed: int | None = None) -> Result:
        """Return expectation values with standard errors, shape (circuits x sets, observables).

        Args:
            parameters: as for `run`.
            shots: None for exact values, where the device has them; else shots for each measurement group.
            seed: as for `run`.

        Raises:
            InvalidTask: prepared without observables, and as for `run`.
            Unsupported: exact values asked of a device that has none.
        """
        ...

    def gradient(self, parameters: ParameterValues = None) -> Result:
        """Return values and their derivatives, shape (circuits x sets, observables, parameters).

        Raises:
            InvalidTask: as for `estimate`.
            Unsupported: the device has no gradients, or the circuit has a gate it cannot differentiate.
        """
        ...

    def submit(
        self,
        kind: str,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        seed: int | None = None,
        token: str | None = None,
    ) -> TaskHandle:
        """Send a task and return at once.

        Args:
            kind: `sample`, `estimate` or `gradient`.
            parameters, shots, seed: as for the direct calls.
            token: idempotency token: a second submit with the same token returns the first one's task and is not billed.

        After return the task exists and `handle.id` finds it. After `Rejected` nothing was submitted. After `Unavailable`
        nobody knows: `Device.find(token)` answers, and submitting again with the same token is safe.
        """
        ...


@runtime_checkable
class FromCompiler(Protocol):
    """What `Prepared` has besides where a compiler stands between the circuits and the device.

    Its `digest` depends on what the compiler made, so a replay never mixes answers of different circuits unseen; this says
    why the digest is another one.
    """

    @property
    def compiled(self) -> Compiled | None:
        """What the compiler made; None where it had nothing to do."""
        ...


@runtime_checkable
class Device(Protocol):
    """Runs quantum tasks: a simulator, a virtual QPU or a QPU. Synchronous; works inside a running event loop.

    Two durability classes, by `spec().bills`:

    - **free and seeded**: a call is computed again at will; the journal appends its answer after it.
    - **billing**: the journal makes the intent and its token durable (fdatasync) before `submit`, and after a crash asks
      `find(token)` before it submits again; no task is ever submitted twice.
    """

    @property
    def name(self) -> str:
        """The name it was asked for by."""
        ...

    def spec(self) -> DeviceSpec:
        """Return what the device can do."""
        ...

    def check(self, circuits: Circuit | Sequence[Circuit], shots: int | None = None) -> list[str]:
        """Return every reason why these circuits cannot run here; empty where they can. Submits nothing."""
        ...

    def prepare(
        self,
        circuits: Circuit | Sequence[Circuit],
        observables: Observable | Sequence[Observable] | None = None,
        *,
        engine: Engine | None = None,
    ) -> Prepared:
        """Make circuits ready to run many times.

        Args:
            circuits: one or several; with several, all have the same parameters.
            observables: what `estimate` and `gradient` ask for; on as many qubits as the circuits.
            engine: what computed earlier answers of a job that goes on. It is used again where it is there; where it is
                not, the circuits are prepared with what is there, which `Prepared.engine` tells. The digest does not
                depend on it.

        After return nothing was billed. After a raise nothing was kept.

        Raises:
            Unsupported: the device cannot run it; every reason is in the message.
            InvalidTask: no circuits, different parameters, observables on another number of qubits.
        """
        ...

    def attach(self, task_id: str) -> TaskHandle:
        """Return the handle of a task that was sent earlier, by any process.

        Raises:
            UnknownName: the device has no such task (any more).
        """
        ...

    def find(self, token: str) -> TaskHandle | None:
        """Return the task that was submitted with this idempotency token, or None where there is certainly none.

        Raises:
            Unavailable: the device did not answer, so nobody knows.
        """
        ...
