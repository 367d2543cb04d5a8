"""`qloom.device` and `qloom.plugins`: what circuits can run on, here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qloom import catalogue
from qloom.app import application

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qloom.programs.quantum import QuantumDevice


def device(name: str | None = None) -> QuantumDevice:
    """Return a device to run circuits on, here and now.

    Args:
        name: `sim`, or `scheme:rest`; the default device (QLOOM_DEVICE, else `sim`) when not given.

    Raises:
        UnknownName: nobody registered that name; the nearest are given.

    >>> import qloom
    >>> qloom.device("sim").run(qloom.Circuit(2).x(0), shots=10).counts
    {'10': 10}
    """
    return application().device(name)


def calibrate(name: str = "sim") -> Iterator[dict[str, Any]]:
    """Measure what a simulator's choice of engine rests on, and keep it for this machine; takes seconds.

    Yields:
        `note` for people as it goes on; at the end also `file`, `calibration` and `examples`.

    Raises:
        UnknownName: no such device.
        InvalidSetting: it has nothing to calibrate.
    """
    return catalogue.calibrate_device(name)


def plugins(kind: str | None = None) -> list[catalogue.Part]:
    """Return every installed device, stage and executor, broken ones with their error.

    >>> import qloom
    >>> [part.name for part in qloom.plugins("executor")]
    ['local']
    """
    return catalogue.parts(kind)
