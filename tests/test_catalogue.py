"""What is installed: found by anyone's entry points, and what cannot be used hides nothing else."""

import json
import re
import subprocess
import sys

import pytest

import qloom
from qloom import catalogue
from qloom.catalogue import Part, open_stage
from qloom.errors import BrokenPlugin, InvalidSetting, MissingExtra, UnknownName
from tests.plugins import STAGE, Site

OURS = ["auto", "average", "ddd", "mitiq", "readout", "symmetry", "transpile", "twirling", "zne"]


def only(name: str, kind: str = "stages") -> Part:
    (found,) = (part for part in qloom.plugins(kind) if part.name == name)
    return found


def test_a_stage_of_another_package_is_found_with_all_that_is_to_be_known(site: Site) -> None:
    told = "Author-email: Ann Author <ann@example.org>, Bob Builder <bob@example.org>\nLicense-Expression: MIT\n"
    site.install("lab-stages", metadata=told, modules={"lab": STAGE}, stages={"twice": "lab:Twice"})
    part = only("twice")
    assert (part.distribution, part.version, part.author) == ("lab-stages", "1.0", "Ann Author, Bob Builder")
    assert (part.doc, part.licence, part.error) == ("Runs a circuit twice.", "MIT; Special", "")
    assert part.cost == (2, 2, 1)
    assert (part.max_rounds, part.gives, part.joins_branches, part.sealed) == (3, ("values", "counts"), False, False)
    assert part.options is not None
    assert part.options["properties"]["times"]["minimum"] == 1
    assert json.loads(json.dumps(part.to_json(), allow_nan=False))["cost"] == {"circuits": 2, "shots": 2, "rounds": 1}


def test_a_stage_of_another_package_works_in_a_pipeline(site: Site) -> None:
    site.install("lab-stages", modules={"lab": STAGE}, stages={"twice": "lab:Twice"})
    device = qloom.device("sim", pipeline=[{"stage": "twice", "times": 3}])
    assert device.estimate(qloom.Circuit(1).x(0), {"Z": 1.0}).value == pytest.approx(-1)


def test_ours_are_found_as_anyones() -> None:
    parts = {part.name: part for part in qloom.plugins("stage")}
    assert sorted(parts) == OURS
    assert [part.error for part in parts.values()] == [""] * len(OURS)
    assert "GPL-3.0" in parts["mitiq"].licence
    assert parts["mitiq"].cost is None
    assert parts["zne"].cost is not None
    assert parts["zne"].cost.circuits == 3


def test_kinds_are_known_in_both_numbers_and_others_refused() -> None:
    assert qloom.plugins("executor") == qloom.plugins("executors") == [only("local", "executors")]
    assert {part.kind for part in qloom.plugins()} == {"device", "executor", "stage"}
    with pytest.raises(UnknownName, match="no kind of plugin called 'stag'; did you mean 'stage'"):
        qloom.plugins("stags")


