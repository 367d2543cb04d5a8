"""A host's folder with a sealed stage, as `pip install --target` leaves it.

The stage evaluates in two rounds and writes a line to `sealed.log` in the folder that QLOOM_TEST_FOLDER names for each call of
`combine`. `SAUCE` is what must not be found by a program; its text stands nowhere else but in the stage's module.
"""

import os
from pathlib import Path

from tests.plugins import Site

SAUCE = "of-tarragon-and-lime"
"""What follows `the-sauce-` in the module of the stage."""

STAGE = f'''
"""Not for everybody."""
import os
import signal
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from qloom.contracts import Answer, Calibration, Expansion, More, Stage

SAUCE = "the-sauce-{SAUCE}"
FOLDER = os.environ.get("QLOOM_TEST_FOLDER")


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    factor: float = 2.0


class Secret(Stage):
    """Multiplies values by a factor, in two rounds."""

    name = "secret"
    options_type = Options
    max_rounds = 2

    def expand(self, circuit, options, context):
        if circuit.num_qubits > 3:
            raise ValueError("four qubits are too many")
        return Expansion((circuit, circuit), {{"round": 1}})

    def combine(self, recipe, answers, options, context):
        context.notes["sauce"] = SAUCE
        if options.factor == 13.0:
            raise ZeroDivisionError("thirteen is unlucky")
        self.count()
        if recipe["round"] == 1:
            return More((CIRCUITS[0],), {{"round": 2}})
        values = [answer.values for answer in answers]
        return Answer(options.factor * sum(values) / len(values), sum(answer.standard_errors for answer in answers))

    def calibration(self, circuit, options, context):
        from qloom.circuits import Circuit
        CIRCUITS[:] = [circuit]
        return Calibration((Circuit(1).x(0).measure(0, 0),), 50, {{"what": "x"}}, 3600.0)

    def calibrated(self, recipe, results):
        return {{"ones": results[0].counts.get("1", 0)}}

    def count(self):
        if not FOLDER:
            return
        with open(f"{{FOLDER}}/sealed.log", "a") as log:
            log.write("combine\\n")
        mine = Path(FOLDER, "mine")
        if not mine.exists():
            return
        number, victim = mine.read_text().split()
        if len(Path(FOLDER, "sealed.log").read_text().splitlines()) == int(number):
            mine.unlink()
            strike(victim)


CIRCUITS = []


def strike(victim):
    supervisor, own = os.getppid(), os.getpid()
    children = Path(f"/proc/{{supervisor}}/task/{{supervisor}}/children").read_text().split()
    others = [int(pid) for pid in children if int(pid) != own]
    for pid in {{"server": [own], "supervisor": [supervisor], "program": others}}[victim]:
        os.kill(pid, signal.SIGKILL)
    time.sleep(60)
'''

PLAIN = '''
from pydantic import BaseModel
from qloom.contracts import Answer, Expansion, Stage


class Plain(Stage):
    """Does nothing."""

    name = "secret"
    options_type = BaseModel

    def expand(self, circuit, options, context):
        return Expansion((circuit,))

    def combine(self, recipe, answers, options, context):
        return answers[0]
'''


def install(folder: Path) -> Path:
    """Install the sealed stage and return the folder."""
    folder.mkdir(exist_ok=True)
    Site(folder).install("host-stages", version="1.2", modules={"host_stages": STAGE}, stages={"secret": "host_stages:Secret"})
    return folder


def counted(folder: Path, name: str) -> int:
    """How many lines a file has that somebody counts in."""
    return len((folder / name).read_text().splitlines()) if (folder / name).exists() else 0


def environment(folder: Path) -> dict[str, str]:
    """The variables of a host with sealed stages in `folder`."""
    return {"QLOOM_SEALED_STAGES": str(folder), "QLOOM_TEST_FOLDER": os.fspath(folder.parent)}
