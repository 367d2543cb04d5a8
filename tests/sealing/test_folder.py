"""The host's folder of sealed stages: what is told of it, without any of it in this process."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import qloom
from qloom.app import application
from qloom.cli import app
from qloom.config import Settings
from qloom.errors import InvalidSetting, MissingExtra, UnknownName
from qloom.kit.sandbox import seen_in_sandbox
from qloom.pipelines import read_pipeline
from qloom.sealing.folder import all_parts, check_sealed, sealed_in, sealed_stages
from tests.plugins import Site
from tests.sealed import install


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return install(tmp_path / "sealed")


def test_a_sealed_stage_is_listed_as_any_and_its_code_is_not_loaded(
    own_home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QLOOM_SEALED_STAGES", str(folder))
    application.cache_clear()
    part = next(part for part in qloom.plugins("stages") if part.name == "secret")
    assert (part.sealed, part.distribution, part.version) == (True, "host-stages", "1.2")
    assert part.doc == "Multiplies values by a factor, in two rounds."
    assert part.options is not None
    assert part.options["properties"]["factor"]["default"] == 2.0
    assert part.cost is not None
    assert part.cost.circuits == 1
    assert "host_stages" not in sys.modules
    assert str(folder) not in sys.path


def test_open_stages_are_not_sealed(folder: Path) -> None:
    sealed = {part.name for part in all_parts(folder, "stage", details=False) if part.sealed}
    assert sealed == {"secret"}
    assert {part.sealed for part in all_parts(folder, "device", details=False)} == {False}


def test_the_command_line_shows_it(own_home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QLOOM_SEALED_STAGES", str(folder))
    application.cache_clear()
    done = CliRunner().invoke(app, ["plugin", "show", "secret", "--json"])
    assert json.loads(done.stdout)["sealed"] is True


def test_a_pipeline_tells_which_of_its_stages_are_sealed(folder: Path) -> None:
    chain = read_pipeline(["zne", {"parallel": [["secret"], ["ddd"]]}, "secret"])
    assert sealed_in(chain, folder) == ("secret",)
    assert sealed_in(chain, None) == ()


def test_a_pipeline_is_checked_in_a_process_of_its_own(folder: Path) -> None:
    check_sealed(folder, read_pipeline(["zne", {"stage": "secret", "factor": 3.0}]))
    with pytest.raises(UnknownName, match="no option of stage secret called 'factr'; did you mean 'factor'"):
        check_sealed(folder, read_pipeline([{"stage": "secret", "factr": 3.0}]))
    with pytest.raises(UnknownName, match="no stage called 'zn'"):
        check_sealed(folder, read_pipeline(["secret", "zn"]))
    assert "host_stages" not in sys.modules


def test_what_a_stage_prints_when_it_is_loaded_is_no_answer(tmp_path: Path) -> None:
    (folder := tmp_path / "loud").mkdir()
    site = Site(folder)
    site.install("loud", modules={"loud": "print('{}'); import nowhere_at_all"}, stages={"loud": "loud:Loud"})
    assert "nowhere_at_all" in next(part.error for part in all_parts(folder, "stage") if part.name == "loud")
    with pytest.raises(MissingExtra, match="nowhere_at_all"):
        check_sealed(folder, read_pipeline(["loud"]))


def test_two_sealed_stages_of_one_name_are_refused(folder: Path) -> None:
    Site(folder).install("other-stages", stages={"secret": "others:Secret"})
    with pytest.raises(InvalidSetting, match=r"sealed stage secret is brought by .* and by"):
        sealed_stages(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be read"):
        sealed_stages(tmp_path / "nowhere")
    with pytest.raises(InvalidSetting, match="QLOOM_SEALED_STAGES must be an absolute path, got 'here'"):
        Settings.read({"QLOOM_SEALED_STAGES": "here"})
    assert Settings.read({"QLOOM_SEALED_STAGES": ""}).sealed_stages is None


def test_what_a_sandbox_shows_is_found_by_every_name_it_has(tmp_path: Path) -> None:
    (tmp_path / "shown" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "shown")
    for path in (tmp_path / "shown" / "below", tmp_path / "link" / "below", tmp_path):
        assert seen_in_sandbox(path, [tmp_path / "shown"]) == tmp_path / "shown"
    assert seen_in_sandbox(tmp_path / "shown" / "below", [tmp_path / "link"]) == tmp_path / "link"
    assert seen_in_sandbox(tmp_path / "hidden", [tmp_path / "shown"]) is None
