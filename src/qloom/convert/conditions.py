"""What an `if` may ask of classical bits: whether some of them, read as one number, equal a value, or whether they do not.

All readers build their conditions here, so that the same question becomes the same instruction wherever it comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qloom.circuits.circuit import conditional, out_of_range
from qloom.errors import InvalidCircuit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qloom.circuits import Instruction


class Condition(NamedTuple):
    """One equality, or the opposite of one.

    Attributes:
        clbits: the bits that are looked at, the least significant first.
        value: what they are compared with, read as one number.
        negated: True where they are to differ from it; never for a single bit, which then equals the other value.
    """

    clbits: tuple[int, ...]
    value: int
    negated: bool = False

    def opposite(self) -> Condition:
        """Return the condition that holds where this one does not.

        >>> Condition((4,), 1).opposite(), Condition((0, 1), 3).opposite().negated
        (Condition(clbits=(4,), value=0, negated=False), True)
        """
        if len(self.clbits) == 1:
            return Condition(self.clbits, 1 - self.value)
        return self._replace(negated=not self.negated)

    def pairs(self) -> list[tuple[int, int]]:
        """Return each bit and what the equality asks of it."""
        return [(bit, self.value >> place & 1) for place, bit in enumerate(self.clbits)]


def conjunction(conditions: Sequence[Condition]) -> Condition:
    """Return the condition that holds where all of these do: one equality on the bits of all.

    Raises:
        InvalidCircuit: one of them is no equality, or two ask for opposite values of a bit.

    >>> conjunction([Condition((2,), 1), Condition((0,), 0), Condition((1,), 1)])
    Condition(clbits=(2, 0, 1), value=5, negated=False)
    """
    if len(conditions) == 1:
        return conditions[0]
    if any(condition.negated for condition in conditions):
        raise InvalidCircuit(
            "'&&' joins equalities only; a `!=` on several bits beside another test needs an if of its own inside this one"
        )
    asked: dict[int, int] = {}
    for bit, value in (pair for condition in conditions for pair in condition.pairs()):
        if asked.setdefault(bit, value) != value:
            raise InvalidCircuit("the condition asks for a bit to be 0 and 1 at once, so it never holds")
    return Condition(tuple(asked), sum(value << place for place, value in enumerate(asked.values())))


def equality(clbits: tuple[int, ...], value: int) -> Condition:
    """Return the condition that the bits, the least significant first, have the value.

    Raises:
        InvalidCircuit: a value that so many bits cannot have.

    >>> equality((0, 1), 4)
    Traceback (most recent call last):
    qloom.errors.InvalidCircuit: 2 bits hold 0 to 3, never 4, so the condition never holds
    """
    if not 0 <= value < 1 << len(clbits):
        raise InvalidCircuit(f"{out_of_range(len(clbits), value)}, so the condition never holds")
    return Condition(clbits, int(value))


def instructions(condition: Condition, body: tuple[Instruction, ...], orelse: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    """Return the `if` on that condition; nothing where neither branch holds an instruction.

    >>> from qloom.circuits import Instruction
    >>> [step.orelse for step in instructions(Condition((0, 1), 3, negated=True), (Instruction("x", (0,)),), ())]
    [(Instruction(name='x', qubits=(0,), parameters=(), clbits=(), controls=0, unit='', body=(), value=0, orelse=()),)]
    """
    if not body and not orelse:
        return ()
    if condition.negated:
        body, orelse = orelse, body
    return (conditional(condition.clbits, condition.value, body, orelse),)
