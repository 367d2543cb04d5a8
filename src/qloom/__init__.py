"""qloom: one program that is part classical, part quantum, run anywhere, and losing nothing when something dies.

Public names are loaded when first used, so that `import qloom` stays light.

>>> import qloom
>>> qloom.Circuit(2).h(0).cx(0, 1).num_qubits
2
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qloom import errors
    from qloom.api.devices import device, plugins
    from qloom.api.jobs import Job, job, jobs
    from qloom.api.maps import Map, map  # noqa: A004  qloom.map is its name
    from qloom.api.programs import Program, program
    from qloom.circuits import Circuit, Observable, Parameter
    from qloom.config import __version__
    from qloom.limits import Budget, Resources
    from qloom.programs.context import Context
    from qloom.results import Result

_HOMES = {
    "__version__": "qloom.config",
    "Budget": "qloom.limits",
    "Circuit": "qloom.circuits",
    "Context": "qloom.programs.context",
    "Job": "qloom.api.jobs",
    "Map": "qloom.api.maps",
    "Observable": "qloom.circuits",
    "Parameter": "qloom.circuits",
    "Program": "qloom.api.programs",
    "Resources": "qloom.limits",
    "Result": "qloom.results",
    "device": "qloom.api.devices",
    "job": "qloom.api.jobs",
    "jobs": "qloom.api.jobs",
    "map": "qloom.api.maps",
    "plugins": "qloom.api.devices",
    "program": "qloom.api.programs",
}

__all__ = [
    "Budget",
    "Circuit",
    "Context",
    "Job",
    "Map",
    "Observable",
    "Parameter",
    "Program",
    "Resources",
    "Result",
    "__version__",
    "device",
    "errors",
    "job",
    "jobs",
    "map",
    "plugins",
    "program",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("qloom.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'qloom' has no attribute {name!r}; public names: {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