BROKEN = {
    "raises": ('raise RuntimeError("no\\nlicence key")', "RuntimeError: no licence key"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "is_no_python": ("def (", "SyntaxError: invalid syntax"),
    "is_empty": ("", "AttributeError: .*Twice"),
    "is_a_number": ("Twice = 3", "is a int, and cannot be called"),
    "wants_more": ("class Twice:\n    def __init__(self, licence): ...", "making it fails with TypeError: .*licence"),
    "is_no_stage": ("class Twice: ...", "is no stage: it lacks name, options_type, expand, combine; derive it from"),
    "is_half": (STAGE.replace("def combine", "def combined"), "is no stage: it lacks combine;"),
    "has_no_options": (STAGE.replace("options_type = Options", ""), "is no stage: it lacks options_type;"),
    "has_odd_options": (STAGE.replace("options_type = Options", "options_type = dict"), "not a pydantic model"),
    "has_another_name": (STAGE.replace('"twice"', '"thrice"'), "calls itself 'thrice'"),
    "imports_what_is_not_there": ("import nowhere.at_all", "needs the package 'nowhere', which is not installed here"),
}


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_stage_is_listed_with_its_error_refused_when_used_and_hides_no_other(source: str, site: Site) -> None:
    text, error = BROKEN[source]
    site.install("lab-stages", version="2.1", modules={"lab": text}, stages={"twice": "lab:Twice"})
    site.install("other", modules={"other": STAGE.replace('"twice"', '"well"')}, stages={"well": "other:Twice"})
    part = only("twice")
    assert re.search(error, part.error)
    assert (part.distribution, part.version, part.options, part.cost) == ("lab-stages", "2.1", None, None)
    with pytest.raises((BrokenPlugin, MissingExtra), match=error) as refused:
        qloom.device("sim", pipeline=["twice"])
    assert "stage twice" in str(refused.value)
    assert "lab-stages 2.1" in str(refused.value)
    assert only("well").error == ""
    assert [name for name in OURS if only(name).error] == []
    assert open_stage("well").name == "well"


@pytest.mark.parametrize(
    ("there", "instead", "error"),
    [
        ("circuits=options.times", 'circuits=float("nan")', "above 0"),
        ("circuits=options.times", "circuits=1 / 0", "ZeroDivisionError"),
        ("times: int = Field(2, ge=1", "times: __import__('typing').Callable = Field(2", "PydanticInvalid"),
    ],
)
def test_a_stage_that_cannot_say_what_it_is_is_listed_with_that_error(there: str, instead: str, error: str, site: Site) -> None:
    assert there in STAGE
    site.install("lab-stages", modules={"lab": STAGE.replace(there, instead)}, stages={"twice": "lab:Twice"})
    assert error in only("twice").error


def test_a_default_that_json_has_no_number_for_is_text(site: Site) -> None:
    source = STAGE.replace("times: int = Field(2", 'times: float = Field(float("inf")').replace("options.times", "2")
    site.install("lab-stages", modules={"lab": source}, stages={"twice": "lab:Twice"})
    assert (only("twice").options or {})["properties"]["times"]["default"] == "Infinity"


@pytest.mark.parametrize("value", ["lab:Gone", "gone:Twice", "lab.gone:Twice"])
def test_an_entry_point_that_leads_nowhere_is_broken_and_needs_no_package(value: str, site: Site) -> None:
    site.install("lab-stages", modules={"lab": STAGE}, stages={"twice": value})
    with pytest.raises(BrokenPlugin, match=f"stage twice of lab-stages 1.0 cannot be used: loading {value} fails with"):
        open_stage("twice")


def test_two_packages_with_one_stage_are_both_listed_and_neither_is_used(site: Site) -> None:
    site.install("lab-stages", version="1.2", modules={"lab": STAGE}, stages={"twice": "lab:Twice"})
    site.install("other-stages", version="3.0", modules={"other": STAGE}, stages={"twice": "other:Twice"})
    both = r"by lab-stages 1\.2 \(lab:Twice\) and by other-stages 3\.0 \(other:Twice\).*uninstall"
    found = [part for part in qloom.plugins("stages") if part.name == "twice"]
    assert [part.distribution for part in found] == ["lab-stages", "other-stages"]
    assert all(re.search(both, part.error) for part in found)
    with pytest.raises(BrokenPlugin, match=f"stage twice: .*{both}"):
        qloom.device("sim", pipeline=["twice"])
    assert qloom.device("sim", pipeline=["zne"]).estimate(qloom.Circuit(1).x(0), {"Z": 1.0}).value == pytest.approx(-1)
    assert catalogue.names("stage").count("twice") == 1


def test_a_package_that_takes_the_name_of_one_of_ours_takes_only_that_name(site: Site) -> None:
    site.install("lab", stages={"zne": "lab:Zne"}, devices={"sim": "lab:create"}, executors={"local": "lab:create"})
    for kind, name in (("stage", "zne"), ("device", "sim"), ("executor", "local")):
        with pytest.raises(BrokenPlugin, match=rf"{kind} {name}: .*by lab 1\.0 .* and by qloom \d"):
            catalogue.load(kind, name)
    with pytest.raises(BrokenPlugin, match="device sim"):
        catalogue.check_device_name("sim:engine=qulacs")
    assert [(part.kind, part.name) for part in qloom.plugins() if part.error] == [
        *[("device", "sim")] * 2,
        *[("executor", "local")] * 2,
        *[("stage", "zne")] * 2,
    ]


def test_a_broken_device_is_listed_and_refused_and_hides_no_other(site: Site) -> None:
    site.install("lab", modules={"lab": "import nowhere"}, devices={"fridge": "lab:create"})
    assert only("fridge", "devices").error == (
        "device fridge needs the package 'nowhere', which is not installed here; install it beside lab 1.0"
    )
    with pytest.raises(MissingExtra, match="nowhere"):
        qloom.device("fridge")
    assert qloom.device("sim").run(qloom.Circuit(1), shots=3).counts == {"0": 3}


def test_an_unknown_stage_is_refused_with_the_near_ones(site: Site) -> None:
    site.install("lab-stages", modules={"lab": STAGE}, stages={"twice": "lab:Twice"})
    with pytest.raises(UnknownName, match="no stage called 'twize'; did you mean 'twice'"):
        qloom.device("sim", pipeline=["twize"])


def test_an_option_of_a_plugin_that_there_is_not_is_refused_with_the_near_ones(site: Site) -> None:
    site.install("lab-stages", modules={"lab": STAGE}, stages={"twice": "lab:Twice"})
    with pytest.raises(UnknownName, match="no option of stage twice called 'time'; did you mean 'times'"):
        qloom.device("sim", pipeline=[{"stage": "twice", "time": 2}])
    with pytest.raises(InvalidSetting, match=r"stage twice: option times: .*greater than or equal to 1"):
        qloom.device("sim", pipeline=[{"stage": "twice", "times": 0}])


def test_names_are_told_without_loading_anything(site: Site) -> None:
    site.install("lab-stages", modules={"lab": 'raise RuntimeError("loaded")'}, stages={"twice": "lab:Twice"})
    code = "import sys; from qloom.catalogue import names; print(names('stage'), 'numpy' in sys.modules, 'lab' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == f"{sorted([*OURS, 'twice'])} False False\n"


def test_what_an_installer_writes_after_somebody_looked_is_found(site: Site) -> None:
    site.install("lab-stages", modules={"lab": STAGE})
    assert "twice" not in catalogue.names("stage")
    # The folder of packages stays as it was: only a file inside one of its folders changes.
    (site.folder / "lab_stages-1.0.dist-info" / "entry_points.txt").write_text("[qloom.stages]\ntwice = lab:Twice\n")
    assert open_stage("twice").name == "twice"


def test_a_package_that_goes_is_gone_at_once(site: Site) -> None:
    site.install("lab-stages", modules={"lab": STAGE}, stages={"twice": "lab:Twice"})
    assert open_stage("twice").name == "twice"
    (site.folder / "lab_stages-1.0.dist-info" / "entry_points.txt").unlink()
    (site.folder / "lab_stages-1.0.dist-info").rename(site.folder / "gone")
    with pytest.raises(UnknownName, match="no stage called 'twice'"):
        open_stage("twice")


def test_a_list_of_entry_points_that_cannot_be_read_hides_no_other(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.install("lab-stages", modules={"lab": STAGE}, stages={"twice": "lab:Twice"})
    site.install("torn", version="0.1")
    (site.folder / "torn-0.1.dist-info" / "entry_points.txt").write_text("[qloom.stages]\nno line of that form\n")
    assert sorted(part.name for part in qloom.plugins("stages") if not part.error) == sorted([*OURS, "twice"])
    assert "torn 0.1 is passed over" in caplog.text


def test_a_package_without_metadata_is_no_trouble(site: Site) -> None:
    site.install("lab-stages", modules={"lab": STAGE}, stages={"twice": "lab:Twice"})
    (site.folder / "lab_stages-1.0.dist-info" / "METADATA").unlink()
    part = only("twice")
    assert (part.error, part.distribution, part.author, part.licence) == ("", "", "", "Special")


def test_options_of_devices_and_executors_are_schemas_too() -> None:
    assert only("local", "executor").options == {
        "type": "object",
        "properties": {"fork_server": {"type": "boolean", "default": True}},
        "required": [],
    }
    sim = only("sim", "device").options or {}
    assert sim["properties"]["threads"] == {"type": ["integer", "null"], "default": None}


def test_where_all_lists_can_be_read_they_are_read_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="qloom.kit.packages"):
        qloom.plugins("stages")
    assert caplog.text == ""
