"""`qloom.device` and `qloom.plugins`: what circuits can run on, here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qloom import catalogue
from qloom.app import application
from qloom.sealing.folder import all_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qloom.programs.quantum import QuantumDevice


def device(name: str | None = None, *, pipeline: object = ()) -> QuantumDevice:
    """Return a device to run circuits on, here and now.

    Args:
        name: `sim`, or `scheme:rest`; the default device (QLOOM_DEVICE, else `sim`) when not given.
        pipeline: stages round it, from the device outward, such as `["ddd", {"stage": "zne", "scales": [1, 3]}]`.

    Raises:
        UnknownName: nobody registered that name, or that of a stage; the nearest are given.
        InvalidSetting: a pipeline that cannot work.

    >>> import qloom
    >>> qloom.device("sim").run(qloom.Circuit(2).x(0), shots=10).counts
    {'10': 10}
    """
    return application().device(name, pipeline=pipeline)


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
    """Return every installed device, stage and executor, broken ones with their error, and this host's sealed stages.

    Args:
        kind: `devices`, `stages` or `executors`, also in the singular; None for all.

    Raises:
        UnknownName: no such kind.

    >>> import qloom
    >>> [part.name for part in qloom.plugins("executors")]
    ['local']
    >>> zne = next(part for part in qloom.plugins("stages") if part.name == "zne")
    >>> zne.licence, zne.gives, zne.cost.circuits, zne.options["properties"]["scales"]["default"]
    ('Apache-2.0', ('values',), 3, [1.0, 3.0, 5.0])
    """
    return all_parts(application().settings.sealed_stages, kind)
