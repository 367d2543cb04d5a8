"""Settings that are read from the environment, and what they change."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qloom
from qloom.app import application
from qloom.config import Settings
from qloom.errors import InvalidSetting

SOURCE = """
import qloom

@qloom.program
def square(ctx: qloom.Context, x: int) -> int:
    return x * x
"""


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("QLOOM_HOME", str(tmp_path / "home"))
    (tmp_path / "settings_programs.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    application.cache_clear()
    yield
    application.cache_clear()
    sys.modules.pop("settings_programs", None)


@pytest.mark.parametrize(("said", "on"), [({}, True), ({"QLOOM_FORK_SERVER": ""}, True), ({"QLOOM_FORK_SERVER": "OFF"}, False)])
def test_the_fork_server_is_on_unless_it_is_said_to_be_off(said: dict[str, str], *, on: bool) -> None:
    assert Settings.read({"QLOOM_HOME": "/tmp/q", **said}).fork_server is on


@pytest.mark.parametrize("said", ["0", "false", "offf"])
def test_another_word_for_the_fork_server_is_refused(said: str) -> None:
    with pytest.raises(InvalidSetting, match=f"QLOOM_FORK_SERVER is on or off, got '{said}'"):
        Settings.read({"QLOOM_FORK_SERVER": said})


@pytest.mark.parametrize(("said", "supervisors"), [("on", 1), ("off", 4)])
def test_with_the_fork_server_off_every_job_has_a_supervisor_of_its_own(
    said: str, supervisors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import settings_programs  # type: ignore[import-not-found]

    monkeypatch.setenv("QLOOM_FORK_SERVER", said)
    sweep = qloom.map(settings_programs.square, [{"x": x} for x in range(4)])
    assert sweep.results() == [0, 1, 4, 9]
    assert len({job.status().pid for job in sweep.jobs}) == supervisors
