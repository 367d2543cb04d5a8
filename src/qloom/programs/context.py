"""`Context`: what a program gets as its first argument."""

from __future__ import annotations

import inspect
import logging
import os
import time
from collections.abc import Callable, Mapping, Sized
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from qloom.errors import InvalidSetting, Misuse, NoResult, UnknownName
from qloom.kit.values import dumps
from qloom.programs.direct import DirectRecorder, Metric
from qloom.programs.lanes import Lanes
from qloom.programs.progress import ProgressFile
from qloom.programs.random_streams import RandomStreams

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np

    from qloom.contracts import Lane, Recorder
    from qloom.jobspecs import JobSpec
    from qloom.kit.job_folder import JobFolder
    from qloom.programs.quantum import QuantumDevice
    from qloom.results import Engine

    DeviceOpener = Callable[[Callable[[], Lane]], QuantumDevice]

T = TypeVar("T")

DEFAULT_DEVICE = "default"
LOGGER = "qloom.program"


class Devices(Mapping[str, "QuantumDevice"]):
    """A program's devices by the name they have in it; each is opened when it is first used.

    Raises:
        UnknownName: for a name that the program was not given, with the nearest ones.
    """

    def __init__(self, openers: Mapping[str, DeviceOpener], lanes: Callable[[], Lane]) -> None:
        self._openers = dict(openers)
        self._lanes = lanes
        self._opened: dict[str, QuantumDevice] = {}

    def __getitem__(self, name: str) -> QuantumDevice:
        device = self._opened.get(name)
        if device is None:
            if name not in self._openers:
                raise UnknownName.among("device in this program", name, self._openers)
            device = self._opened.setdefault(name, self._openers[name](self._lanes))
        return device

    def __contains__(self, name: object) -> bool:
        return name in self._openers

    def __iter__(self) -> Iterator[str]:
        return iter(self._openers)

    def __len__(self) -> int:
        return len(self._openers)

    @property
    def opened(self) -> list[QuantumDevice]:
        """The devices that were used so far."""
        return list(self._opened.values())


