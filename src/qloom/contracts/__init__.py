"""What the parts promise each other: Protocols whose docstrings state the guarantees."""

from qloom.contracts.device import Device, FromCompiler, Prepared, TaskHandle
from qloom.contracts.executor import Executor, ExecutorHandle, SandboxingExecutor, SealingExecutor, WarmingExecutor
from qloom.contracts.recorder import Lane, PlacedLane, Recorder
from qloom.contracts.stage import (
    Answer,
    Calibration,
    Chooser,
    Chosen,
    Distribution,
    Expansion,
    More,
    Stage,
    StageContext,
    StageCost,
    Wish,
)
from qloom.contracts.store import Store

__all__ = [
    "Answer",
    "Calibration",
    "Chooser",
    "Chosen",
    "Device",
    "Distribution",
    "Executor",
    "ExecutorHandle",
    "Expansion",
    "FromCompiler",
    "Lane",
    "More",
    "PlacedLane",
    "Prepared",
    "Recorder",
    "SandboxingExecutor",
    "SealingExecutor",
    "Stage",
    "StageContext",
    "StageCost",
    "Store",
    "TaskHandle",
    "WarmingExecutor",
    "Wish",
]
