"""A Jupyter kernel spoken to as a front end does: cells go in, every message it shows is kept, buttons are pressed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

LIMIT_S = 60.0


class Kernel:
    """A running kernel; `shown` has the content of each message on its output channel, with the message's type."""

    def __init__(self, manager: Any, client: Any) -> None:
        self._manager = manager
        self._client = client
        self.shown: list[tuple[str, dict[str, Any]]] = []

    def run(self, code: str) -> list[tuple[str, dict[str, Any]]]:
        """Run a cell to its end and return what it showed; an error in it fails the test."""
        before = len(self.shown)
        asked = self._client.execute(code)
        self.wait_for(lambda: self._is_idle(asked, before), code)
        fresh = self.shown[before:]
        errors = ["\n".join(content["traceback"]) for kind, content in fresh if kind == "error"]
        assert not errors, errors[0]
        return fresh

    def begin(self, code: str) -> str:
        """Run a cell without waiting for its end; return what it is known by."""
        return str(self._client.execute(code))

    def interrupt(self, begun: str) -> str:
        """Press the square of a notebook's tool bar; wait for the end of the cell that runs and return the error's name."""
        self._manager.interrupt_kernel()
        self.wait_for(lambda: self._is_idle(begun, 0), "the cell that was interrupted ends")
        return str(next(content["ename"] for kind, content in reversed(self.shown) if kind == "error"))

    def press(self, widget: str) -> None:
        """Press a button as a browser does: a message to its model."""
        content = {"comm_id": widget, "data": {"method": "custom", "content": {"event": "click"}}}
        self._client.shell_channel.send(self._client.session.msg("comm_msg", content))

    def buttons(self) -> dict[str, str]:
        """Description -> model of every button that was made."""
        opened = [content for kind, content in self.shown if kind == "comm_open"]
        states = {content["comm_id"]: content["data"].get("state", {}) for content in opened}
        return {str(state["description"]): model for model, state in states.items() if state.get("_model_name") == "ButtonModel"}

    def pictures(self) -> list[str]:
        """The HTML of every picture of a job so far, the latest last."""
        pages = [content.get("data", {}).get("text/html", "") for _, content in self.shown]
        return [page for page in pages if "qloom-job" in page]

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {LIMIT_S} s; last seen: {self.shown[-3:]}"
            self._take()

    def _take(self) -> None:
        import queue

        try:
            message = self._client.get_iopub_msg(timeout=0.1)
        except queue.Empty:
            return
        content = dict(message["content"])
        if message["msg_type"] == "status":
            content["of"] = message["parent_header"].get("msg_id")
        self.shown.append((message["msg_type"], content))

    def _is_idle(self, asked: str, before: int) -> bool:
        return any(
            kind == "status" and content["execution_state"] == "idle" and content["of"] == asked
            for kind, content in self.shown[before:]
        )


@contextmanager
def kernel(folder: Path, environment: dict[str, str]) -> Iterator[Kernel]:
    """Start a kernel in a folder, and end it."""
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(folder), env=environment, startup_timeout=LIMIT_S)
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
