"""What a program's calls go through so that a killed job can be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qloom.contracts.device import Device, Prepared
    from qloom.results import Engine, Result
    from qloom.tasks import Compiled, Question


@runtime_checkable
class Lane(Protocol):
    """One ordered sequence of questions: the main thread's, or a named one of a thread or an asyncio task.

    A record is complete in the journal before the program sees its answer. In a replay the answers come from the journal,
    in order; a question that differs from the recorded one raises `Divergence` with the first field that differs.
    """

    @property
    def name(self) -> str:
        """`main`, or the name given to `ctx.lane`."""
        ...

    def ask(self, question: Question, compute: Callable[[int], Result]) -> Result:
        """Answer a question to a free device: from the journal, else by `compute(seed)`.

        The seed is the question's own, or comes from (job seed, lane, ordinal).
        """
        ...

    def ask_billed(self, question: Question, device: Device, prepared: Prepared) -> Result:
        """Answer a question to a device that bills: the intent is durable before the device hears of it."""
        ...

    def step(self, name: str, arguments: bytes, compute: Callable[[], Any]) -> Any:
        """Return a classical step's result, recorded once; JSON values and arrays only."""
        ...

    def next_seed(self) -> int:
        """Return a seed (64 bits) from (job seed, lane, ordinal of the next call), for what is drawn before that call is made.

        It counts no call, and is not the seed that the call itself gets.
        """
        ...

    def now(self, read: Callable[[], float]) -> float:
        """Return the time, recorded once."""
        ...

    def metric(self, name: str, value: float, step: int | None, timestamp: float) -> None:
        """Record a metric once; in a replay the recorded one stands."""
        ...


@runtime_checkable
class PlacedLane(Lane, Protocol):
    """The lane of a job: its calls stand at places that are the same in every attempt."""

    @property
    def place(self) -> tuple[int, int]:
        """Ordinal of the next call, or of the one that is being computed; and number of the next metric."""
        ...


@runtime_checkable
class Recorder(Protocol):
    """Hands out lanes and keeps checkpoints."""

    @property
    def executed(self) -> int:
        """Quantum tasks computed in this attempt."""
        ...

    @property
    def replayed(self) -> int:
        """Quantum tasks answered from what earlier attempts recorded."""
        ...

    @property
    def problems(self) -> list[str]:
        """What was found on the way and is worth saying, as sentences."""
        ...

    def lane(self, name: str) -> Lane:
        """Return the lane of that name, at the ordinal it has reached."""
        ...

    def save_checkpoint(self, data: dict[str, Any]) -> None:
        """Record data together with the position of every lane. Durable (fdatasync) on return."""
        ...

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the latest checkpoint of earlier attempts and move every lane behind it; None where there is none."""
        ...

    def engine_used(self, prepared: str, engine: Engine) -> Engine | None:
        """Record the engine that a prepared structure got; return the recorded one where it differs, else None."""
        ...

    def compiled_as(self, prepared: str, compiled: Compiled) -> Compiled | None:
        """Record what a compiler made of circuits; return what is recorded of the same circuits where that differs, else None.

        Args:
            prepared: digest of the prepared structure.
            compiled: what the compiler made.
        """
        ...

    def note_stages(self, notes: Sequence[Mapping[str, Any]]) -> None:
        """Record what the stages of a pipeline did for a late answer, for people; a replay does not need it.

        Args:
            notes: for each place from the device outward its `name` and its notes: JSON values and arrays.
        """
        ...

    def close(self) -> None:
        """Close the files. Idempotent."""
        ...
