"""What a figure is, what it may use while it is measured, and how one is measured."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.pairs import Row, Target, calmest, not_run, summary, take_pairs
from benchmarks.peers import ONE_THREAD, NotRunError, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.pairs import Timed

ROOT = Path(__file__).resolve().parent.parent
MOST_TRIES = 3
"""A row whose peer is noisy is measured anew, at most so many times in all."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a figure, warm and checked against each other.

    Attributes:
        ours, theirs: do their work so many times and return the seconds it took.
        peer: what exactly the peer turned out to be; empty for the name in the figure.
    """

    ours: Timed
    theirs: Timed
    peer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One thing to measure.

    Attributes:
        name: what, and how large; `--only` looks for its pattern in it.
        peer: whom against.
        target: what has to be reached; without a value the figure only informs.
        quick: whether `--quick` measures it too.
        single: whether each timing is one unit of work, because one that follows directly on another is another thing.
    """

    name: str
    peer: str
    target: Target = field(default_factory=Target)
    quick: bool = False
    single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure(Asked):
    """What is measured in pairs.

    Attributes:
        open: makes both sides ready, and takes them down.
    """

    open: Callable[[Bench], AbstractContextManager[Sides]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a survey comes to; the names are those of a row.

    Attributes:
        note: what else is to be said.
    """

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    n: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey(Asked):
    """What is measured over many cases, each in its own way, and comes to one ratio.

    Attributes:
        take: measures; raises `NotRunError` where it cannot.
    """

    take: Callable[[Bench], Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much measuring is done.

    Attributes:
        pairs: of each figure.
        minimum_s: one timing takes at least so long, by repeating its work.
        seed: decides the order inside the pairs.
        limit_s: no figure is begun after so many seconds, none repeated after half of them.
    """

    pairs: int = 30
    minimum_s: float = 0.005
    seed: int = 1
    limit_s: float = 2400.0


class Bench:
    """One run of the harness: its folder on a disk, its workers, its clock."""

    def __init__(self, effort: Effort, build: Path, root: Path = ROOT) -> None:
        self.effort = effort
        self.root = root
        self.build = build
        build.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="bench-", dir=build.resolve()))
        self.workers = Workers(root, self.folder)
        os.environ["QLOOM_HOME"] = str(self.folder / "home")
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.workers.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since this run began."""
        return time.monotonic() - self._started

    def new_folder(self, name: str) -> Path:
        """Return an empty folder on the disk that the build is on."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))


def pin() -> None:
    """Give this process, and all it starts, one thread each and none of the user's settings.

    Called before numpy and the simulators are imported: they read their thread counts once.
    """
    os.environ.update(ONE_THREAD)
    for name in [name for name in os.environ if name.startswith("QLOOM_")]:
        del os.environ[name]


def measure(figure: Figure | Survey, bench: Bench) -> Row:
    """Measure one figure, one in pairs again when its peer was noisy.

    Never raises: what cannot be measured becomes a row that says why.
    """
    if bench.elapsed_s > bench.effort.limit_s:
        return not_run(figure.name, figure.peer, figure.target, f"the time limit of {bench.effort.limit_s:g} s was reached")
    try:
        if isinstance(figure, Survey):
            return Row(figure=figure.name, peer=figure.peer, target=figure.target, **asdict(figure.take(bench)))
        with ExitStack() as stack:
            sides = stack.enter_context(figure.open(bench))
            return calmest(list(_tries(figure, sides, bench)))
    except NotRunError as reason:
        return not_run(figure.name, figure.peer, figure.target, str(reason))
    # The run outlives one figure: a fault in it, or in the peer, becomes its row, and the others are still measured.
    except Exception as error:  # noqa: BLE001  its traceback is shown
        traceback.print_exc(file=sys.stderr)
        return not_run(figure.name, figure.peer, figure.target, f"{type(error).__name__}: {error}")


def _tries(figure: Figure, sides: Sides, bench: Bench) -> Iterator[Row]:
    effort = bench.effort
    for attempt in range(MOST_TRIES):
        seed = zlib.crc32(figure.name.encode()) + effort.seed + attempt
        pairs = list(
            take_pairs(sides.ours, sides.theirs, count=effort.pairs, minimum_s=effort.minimum_s, seed=seed, single=figure.single)
        )
        row = summary(figure.name, sides.peer or figure.peer, figure.target, pairs)
        yield row
        if not row.noisy or bench.elapsed_s > effort.limit_s / 2:
            return
