"""What the parts promise each other: Protocols whose docstrings state the guarantees."""

from qloom.contracts.device import Device, FromCompiler, Prepared, TaskHandle
from qloom.contracts.executor import Executor, ExecutorHandle, SandboxingExecutor, WarmingExecutor
from qloom.contracts.recorder import Lane, Recorder
from qloom.contracts.stage import Estimate, Expansion, More, Stage, StageContext
from qloom.contracts.store import Store

__all__ = [
    "Device",
    "Estimate",
    "Executor",
    "ExecutorHandle",
    "Expansion",
    "FromCompiler",
    "Lane",
    "More",
    "Prepared",
    "Recorder",
    "SandboxingExecutor",
    "Stage",
    "StageContext",
    "Store",
    "TaskHandle",
    "WarmingExecutor",
]
