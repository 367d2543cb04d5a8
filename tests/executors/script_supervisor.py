"""A supervisor whose program is `source/script.py` of the job's folder: what these tests start.

usage: script_supervisor.py exec|fork|absent FOLDER ATTEMPT; `fork` runs the script in a fork of the supervisor itself.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from qloom.executors.local_supervisor import inherited_lease, supervise
from qloom.kit.job_folder import JobFolder


def run_script(path: Path) -> int:
    exec(compile(path.read_text(), path, "exec"), {"__name__": "__main__"})
    return 0


def main(way: str, folder: JobFolder, attempt: int) -> int:
    script = folder.source / "script.py"
    commands: dict[str, Sequence[str] | Callable[[], int]] = {
        "exec": [sys.executable, str(script)],
        "fork": lambda: run_script(script),
        "absent": ["no-such-interpreter", str(script)],
    }
    return supervise(folder, attempt, inherited_lease(folder), commands[way])


if __name__ == "__main__":
    os._exit(main(sys.argv[1], JobFolder(Path(sys.argv[2])), int(sys.argv[3])))
