"""What a noise model says of one gate and of one qubit, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qloom.circuits import Circuit, Instruction
from qloom.circuits.gates import CHANNELS
from qloom.errors import InvalidCircuit, InvalidSetting, UnknownName
from qloom.noise.schedule import LEAST_S, MOST_S

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLACK = 1e-9
"""T2 may be over 2 T1 by this part of it, the rounding of a calibration's decimals."""


@dataclass(frozen=True, slots=True)
class ErrorChannel:
    """A noise channel on some of a gate's qubits.

    Attributes:
        channel: a name in `qloom.circuits.gates.CHANNELS`.
        parameters: its probabilities in the order of Amazon Braket's pragma of that name; for `kraus` the entries of its
            operators, see `qloom.circuits.gates.kraus_operators`.
        on: positions among the gate's qubits (0 is its first one); when empty, the first ones, as many as the channel takes.

    Raises:
        UnknownName: no such channel.
        InvalidSetting: a wrong number of parameters, a probability outside [0, 1], a sum over 1, operators that are no channel.

    >>> ErrorChannel("depolarizing", (0.01,)).on
    (0,)
    """

    channel: str
    parameters: tuple[float, ...]
    on: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.channel not in CHANNELS:
            raise UnknownName.among("noise channel", str(self.channel), CHANNELS)
        numbers = tuple(_finite(f"a parameter of {self.channel}", value) for value in self.parameters)
        on = tuple(self.on) or tuple(range(CHANNELS[self.channel][0] or (2 if len(numbers) % 32 == 0 else 1)))
        if any(not isinstance(place, int) or isinstance(place, bool) or place < 0 for place in on):
            raise InvalidSetting(f"{self.channel}: `on` holds positions of the gate's qubits from 0 up, got {list(self.on)}")
        try:
            Circuit(1 + max(on), [Instruction(self.channel, on, numbers)])
        except InvalidCircuit as error:
            raise InvalidSetting(str(error)) from error
        object.__setattr__(self, "parameters", numbers)
        object.__setattr__(self, "on", on)

    @property
    def is_nothing(self) -> bool:
        """Whether it changes no state, all its probabilities being zero."""
        if self.channel == "generalized_amplitude_damping":
            return not self.parameters[0]
        return self.channel != "kraus" and not any(self.parameters)


@dataclass(frozen=True, slots=True)
class GateNoise:
    """What happens beside a gate.

    Attributes:
        duration_s: how long the gate takes (s); the others wait for that time.
        errors: channels that act right after the gate, in this order; those of `measure` act right before it.
        relaxation: whether the qubits relax (T1, T2) for the gate's duration, after its errors. False for a gate whose errors
            hold that already.

    >>> GateNoise(duration_s=35e-9, errors=(ErrorChannel("depolarizing", (2e-4,)),)).relaxation
    True
    """

    duration_s: float = 0.0
    errors: tuple[ErrorChannel, ...] = ()
    relaxation: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "duration_s", _time("duration_s", self.duration_s, zero=True))
        object.__setattr__(self, "errors", tuple(self.errors))


@dataclass(frozen=True, slots=True)
class QubitNoise:
    """What happens to a qubit by itself, and when it is read.

    Attributes:
        t1_s: time constant of the energy's decay (s); None where the qubit keeps it.
        t2_s: time constant of the coherence's decay (s), at most 2 T1; None for 2 T1.
        excited_population: how much of |1> there is at rest, from 0 to 1.
        readout: (probability to read 1 where the state is 0, probability to read 0 where it is 1); None for no errors.

    Raises:
        InvalidSetting: a time that is not above zero, T2 over 2 T1, a probability outside [0, 1].

    >>> QubitNoise(t1_s=50e-6, t2_s=120e-6)
    Traceback (most recent call last):
    qloom.errors.InvalidSetting: t2_s is 0.00012, over twice t1_s, 0.0001: no qubit can do that; use at most 0.0001
    """

    t1_s: float | None = None
    t2_s: float | None = None
    excited_population: float = 0.0
    readout: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("t1_s", "t2_s"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else _time(name, value, zero=False))
        object.__setattr__(self, "excited_population", probability("excited_population", self.excited_population))
        if self.t1_s is not None and self.t2_s is not None and self.t2_s > 2 * self.t1_s * (1 + _SLACK):
            most = 2 * self.t1_s
            raise InvalidSetting(f"t2_s is {self.t2_s}, over twice t1_s, {most}: no qubit can do that; use at most {most}")
        if self.excited_population and self.t1_s is None:
            raise InvalidSetting(
                "excited_population is what T1 leads to, and there is no t1_s; give it, or leave the population out"
            )
        if self.readout is not None:
            object.__setattr__(self, "readout", _readout(self.readout))

    @property
    def relaxes(self) -> bool:
        """Whether waiting changes its state."""
        return self.t1_s is not None or self.t2_s is not None

    def during(self, time_s: float) -> tuple[tuple[str, tuple[float, ...]], ...]:
        """Return the channels of waiting for that time: energy decay, then what is left of the loss of coherence.

        Populations go to rest as exp(-t/T1), coherences as exp(-t/T2) (Nielsen and Chuang, 8.3.5 and 8.3.6).

        >>> QubitNoise(t2_s=1e-4).during(1e-5)
        (('phase_damping', (0.1812...,)),)
        """
        decay = 0.0 if self.t1_s is None else time_s / self.t1_s
        loss = decay / 2 if self.t2_s is None else time_s / self.t2_s
        found: list[tuple[str, tuple[float, ...]]] = []
        if decay and self.excited_population:
            found.append(("generalized_amplitude_damping", (-math.expm1(-decay), 1 - self.excited_population)))
        elif decay:
            found.append(("amplitude_damping", (-math.expm1(-decay),)))
        pure = 2 * loss - decay
        # What is left of rounding where T2 is 2 T1 is no channel.
        if pure > 2 * loss * _SLACK:
            found.append(("phase_damping", (-math.expm1(-pure),)))
        return tuple(found)


def probability(name: str, value: object) -> float:
    """Return a probability, or refuse it by name.

    >>> probability("p1", 1.5)
    Traceback (most recent call last):
    qloom.errors.InvalidSetting: p1 is a probability from 0 to 1, got 1.5
    """
    number = _finite(name, value)
    if not 0 <= number <= 1:
        raise InvalidSetting(f"{name} is a probability from 0 to 1, got {value!r}")
    return number


def seconds(name: str, value: object) -> float:
    """Return a time above zero (s), or refuse it by name."""
    return _time(name, value, zero=False)


def _readout(given: Sequence[float]) -> tuple[float, float]:
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise InvalidSetting(f"readout is two probabilities, (p(1|0), p(0|1)), got {given!r}")
    return probability("readout p(1|0)", given[0]), probability("readout p(0|1)", given[1])


def _time(name: str, value: object, *, zero: bool) -> float:
    number = _finite(name, value)
    if not (LEAST_S <= number <= MOST_S or (zero and number == 0)):
        raise InvalidSetting(
            f"{name} is a time in seconds, {'0 or ' if zero else ''}from {LEAST_S:g} to {MOST_S:g}, got {value!r}"
        )
    return number


def _finite(name: str, value: object) -> float:
    # Adding 0.0 turns -0.0, which is equal to it, into 0.0: equal models have equal texts.
    try:
        number = math.nan if isinstance(value, bool | str) else float(value) + 0.0  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidSetting(f"{name} is a finite number, got {value!r}")
    return number
