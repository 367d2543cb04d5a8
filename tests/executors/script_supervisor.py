"""A supervisor whose program is `source/script.py` of the job's folder: what these tests start.

usage: script_supervisor.py exec|fork|absent FOLDER ATTEMPT; `fork` runs the script in a fork of the supervisor itself.
       script_supervisor.py serve [mortal]; a fork server, whose forks run scripts, or die as they rehearse.
"""

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from qloom.executors.fork_server import serve
from qloom.executors.local_supervisor import inherited_lease, supervise
from qloom.kit.job_folder import JobFolder
from qloom.testing.executor_contract import make_script_job

REHEARSALS = ("finish(1)", "os.kill(os.getpid(), signal.SIGKILL)")


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


def make_rehearsal(home: Path, script: str = "finish(1)") -> Path:
    folder = make_script_job(home, script)
    JobFolder(folder).work(1).mkdir(parents=True)
    return folder


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        scripts = lambda folder, attempt: lambda: run_script(folder.source / "script.py")  # noqa: E731
        sys.exit(serve(lambda: None, scripts, scripts, partial(make_rehearsal, script=REHEARSALS[sys.argv[2:] == ["mortal"]])))
    os._exit(main(sys.argv[1], JobFolder(Path(sys.argv[2])), int(sys.argv[3])))
