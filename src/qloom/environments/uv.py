"""uv, the tool that finds interpreters, resolves requirements and installs packages: where it is, how it is run, what it says.

uv reads no settings of pip's. Whoever told pip about an index or a certificate means it for this too, so both are handed on,
in the process's environment alone: no address is ever written down.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.errors import InvalidSetting, MissingExtra, TimedOut, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT_S = 1800.0
"""For one call of uv: large packages over a slow line."""
START_S = 30.0
"""For uv to say its version."""
_LENT = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "cert": "SSL_CERT_FILE"}
"""Setting of pip -> variable of uv."""
_OTHERS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT")
"""What belongs to the environment that this process runs in."""
_UNREACHED = ("failed to fetch", "error sending request", "dns error", "connection refused", "network was disabled", "timed out")
_MOST_WORDS = 120


def find_uv() -> str:
    """Return the path of uv: the one beside this interpreter, else the one on PATH.

    Raises:
        MissingExtra: there is none.
    """
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if found is None:
        raise MissingExtra(
            "an environment is built by uv, which is neither beside this Python nor on PATH; "
            "install it: pip install 'qloom[environments]'"
        )
    return found


def uv_version() -> str:
    """Return uv's version, as "0.9.2".

    Raises:
        MissingExtra: there is no uv.
        InvalidSetting: what is called uv does not answer.
    """
    path = find_uv()
    try:
        done = subprocess.run([path, "--version"], check=True, capture_output=True, text=True, timeout=START_S)
        return done.stdout.split()[1]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise InvalidSetting(
            f"{path} does not answer as uv does: {error}; install it: pip install 'qloom[environments]'"
        ) from error


def run_uv(
    arguments: Sequence[str], *, folder: Path, text: str = "", held: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run uv and return how it ended, with what it wrote.

    Args:
        arguments: its arguments.
        folder: where it runs, so that no project around the user's current folder is read.
        text: its standard input.
        held: a descriptor that it keeps open while it lives: the lock on what it builds.

    Raises:
        MissingExtra: there is no uv.
        TimedOut: it took longer than `LIMIT_S`.
    """
    try:
        return subprocess.run(
            [find_uv(), "--no-progress", "--color", "never", *arguments],
            check=False,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=folder,
            env=_environment(),
            pass_fds=() if held is None else (held,),
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        what = " ".join(arguments[:2])
        raise TimedOut(f"uv {what} did not end within {LIMIT_S:g} s; is the package index slow? Run it again") from error


def refuse(done: subprocess.CompletedProcess[str], what: str, fix: str) -> None:
    """Do nothing where uv went well; else raise its words.

    Args:
        done: how it ended.
        what: what could not be done, for people.
        fix: the next step, where the packages themselves are at fault.

    Raises:
        MissingExtra: this uv is too old.
        Unavailable: no index could be reached.
        InvalidSetting: what was asked for cannot be had.
    """
    if done.returncode == 0:
        return
    words = plain_words(done.stderr or done.stdout)
    if "unexpected argument" in words:
        raise MissingExtra(f"{what}: this uv is too old ({words}); install a newer one: pip install 'qloom[environments]'")
    if any(sign in words.lower() for sign in _UNREACHED):
        raise Unavailable(
            f"{what}: no package index answers: {words}; look at the network, or name an index (UV_DEFAULT_INDEX, or index-url "
            "in pip's configuration). Environments that were built before work without one"
        )
    raise InvalidSetting(f"{what}: {words}; {fix}")


def plain_words(said: str) -> str:
    r"""Return what uv says in one line, shortened, without passwords.

    >>> plain_words("error: No solution found\n  cause: Because only six<=1.17.0 is available ...\n")
    'No solution found: Because only six<=1.17.0 is available ...'
    """
    text = re.sub(r"//[^/@\s]+@", "//...@", said)
    text = re.sub(r"\n+\s*cause: ", ": ", text.strip().removeprefix("error: "))
    words = text.split()
    return " ".join(words[:_MOST_WORDS]).rstrip(".;") + (" ..." if len(words) > _MOST_WORDS else "") or "no word why"


def find_python(version: str, *, folder: Path, why: str) -> str:
    """Return the path of an interpreter of some version; one that is nowhere is fetched where uv's settings allow it.

    Args:
        version: as "3.12", "3.12.1" or ">=3.12,<3.13".
        folder: where uv runs.
        why: who asks for it, for the error.

    Raises:
        InvalidSetting: there is none.
    """
    found = run_uv(["python", "find", "--no-project", "--system", version], folder=folder)
    if found.returncode != 0 and _may_fetch():
        run_uv(["python", "install", "--no-bin", version], folder=folder)
        found = run_uv(["python", "find", "--no-project", "--system", version], folder=folder)
    if found.returncode != 0:
        raise InvalidSetting(
            f"{why} asks for Python {version}, and there is none here ({plain_words(found.stderr)}); "
            f"install it (uv python install '{version}'), or ask for another one"
        )
    return found.stdout.strip()


def _may_fetch() -> bool:
    return os.environ.get("UV_PYTHON_DOWNLOADS", "automatic") not in ("never", "manual", "false") and not _is_set("UV_OFFLINE")


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() not in ("", "0", "false")


def _environment() -> dict[str, str]:
    """Return the variables uv runs with: this process's, without its own environment, with what pip was told."""
    kept = {name: value for name, value in os.environ.items() if name not in _OTHERS}
    lent = {} if kept.get("UV_DEFAULT_INDEX") or kept.get("UV_INDEX_URL") or _is_set("UV_OFFLINE") else _told_to_pip()
    return {**lent, **{name: value for name, value in kept.items() if value}, "PATH": _path(kept.get("PATH", os.defpath))}


def _path(path: str) -> str:
    """Return PATH without the shims of pyenv, which refuse to start what is not chosen, and with what stands behind them."""
    places = [place for place in path.split(os.pathsep) if Path(place).name != "shims"]
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    versions = sorted(home.glob("versions/*/bin"), key=lambda place: _numbers(place.parent.name), reverse=True)
    return os.pathsep.join([*places, *map(str, versions)])


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


@cache
def _told_to_pip() -> dict[str, str]:
    """Return what pip was told, as uv's variables."""
    environment = {f"PIP_{name.upper().replace('-', '_')}": name for name in _LENT}
    found = {_LENT[name]: os.environ[variable] for variable, name in environment.items() if os.environ.get(variable)}
    for line in _pip_configuration().splitlines():
        name, _, value = line.partition("=")
        setting = name.removeprefix("global.")
        if name.startswith("global.") and setting in _LENT:
            found.setdefault(_LENT[setting], value.strip("'\""))
    return found


def _pip_configuration() -> str:
    """Return what `pip config list` says; empty where there is no pip, which then has no settings either."""
    for command in ([sys.executable, "-m", "pip"], ["pip3"], ["pip"]):
        if command[0] == sys.executable and not _has_pip():
            continue
        try:
            done = subprocess.run([*command, "config", "list"], check=False, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return done.stdout
    return ""


def _has_pip() -> bool:
    from importlib.util import find_spec

    return find_spec("pip") is not None