class Context:
    """What a program works with: devices, progress, metrics, checkpoints, random numbers, time, input files.

    Everything that could differ between two runs goes through it, so that a killed job can be replayed: `ctx.rng` instead of
    `random`, `ctx.now()` instead of `time.time()`, `ctx.step` around classical work that is costly or not repeatable.
    Programs get it; `Context.local` makes one for a plain call, `Context.of_job` one for a job.

    Attributes:
        devices: name in the program -> device.
        parameters: the program's arguments, JSON.
        job_id: the job's id; `local` in a plain call.
        attempt: number of this attempt, from 1; 0 in a plain call.
        metrics: what was logged in a plain call; empty in a job, whose journal has it.

    >>> ctx = Context.local(devices={}, seed=1)
    >>> ctx.log_metric("energy_hartree", -1.1, step=0)
    >>> ctx.metrics[0].value, ctx.step(max, [3, 1, 2])
    (-1.1, 3)
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        devices: Mapping[str, DeviceOpener],
        seed: int,
        job_id: str,
        attempt: int,
        parameters: Mapping[str, Any],
        inputs: Callable[[], dict[str, Path]],
        folder: JobFolder | None,
    ) -> None:
        self._recorder = recorder
        self._lanes = Lanes(recorder.lane)
        self._lane = self._lanes.current
        self._streams = RandomStreams(seed)
        self._stepping: set[str] = set()  # lanes inside a step
        self._inputs = inputs
        self._progress = ProgressFile(folder.progress_file(attempt) if folder else None)
        self._figures = folder.figures if folder else None
        self.devices = Devices(devices, self._lane)
        self.parameters = dict(parameters)
        self.job_id = job_id
        self.attempt = attempt
        self.metrics: list[Metric] = recorder.metrics if isinstance(recorder, DirectRecorder) else []

    @classmethod
    def local(
        cls,
        *,
        devices: Mapping[str, DeviceOpener],
        seed: int | None = None,
        inputs: Mapping[str, str | Path] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return the context of a plain call: no journal, no progress file; metrics and checkpoints stay in memory.

        Args:
            devices: name in the program -> a function that opens the device, given the function that finds lanes.
            seed: gives the samples and random numbers that a job with this seed has; fresh ones when None.
            inputs: input channel -> file or folder.
            parameters: the program's arguments, for `ctx.parameters`.
        """
        return cls(
            recorder=DirectRecorder(seed),
            devices=devices,
            seed=int.from_bytes(os.urandom(8), "big") if seed is None else seed,
            job_id="local",
            attempt=0,
            parameters=parameters or {},
            inputs=partial(_paths, inputs or {}),
            folder=None,
        )

    @classmethod
    def of_job(
        cls,
        *,
        folder: JobFolder,
        job: JobSpec,
        attempt: int,
        recorder: Recorder,
        open_device: Callable[[Callable[[], Lane], str], QuantumDevice],
    ) -> Self:
        """Return the context of a job's program.

        Args:
            folder: the job's folder.
            job: its specification.
            attempt: number of this attempt.
            recorder: the journal.
            open_device: opens a device, given the function that finds lanes and the device's name.
        """
        return cls(
            recorder=recorder,
            devices={name: partial(_open, open_device, device) for name, device in job.devices.items()},
            seed=job.seed,
            job_id=job.job_id,
            attempt=attempt,
            parameters=job.parameters,
            inputs=partial(_channels, folder),
            folder=folder,
        )

    # ---- the quantum side ----------------------------------------------------------------------------------------

    @property
    def device(self) -> QuantumDevice:
        """The default device."""
        return self.devices[DEFAULT_DEVICE]

    def lane(self, name: str) -> AbstractContextManager[Lane]:
        """Take a lane of its own for this thread or asyncio task, for the length of a `with` block.

        The main thread needs none. Questions are replayed in order within a lane, so each thread and task has its own.

        Raises:
            Misuse: a name that cannot be one, or that another thread or task holds at this moment.
        """
        return self._lanes.enter(name)

    # ---- what others see -----------------------------------------------------------------------------------------

    def progress(self, iterable: Iterable[T], total: int | None = None, description: str = "") -> Iterator[T]:
        """Yield the items of a loop and show how far it is.

        Args:
            iterable: what to loop over.
            total: how many items there are, where `len` cannot say.
            description: what the loop does.
        """
        if total is None and isinstance(iterable, Sized):
            total = len(iterable)
        return self._progress.follow(iterable, total, description)

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        """Record a number that others can watch; once, however often the job is resumed.

        Args:
            name: what it is, with its unit: `energy_hartree`.
            value: a real number; NaN and infinities are kept as they are.
            step: which step of the program it belongs to.

        Raises:
            Misuse: not a name, not a real number, or a step that is no integer.
        """
        if not isinstance(name, str) or not name:
            raise Misuse(f"a metric's name is text, got {name!r}")
        if step is not None and type(step) is not int:
            step = _read_step(name, step)
        number = value if type(value) is float else _real(name, value)
        self._lane().metric(name, number, step, time.time())
        self._progress.note_metric(name, number)

    def save_figure(self, name: str, figure: Any) -> None:
        """Keep a picture that the job's report shows; the one saved last under a name counts, so a loop may draw again and again.

        A job keeps it in `results/figures/`. A plain call looks at it as a job does and keeps nothing. A resumed job draws it
        anew. Reports and notebooks show it as a picture: no script in it runs, and it loads nothing.

        Args:
            name: 1 to 64 letters, digits, `_` or `-`.
            figure: SVG text; bytes of a PNG or an SVG; the path of such a file; or anything with matplotlib's `savefig`.
                2 MiB at most, and 32 names in a job.

        Raises:
            Misuse: a name or a figure that is none, or too large, or one too many.
            StorageFailed: the disk is full, read-only or gone.

        >>> ctx = Context.local(devices={})
        >>> ctx.save_figure("dot", '<svg xmlns="http://www.w3.org/2000/svg"><circle cx="9" cy="9" r="9"/></svg>')
        """
        from qloom.programs.figures import save_figure  # here, as most programs draw nothing

        save_figure(self._figures, name, figure)

    @property
    def logger(self) -> logging.Logger:
        """A logger whose lines, from INFO up, stand in the job's log."""
        return logging.getLogger(LOGGER)

    # ---- what a replay needs -------------------------------------------------------------------------------------

    def save_checkpoint(self, data: dict[str, Any]) -> None:
        """Keep data from which the program can go on, together with where it stands and the state of `ctx.rng`.

        After return it survives a power loss. A resumed job that calls `load_checkpoint` goes on behind the latest one.

        Args:
            data: a dict of JSON values and numpy arrays.

        Raises:
            Misuse: no dict.
            NoResult: something in it is neither JSON nor an array; its place is named.
            StorageFailed: the disk is full, read-only or gone; earlier checkpoints are intact.
        """
        if not isinstance(data, dict):
            raise Misuse(f"a checkpoint is a dict of JSON values and arrays, got a {type(data).__qualname__}")
        self._recorder.save_checkpoint({"data": data, "rng": self._streams.states()})

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the latest checkpoint of earlier attempts, and go on behind it; None where there is none."""
        saved = self._recorder.load_checkpoint()
        if saved is None:
            return None
        self._streams.restore(saved["rng"])
        data: dict[str, Any] = saved["data"]
        return data

    def step(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Run classical work once: its result is recorded, and a resumed job gets it without running it again.

        Args:
            function: a plain function; it may log metrics, but not ask devices.
            args, kwargs: its arguments, JSON values and arrays, so that a replay can tell other arguments.

        Returns:
            Its result, as JSON gives it back: tuples are lists.

        Raises:
            Misuse: an async function, or arguments that are neither JSON nor arrays.
            NoResult: the result is neither JSON nor an array.
            Divergence: a resumed job calls something else here, or with other arguments.
        """
        name = getattr(function, "__qualname__", None) or type(function).__qualname__
        if inspect.iscoroutinefunction(function):
            raise Misuse(
                f"ctx.step runs plain functions, {name} is async; await it outside, and record what costs in a plain one"
            )
        lane = self._lane()
        work = partial(self._run_step, lane.name, partial(function, *args, **kwargs))
        result: T = lane.step(name, _step_arguments(name, args, kwargs), work)
        return result

    @property
    def rng(self) -> np.random.Generator:
        """Random numbers that a replay repeats: a numpy Generator from the job's seed, one for each lane.

        Raises:
            Misuse: inside a step, which a replay does not run again, so that later numbers would differ.
        """
        lane = self._lane().name
        if lane in self._stepping:
            raise Misuse("ctx.rng inside a step: a replay runs no step again, so later numbers would differ; draw before it")
        return self._streams.of(lane)

    def now(self) -> dt.datetime:
        """Return the time, UTC; a replay gets the recorded one."""
        import datetime as dt

        return dt.datetime.fromtimestamp(self._lane().now(time.time), dt.UTC)

    def _run_step(self, lane: str, work: Callable[[], T]) -> T:
        self._stepping.add(lane)
        try:
            return work()
        finally:
            self._stepping.discard(lane)

    # ---- input ---------------------------------------------------------------------------------------------------

    def input_dir(self, channel: str = "input") -> Path:
        """Return where an input channel's files are.

        Raises:
            UnknownName: the job has no such channel, with the nearest ones.
            InvalidSetting: in a plain call, its file or folder is not there.
        """
        found = self._inputs()
        if channel not in found:
            raise UnknownName.among("input channel", channel, found)
        return found[channel]

    # ---- for who runs it -----------------------------------------------------------------------------------------

    @property
    def problems(self) -> list[str]:
        """What went on that is worth saying, though the program went on."""
        return [*self._recorder.problems, *(problem for device in self.devices.opened for problem in device.problems)]

    @property
    def engine(self) -> Engine | None:
        """What computed the answers of the device used last; None where nothing was prepared."""
        return next((device.engine for device in reversed(self.devices.opened) if device.engine), None)

    @property
    def quantum_tasks(self) -> dict[str, int]:
        """How many quantum tasks were executed in this attempt, and how many were replayed from the journal."""
        return {"executed": self._recorder.executed, "replayed": self._recorder.replayed}

    def close(self) -> None:
        """Close what is open. Idempotent."""
        for device in self.devices.opened:
            device.finish()
        self._recorder.close()

    def __repr__(self) -> str:
        return f"<Context of job {self.job_id}, attempt {self.attempt}>"


