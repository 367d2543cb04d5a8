"""The contract suite finds the faults it is there for: a suite that passes everything would prove nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from qloom.contracts import Device
from qloom.devices.sim import create
from qloom.results import Result, SampleTable
from qloom.testing.device_contract import DeviceContract


class Faulty:
    """The simulator with one of its answers changed."""

    def __init__(self, inner: Any, **changes: Callable[..., Any]) -> None:
        self._inner = inner
        self._changes = changes

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return (lambda *args, **more: self._changes[name](found, *args, **more)) if name in self._changes else found


def faulty(**changes: Callable[..., Any]) -> Device:
    """A device whose prepared circuits answer wrongly."""
    device: Any = Faulty(create(), prepare=lambda prepare, *args: Faulty(prepare(*args), **changes))
    return device  # type: ignore[no-any-return]


def reversed_keys(run: Callable[..., Result], *args: Any, **more: Any) -> Result:
    result = run(*args, **more)
    width = result.key_lengths[0]
    keys = np.array([int(f"{key:0{width}b}"[::-1], 2) for key in result.samples.keys.tolist()], dtype=np.uint64)
    order = np.argsort(keys)
    table = SampleTable(keys[order], result.samples.counts[order], result.samples.splits, result.samples.order_seed)
    return Result(engine=result.engine, shots=result.shots, sets=result.sets, key_lengths=result.key_lengths, samples=table)


def deaf_to_seeds(run: Callable[..., Result], *args: Any, seed: int | None = None, **more: Any) -> Result:
    return run(*args, seed=0 if seed == 2 else None, **more)


def swapped_columns(ask: Callable[..., Result], values: Any = None, *args: Any, **more: Any) -> Result:
    return ask(np.asarray(values)[..., ::-1].copy() if isinstance(values, np.ndarray) else values, *args, **more)


def too_sure(estimate: Callable[..., Result], *args: Any, **more: Any) -> Result:
    result = estimate(*args, **more)
    off = result.values + 12 * result.standard_errors
    return Result(engine=result.engine, shots=result.shots, values=off, standard_errors=result.standard_errors)


def wrong_sign(gradient: Callable[..., Result], *args: Any) -> Result:
    result = gradient(*args)
    return Result(engine=result.engine, shots=None, values=result.values, gradients=-result.gradients)


def easy_going(run: Callable[..., Result], parameters: Any = None, shots: Any = 1000, **more: Any) -> Result:
    return run(parameters, shots if isinstance(shots, int) and shots > 0 else 1000, **more)


FAULTS: list[tuple[str, Device, tuple[Any, ...]]] = [
    ("test_the_first_character_of_a_key_is_qubit_0", faulty(run=reversed_keys), ()),
    ("test_measured_bits_stand_where_they_were_read_to", faulty(run=reversed_keys), ()),
    ("test_the_same_seed_draws_the_same_samples", faulty(run=deaf_to_seeds), ()),
    ("test_parameters_come_in_the_order_of_first_use_or_by_name", faulty(estimate=swapped_columns), ()),
    ("test_exact_values_are_those_of_the_matrices", faulty(estimate=swapped_columns), ()),
    ("test_values_from_shots_are_within_their_standard_errors", faulty(estimate=too_sure), ()),
    ("test_gradients_are_those_of_finite_differences", faulty(gradient=wrong_sign), ()),
    ("test_frequencies_follow_the_state", faulty(run=swapped_columns), ()),
]


@pytest.mark.parametrize(("test", "device", "more"), FAULTS, ids=[test for test, _, _ in FAULTS])
def test_a_fault_is_found(test: str, device: Device, more: tuple[Any, ...]) -> None:
    with pytest.raises(AssertionError):
        getattr(DeviceContract(), test)(device, *more)


def test_shots_taken_without_a_look_are_found() -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        DeviceContract().test_shots_that_are_no_positive_integer_are_refused(faulty(run=easy_going), 0)


def test_a_device_without_a_fixture_is_told_so() -> None:
    with pytest.raises(NotImplementedError, match="fixture called device"):
        DeviceContract.device.__wrapped__(DeviceContract())  # type: ignore[attr-defined]
