"""A pseudo-terminal with a command on it."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

LIMIT_S = 60


def heed_interrupts() -> None:
    """As in a person's shell: who starts the tests in the background of one hands SIGINT down ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """Runs a command as if a person had typed it; `drawn` is what it drew, without the codes that move and colour."""

    def __init__(self, command: list[str], environment: dict[str, str], where: Path) -> None:
        self._master, slave = pty.openpty()
        self._bytes = b""
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=where,
            env={**environment, "TERM": "xterm"},
            start_new_session=True,
            preexec_fn=heed_interrupts,  # noqa: PLW1509  these tests start no threads
        )
        os.close(slave)

    @property
    def raw(self) -> str:
        return self._bytes.decode(errors="replace")

    @property
    def drawn(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.raw)

    def wait_for(self, text: str) -> None:
        self._read_until(text)
        assert text in self.drawn, self.drawn

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def exit_code(self) -> int:
        self._read_until(None)
        os.close(self._master)
        return self.process.wait(LIMIT_S)

    def _read_until(self, text: str | None) -> None:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline and (text is None or text not in self.drawn):
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self._bytes += os.read(self._master, 65536)
                except OSError:  # the other end is closed: the command has ended
                    return
