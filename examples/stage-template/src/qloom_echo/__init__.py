"""The stage `echo`: values divided by what noise leaves of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from qloom.circuits import Observable
from qloom.circuits.algebra import inverse
from qloom.contracts import Answer, Expansion, Stage, StageContext, StageCost
from qloom.contracts.stage import VALUES
from qloom.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qloom.circuits import Circuit


class EchoOptions(BaseModel):
    """Options of the stage `echo`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least: float = Field(0.05, gt=0, lt=1, description="The smallest echo, 1 without noise, that is not refused.")


class Echo(Stage):
    """Divides values by what noise leaves of them, which the circuit run forth and back tells.

    Forth and back is the identity, so without noise every qubit ends in 0 and the product of all Z, the echo, is 1. Noise that
    replaces the state by white noise leaves a part p of all values but the identity's, and p squared of the echo, which is twice
    as long. Noise of another kind is undone in part. The error that stands beside a value is that of both, to first order.

    Source of the thought, with another circuit of known value: M. Urbanek et al., arXiv:2103.08591.

    Notes: `echo` and `left`, its square root, for each parameter set.
    """

    name: ClassVar[str] = "echo"
    options_type: ClassVar[type[Any]] = EchoOptions
    gives_counts: ClassVar[bool] = False

    def expand(self, circuit: Circuit, options: EchoOptions, context: StageContext) -> Expansion:
        """Return the circuit, and the circuit forth and back."""
        if context.wanted != VALUES:
            raise Unsupported("stage echo divides expectation values, and counts are asked for; ask with estimate()")
        # A barrier between them: nobody shall see that they cancel.
        both = circuit.barrier().extend(inverse(step) for step in reversed(circuit.instructions))
        echo = Observable({"Z" * circuit.num_qubits: 1.0})
        same = [one.terms.get("I" * circuit.num_qubits, 0.0) for one in context.observables]
        return Expansion((circuit, both), {"same": same}, takes=VALUES, observables=(*context.observables, echo))

    def combine(
        self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: EchoOptions, context: StageContext
    ) -> Answer:
        """Return the values, divided."""
        values, errors = (np.asarray(part)[:, :-1] for part in answers[0][:2])
        echo, echo_error = (np.asarray(part)[:, -1:] for part in answers[1][:2])
        if not np.isfinite(values).all():
            raise Unsupported("stage echo: a value is no finite number; look at the stages and the device below")
        if not (echo >= options.least).all():  # also where it is NaN
            raise Unsupported(
                f"stage echo, option least: the echo is {echo.min():.3g}, and {options.least:g} is the smallest allowed"
            )
        left, same = np.sqrt(echo), np.array(recipe["same"])
        divided = (values - same) / left
        context.notes.update(echo=echo[:, 0], left=left[:, 0])
        return Answer(divided + same, np.hypot(errors / left, divided * echo_error / (2 * echo)))

    def cost(self, options: EchoOptions) -> StageCost:
        """Return two circuits; the shots are those of weak noise."""
        return StageCost(circuits=2, shots=2)
