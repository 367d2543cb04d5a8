"""The host's folder of sealed stages: what is in it, asked without loading any of it into this process.

`QLOOM_SEALED_STAGES` names a folder that distributions with stages were installed into (`pip install --target FOLDER ...`). It is
on nobody's path but that of processes of its own: one that tells what the stages are, one that checks a pipeline, and the device
server of a job (`sealing/serving.py`).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qloom.errors as errors
from qloom import catalogue
from qloom.contracts.stage import StageCost
from qloom.errors import InvalidSetting, QloomError, Unavailable
from qloom.kit.sandbox import python_paths, seen_in_sandbox
from qloom.pipelines import calls_of, chain_to_json, read_pipeline
from qloom.pipelines.opening import check_chain

if TYPE_CHECKING:
    from qloom.pipelines import Chain

VARIABLE = "QLOOM_SEALED_STAGES"
GROUP = "qloom.stages"
ANSWER_S = 60.0
"""Time for a process to load the sealed stages and answer."""


def sealed_stages(folder: Path | None) -> dict[str, str]:
    """Return the sealed stages, name -> distribution and version; loads nothing.

    Raises:
        InvalidSetting: two of them have one name.

    >>> sealed_stages(None)
    {}
    """
    return {} if folder is None else dict(_found(folder, _state(folder)))


def sealed_in(chain: Chain, folder: Path | None) -> tuple[str, ...]:
    """Return the stages of a pipeline that are sealed, each once."""
    known = sealed_stages(folder)
    return tuple(dict.fromkeys(call.stage for call in calls_of(chain) if call.stage in known))


@lru_cache(maxsize=4)
def _found(folder: Path, _state: tuple[int, ...]) -> dict[str, str]:
    from importlib.metadata import distributions

    found: dict[str, str] = {}
    for distribution in distributions(path=[str(folder)]):
        for entry in distribution.entry_points:
            if entry.group != GROUP:
                continue
            what = f"{distribution.name} {distribution.version}"
            if entry.name in found:
                raise InvalidSetting(f"sealed stage {entry.name} is brought by {found[entry.name]} and by {what}; remove one")
            found[entry.name] = what
    return found


def _state(folder: Path) -> tuple[int, ...]:
    try:
        return (folder.stat().st_mtime_ns,)
    except OSError as error:
        raise InvalidSetting(f"{VARIABLE}={folder} cannot be read ({error.strerror}); name a folder that is there") from error


def all_parts(folder: Path | None, kind: str | None = None, *, details: bool = True) -> list[catalogue.Part]:
    """Return every installed part and every sealed stage of this host; those are described by a process of their own.

    Args:
        folder: of the sealed stages; None for none.
        kind, details: as for `catalogue.parts`.

    Raises:
        UnknownName: no such kind.
        Unavailable: that process does not answer.
    """
    found = catalogue.parts(kind, details=details)
    if folder is None or kind not in (None, "stage", "stages"):
        return found
    sealed = [_part(fields) for fields in _described(folder, _state(folder))]
    return sorted([*found, *sealed], key=lambda part: (part.kind, part.name, part.distribution))


def _part(fields: dict[str, Any]) -> catalogue.Part:
    cost = None if fields["cost"] is None else StageCost(**fields["cost"])
    return catalogue.Part(**fields | {"gives": tuple(fields["gives"]), "cost": cost})


@lru_cache(maxsize=4)
def _described(folder: Path, _state: tuple[int, ...]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _ask(folder, {"what": "parts"})
    return found


def check_sealed(folder: Path, chain: Chain) -> None:
    """Refuse a pipeline with sealed stages that cannot work; worked out in a process of its own.

    Raises:
        UnknownName, InvalidSetting, MissingExtra: as `qloom.pipelines.opening.check_chain`.
        Unavailable: that process does not answer.
    """
    _ask(folder, {"what": "check", "pipeline": chain_to_json(chain)})


def check_hidden(folder: Path) -> None:
    """Refuse a folder that programs in a sandbox would see; a supervisor looks again, with its own path.

    Raises:
        InvalidSetting: it is below a folder that every sandbox shows.
    """
    loads = [sys.prefix, sys.base_prefix, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    if place := seen_in_sandbox(folder, python_paths([Path.home()], loads)):
        raise InvalidSetting(f"{VARIABLE}={folder} is below {place}, which every sandbox shows; put the folder elsewhere")


def _ask(folder: Path, question: dict[str, Any]) -> Any:
    import subprocess  # late: no process of a job needs it

    environment = {**os.environ, VARIABLE: str(folder)}
    command = [sys.executable, "-P", "-m", "qloom.entry", "sealed"]
    try:
        done = subprocess.run(
            command, input=json.dumps(question), capture_output=True, text=True, timeout=ANSWER_S, env=environment, check=False
        )
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise Unavailable(f"the process that loads the stages in {folder} gave no answer ({type(error).__name__})") from error
    if "error" in answer:
        kind, text = answer["error"]
        raise getattr(errors, kind)(text)
    return answer["found"]


# ---- in that process -------------------------------------------------------------------------------------------------


def open_folder() -> Path:
    """Put the folder that the environment names on this process's path, behind everything else, and return it.

    Raises:
        InvalidSetting: there is none.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        raise InvalidSetting(f"this host has no sealed stages: {VARIABLE} names no folder")
    folder = Path(named)
    _state(folder)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()
    return folder


def answer() -> int:
    """Answer one question from standard input on standard output; what stages print on the way goes to standard error."""
    said = os.dup(1)
    os.dup2(2, 1)
    try:
        found: dict[str, Any] = {"found": _answer(json.load(sys.stdin))}
    except QloomError as error:
        found = {"error": [type(error).__name__, str(error)]}
    os.write(said, json.dumps(found).encode())
    return 0


def _answer(question: dict[str, Any]) -> Any:
    sealed = sealed_stages(open_folder())
    if question["what"] == "parts":
        parts = [part for part in catalogue.parts("stage") if sealed.get(part.name) == f"{part.distribution} {part.version}"]
        return [part.to_json() | {"sealed": True} for part in parts]
    check_chain(read_pipeline(question["pipeline"]), catalogue.open_stage)
    return None