def _open(open_device: Callable[[Callable[[], Lane], str], QuantumDevice], name: str, lanes: Callable[[], Lane]) -> QuantumDevice:
    return open_device(lanes, name)


def _channels(folder: JobFolder) -> dict[str, Path]:
    return {path.name: path for path in folder.input.iterdir()} if folder.input.is_dir() else {}


def _paths(inputs: Mapping[str, str | Path]) -> dict[str, Path]:
    from pathlib import Path

    paths = {channel: Path(path) for channel, path in inputs.items()}
    for channel, path in paths.items():
        if not path.exists():
            raise InvalidSetting(f"input data {channel!r}: there is no file or folder {path}")
    # A job finds a file in the folder of its channel, by its own name; so does a plain call.
    return {channel: path if path.is_dir() else path.parent for channel, path in paths.items()}


def _real(name: str, value: Any) -> float:
    try:
        if isinstance(value, complex | str | bytes) or getattr(value, "ndim", 0) != 0:
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise Misuse(f"metric {name} must be a real number, got {value!r}") from None


def _read_step(name: str, step: object) -> int:
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise Misuse(f"the step of metric {name} must be an integer, got {step!r}")
    return int(step.__index__())


def _step_arguments(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    try:
        return dumps([list(args), kwargs], f"arguments of step {name!r}")
    except NoResult as error:
        raise Misuse(
            f"{str(error).partition(', which')[0]}, which a replay cannot compare; "
            f"take what the step needs from around it instead, as in `ctx.step(lambda: {name}(...))`"
        ) from error
