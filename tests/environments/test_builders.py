"""Builders that are killed, and builders that meet: processes of their own, killed for good."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qloom.environments.keeping import Environments
from tests.environments.conftest import Prepare, left_aside

BUILDER = """
import os, signal, sys
from pathlib import Path
from qloom.environments.asked import Wanted
from qloom.environments.keeping import Environments

def progress(text):
    print(text, flush=True)
    if sys.argv[2] and text.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

wanted = Wanted(requirements=("six==1.16.0",), requirements_from="--requirements")
print("digest", Environments(Path(sys.argv[1])).prepare(wanted, with_qloom=False, progress=progress).digest)
"""


def start_builder(environments: Environments, killed_at: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILDER, str(environments.root), killed_at]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("step", ["resolving", "building", "installing", "trying it", "done"])
def test_after_a_killed_build_the_next_one_succeeds(environments: Environments, prepare: Prepare, step: str) -> None:
    killed = start_builder(environments, step)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert environments.built() == []
    built = prepare("six==1.16.0")
    assert built.is_whole()
    assert left_aside(environments) == []


def test_what_killed_builders_of_other_environments_left_is_removed_too(environments: Environments, prepare: Prepare) -> None:
    start_builder(environments, "trying it").communicate(timeout=60)
    assert len(left_aside(environments)) == 1
    prepare("iniconfig")
    assert left_aside(environments) == []


def test_two_builders_at_once_build_once(environments: Environments) -> None:
    first, second = start_builder(environments), start_builder(environments)
    said = [builder.communicate(timeout=60)[0] for builder in (first, second)]
    assert sum("installing" in one for one in said) == 1
    assert len({one.splitlines()[-1] for one in said}) == 1
    assert len(environments.built()) == 1


def test_a_builder_waits_for_the_one_that_holds_the_lock(environments: Environments, prepare: Prepare) -> None:
    built = prepare("six==1.16.0")
    lock: Path = environments.root / "by-digest" / f".{built.digest}.building"
    holder = subprocess.Popen(
        ["flock", str(lock), "sh", "-c", "echo held; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    (environments.root / "resolved").rename(environments.root / "forgotten")
    heard: list[str] = []

    def progress(text: str) -> None:
        heard.append(text)
        if "waiting" in text:
            holder.communicate("go on\n", timeout=60)

    assert prepare("six==1.16.0", progress=progress).digest == built.digest
    assert "another process builds this environment; waiting for it" in heard
