"""Slips in building circuits end in a sentence that says what to write instead."""

from collections.abc import Callable

import numpy as np
import pytest

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.errors import InvalidCircuit, Unsupported
from qloom.noise import NoiseModel

T = Parameter("t")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Circuit(2, 2), "got 2; the number of classical bits is given as num_clbits="),  # type: ignore[arg-type]
        (lambda: Circuit(2).h("a"), "h names 'a'; qubits and classical bits are whole numbers"),  # type: ignore[arg-type]
        (lambda: Circuit(2).h(0.5), "h names 0.5"),  # type: ignore[arg-type]
        (lambda: Circuit(2).measure("0"), "measure names '0'"),  # type: ignore[arg-type]
        (lambda: Circuit(2).measure(0, 0.5), "measure names 0.5"),  # type: ignore[arg-type]
        (lambda: Circuit(2).if_test(0, 1, 3), "or a circuit where one is held by another, got 3"),  # type: ignore[arg-type]
        (lambda: Circuit(2).verbatim(3), "or a circuit where one is held by another, got 3"),  # type: ignore[arg-type]
        (lambda: Circuit(1, ["x"]), "a circuit holds instructions, got 'x'; use its methods"),  # type: ignore[list-item]
        (
            lambda: Circuit(1).channel("bit_flip", 0, probabilities=0.1),  # type: ignore[arg-type]
            r"the probabilities of bit_flip are a list, got 0.1; \[0.1\]\?",
        ),
        (lambda: Circuit(1).channel("bit_flip", 0, probabilities=[-0.1]), r"from 0 to 1 .*, got \[-0.1\]"),
        (lambda: Circuit(1).channel("pauli_channel", 0, probabilities=[0.5, 0.4, 0.3]), "sum to at most 1"),
        (lambda: Circuit(1).channel("bit_flip", 0, probabilities=[float("nan")]), "^a probability must be finite, got nan"),
        (lambda: Circuit(1).channel("bit_flip", 0, probabilities=["x"]), "^'x' is no probability; give a number$"),  # type: ignore[list-item]
        (lambda: Circuit(1).delay(float("inf"), 0), "^a duration must be finite, got inf"),
        (lambda: Circuit(1).delay("long", 0), "^'long' is no duration; give a number or a formula"),  # type: ignore[arg-type]
        (lambda: Circuit(1, [Instruction("delay", (0,), (float("nan"),), unit="s")]), r"from 0 up, got \[nan\]"),
        (lambda: Circuit(1).rx(float("nan"), 0), "^an angle must be finite, got nan"),
        (lambda: Circuit(1).rx(T, 0).bind({"t": float("nan")}), "^a value of a parameter must be finite, got nan"),
        (lambda: Circuit(1).delay(T, 0).bind({"t": -4}), r"from 0 up, got \[-4.0\]"),
        (lambda: Circuit(1).if_test(0, 0, Circuit(1).delay(T, 0)).bind({"t": -4}), r"from 0 up, got \[-4.0\]"),
        (lambda: Circuit(1, [Instruction("bit_flip", (0,), (T,))]).bind({"t": 1.5}), r"from 0 to 1 .*, got \[1.5\]"),
        (lambda: Circuit(1).delay(-1, 0), r"from 0 up, got \[-1.0\]"),
        (lambda: Circuit(1).delay(1, 0, unit="weeks"), "one of s, ms, us, ns, dt, got 'weeks'"),
    ],
)
def test_a_slip_is_refused_with_what_to_write(build: Callable[[], Circuit], said: str) -> None:
    with pytest.raises(InvalidCircuit, match=said):
        build()


def test_qubits_may_be_integers_of_numpy() -> None:
    one, two = np.int64(0), np.arange(2)
    given = Circuit(2).h(one).measure(two).if_test(one, 1, Circuit(2).x(one)).measure(one, one)  # type: ignore[arg-type]
    assert given == Circuit(2).h(0).measure([0, 1]).if_test(0, 1, Circuit(2).x(0)).measure(0, 0)


def test_a_delay_may_be_a_parameter_until_qubits_relax_in_it() -> None:
    waited = Circuit(1).h(0).delay(Parameter("t"), 0, unit="us").h(0).measure(0)
    relaxing = NoiseModel.thermal(t1_s=1e-4, t2_s=1e-4, durations_s={})
    with pytest.raises(Unsupported, match="delay"):
        relaxing.apply(waited)
    assert "amplitude_damping" in {step.name for step in relaxing.apply(waited.bind({"t": 20.0})).instructions}
