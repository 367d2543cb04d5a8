"""A job in a notebook's cell that follows the job: its picture is drawn anew while it runs, with buttons where there are widgets.

A display owns one thread, which ends with the job, with the kernel, or when the same job is shown in another cell. A map is
followed in the same way, without buttons.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from qloom.errors import QloomError
from qloom.jobspecs import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from qloom.api.jobs import Job
    from qloom.api.maps import Map

LEAST_S, MOST_S = 0.5, 5.0
"""Between two pictures of one job: the longer it is watched, the rarer they come."""
SHARE = 0.05
"""Drawing takes at most this share of the kernel's time."""
STOP_S = 2.0
"""How long a thread that was told to end is waited for."""
RESUMABLE = (JobState.INTERRUPTED, JobState.FAILED)


def show_live(job: Job) -> bool:
    """Show a job that may still change in the running cell of a Jupyter kernel, and follow it.

    Returns:
        False where nothing was shown: outside a kernel, or where nothing more will happen to the job.

    Raises:
        QloomError: the job cannot be read.

    >>> show_live(None)  # no kernel here
    False
    """
    if not in_kernel():
        return False
    state = job.state()
    if state.ended and state not in RESUMABLE:
        return False
    live = LiveJob(job)
    with _guard:
        earlier, _shown[job.id] = _shown.get(job.id), live
    if earlier is not None:
        earlier.retire()
    live.show()
    return True


def show_live_map(shown: Map) -> bool:
    """Show a map that is not over yet in the running cell of a Jupyter kernel, and follow it.

    Returns:
        False where nothing was shown: outside a kernel, or where the map is over.

    >>> show_live_map(None)  # no kernel here
    False
    """
    if not in_kernel() or shown.over:
        return False
    display = _displayed(shown.snapshot(), raw=True)
    name = f"qloom shows map {shown.name}"
    threading.Thread(target=_follow_map, args=(shown, display), name=name, daemon=True).start()
    return True


def _follow_map(shown: Map, display: Any) -> None:
    begun = time.monotonic()
    last: dict[str, str] = {}
    while not _kernel_ends.wait(min(MOST_S, max(LEAST_S, (time.monotonic() - begun) / 60))):
        over, bundle = shown.over, shown.snapshot()
        if bundle != last:
            display.update(bundle, raw=True)
            last = bundle
        if over:
            return


def in_kernel() -> bool:
    """Return whether this is a Jupyter kernel: something that can change a cell's output later on.

    >>> in_kernel()
    False
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class LiveJob:
    """One display of one job.

    Args:
        job: the job.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._said = ""
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._display: Any = None
        self._buttons: _Buttons | None = None

    def show(self) -> None:
        """Draw the job, its buttons below it, and begin to follow it."""
        self._display = _displayed(self._bundle(), raw=True)
        self._buttons = _Buttons.shown(self._cancel, self._resume)
        self._refresh()
        self._follow()

    def stop(self) -> None:
        """End the thread. Idempotent; called by the thread itself, it returns at once."""
        self._end.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_S)

    def retire(self) -> None:
        """Leave the last picture to the cell it is in: the job is shown elsewhere now."""
        self.stop()
        self._said = "This picture stands still: the job is shown again further on."
        self._refresh()
        self._remove_buttons()

    # ---- following -----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        self._end = threading.Event()  # of this thread alone, should an earlier one hang
        name = f"qloom shows job {self._job.id}"
        self._thread = threading.Thread(target=self._run, args=(self._end,), name=name, daemon=True)
        self._thread.start()

    def _run(self, end: threading.Event) -> None:
        begun, took_s, seen = time.monotonic(), 0.0, None
        while True:
            wished = min(MOST_S, max(LEAST_S, (time.monotonic() - begun) / 60))
            if end.wait(max(wished, took_s / SHARE)):
                return
            now = time.monotonic()
            look = self._look()
            if look != seen:
                seen = look
                self._refresh()
            took_s = time.monotonic() - now
            if look is None or self._ended():
                return

    def _look(self) -> Hashable:
        """Return what differs when there is something new to draw; None where the job cannot be read any more."""
        folder = self._job.folder
        try:
            status = self._job.status()
        except QloomError:
            return None
        files = [folder.progress_file(status.attempt), *sorted((folder.checkpoints / "journal").glob("*.seg"))]
        return (status, *(_stamp(file) for file in files))

    def _ended(self) -> bool:
        try:
            state = self._job.state()
        except QloomError:
            return True
        if state.ended:
            self._refresh()  # what came between the last picture and the end
            if state not in RESUMABLE:
                self._remove_buttons()
        return state.ended

    def _refresh(self) -> None:
        self._display.update(self._bundle(), raw=True)
        if self._buttons is not None:
            try:
                self._buttons.allow(self._job.state())
            except QloomError:
                self._remove_buttons()

    def _bundle(self) -> dict[str, str]:
        return self._job.snapshot(self._said)

    # ---- buttons -------------------------------------------------------------------------------------------------

    def _cancel(self) -> None:
        self._do(self._job.cancel)

    def _resume(self) -> None:
        self.stop()
        self._do(self._job.resume)
        self._follow()

    def _do(self, action: Callable[[], object]) -> None:
        """Do what a button says; what is wrong stands under the job, since nobody reads what a button's callback raises."""
        try:
            action()
            self._said = ""
        except QloomError as error:
            self._said = str(error)
        self._refresh()

    def _remove_buttons(self) -> None:
        if self._buttons is not None:
            self._buttons.remove()
            self._buttons = None


class _Buttons:
    """Cancel and resume as widgets, in an output of their own: the picture above them is plain HTML in every front end."""

    def __init__(self, widgets: Any, cancel: Callable[[], None], resume: Callable[[], None]) -> None:
        self._cancel = widgets.Button(description="Cancel", icon="stop", tooltip="End the job for good")
        self._resume = widgets.Button(description="Resume", icon="play", tooltip="Go on with what is recorded")
        self._cancel.on_click(lambda _: cancel())
        self._resume.on_click(lambda _: resume())
        self._box = widgets.HBox([self._cancel, self._resume])
        self._display: Any = None

    @classmethod
    def shown(cls, cancel: Callable[[], None], resume: Callable[[], None]) -> _Buttons | None:
        """Return the buttons, displayed; None without ipywidgets, where the picture's command lines have to do."""
        try:
            import ipywidgets
        except ImportError:
            return None
        buttons = cls(ipywidgets, cancel, resume)
        buttons._display = _displayed(buttons._box)
        return buttons

    def allow(self, state: JobState) -> None:
        """Let only that be pressed which the job's state allows."""
        self._cancel.disabled = state.ended or state is JobState.CANCELLING
        self._resume.disabled = state not in RESUMABLE

    def remove(self) -> None:
        """Take them out of the cell: a notebook that is saved has nothing left that needs a kernel."""
        self._display.update({"text/plain": "", "text/html": ""}, raw=True)
        for widget in (self._cancel, self._resume, self._box):
            widget.close()


_shown: dict[str, LiveJob] = {}
_guard = threading.Lock()
_kernel_ends = threading.Event()


@atexit.register
def _stop_all() -> None:
    _kernel_ends.set()
    for live in list(_shown.values()):
        live.stop()


def _displayed(shown: object, **options: Any) -> Any:
    """Display something in the running cell and return the handle that changes it."""
    from IPython import display

    show: Any = display.display  # untyped
    return show(shown, display_id=True, **options)


def _stamp(file: Any) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
