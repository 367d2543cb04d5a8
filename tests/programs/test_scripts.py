"""Reading plain Braket scripts: what travels, which entry points can be ones, what Braket would refuse. Nothing is run."""

import ast
from pathlib import Path

import pytest

import qloom.programs.script_start as script_start
from qloom.errors import InvalidParameters, InvalidProgram, InvalidSetting, Misuse, QloomError, UnknownName
from qloom.programs.scripts import (
    LONGEST_NAME,
    LONGEST_VALUE,
    MOST_HYPERPARAMETERS,
    Parameters,
    Script,
    check_hyperparameters,
    read_device,
    read_script,
)
from qloom.programs.shipping import Bundle

ALGORITHM = """\
import json
import braket.jobs as jobs
from braket.devices import LocalSimulator
try:
    import fast_library
except ImportError:
    fast_library = None

STEPS = 3
settings: dict = {}


def start(steps="3", *, method="cobyla"):
    import plotting_library


async def later():
    pass


class Runner:
    pass


made = Runner()
import os
start()
"""

Tree = dict[str, str]


def write(folder: Path, tree: Tree) -> Path:
    for name, text in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def algorithm(tmp_path: Path) -> Path:
    return write(tmp_path, {"algo.py": ALGORITHM}) / "algo.py"


# ---- files ---------------------------------------------------------------------------------------------------------------


def test_a_file_is_run_as_a_module_unless_an_entry_point_is_named(algorithm: Path) -> None:
    assert read_script(algorithm).bundle.entry_point == "algo"
    assert read_script(algorithm, "algo:start").bundle.entry_point == "algo:start"
    assert read_script(algorithm, "algo.py:start").bundle.entry_point == "algo:start"


def test_modules_beside_a_file_travel_and_so_does_its_requirements_txt(tmp_path: Path) -> None:
    write(
        tmp_path, {"algo.py": "import helper\nhelper.go()\n", "helper.py": "import deep.one\n", "deep/one.py": "", "other.py": ""}
    )
    (tmp_path / "requirements.txt").write_text("numpy\n")
    script = read_script(tmp_path / "algo.py")
    assert set(script.bundle.files) == {"algo.py", "helper.py", "deep/one.py", "requirements.txt"}
    assert script.requirements == b"numpy\n"


def test_only_what_is_imported_for_sure_has_to_be_installed(algorithm: Path) -> None:
    script = read_script(algorithm)
    assert script.needs == ("braket.devices", "braket.jobs")
    assert script.bundle.third_party == ("braket", "fast_library", "plotting_library")


def test_what_a_local_module_imports_has_to_be_installed_too(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"algo.py": "from tools import plot\nplot.go()\n", "tools/__init__.py": "", "tools/plot.py": "import scipy.linalg\n"},
    )
    assert read_script(tmp_path / "algo.py").needs == ("scipy.linalg",)


@pytest.mark.parametrize(
    ("entry", "kind", "said"),
    [
        ("algo:begin", UnknownName, "no function in algo.py called 'begin'"),
        ("algo:strat", UnknownName, "did you mean 'start'"),
        ("algo:STEPS", Misuse, "algo:STEPS is not callable: line 9 of algo.py assigns it 3"),
        ("algo:settings", Misuse, "is not callable: line 10"),
        ("algo:os", Misuse, "imports a module of that name"),
        ("algo:later", Misuse, "is an async function, which Braket calls and does not wait for"),
        ("algos:start", Misuse, "names the module 'algos', the script is 'algo'; write --entry algo"),
        ("start", Misuse, "--entry algo:FUNCTION"),
        ("algo:a:b", Misuse, "neither `module` nor `module:function`"),
        ("algo:", Misuse, "neither `module` nor `module:function`"),
        (":start", Misuse, "neither `module` nor `module:function`"),
        ("algo:Runner.run", Misuse, "neither `module` nor `module:function`"),
        ("al go", Misuse, "neither `module` nor `module:function`"),
    ],
)
def test_an_entry_point_that_cannot_be_one_is_refused(algorithm: Path, entry: str, kind: type[QloomError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        read_script(algorithm, entry)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("entry", ["algo:start", "algo:Runner", "algo:made"])
def test_a_class_or_what_was_made_by_a_call_may_be_callable(algorithm: Path, entry: str) -> None:
    assert read_script(algorithm, entry).bundle.entry_point == entry


def test_the_last_binding_of_a_name_counts(tmp_path: Path) -> None:
    path = write(tmp_path, {"algo.py": "main = None\ndef main(): ...\n"}) / "algo.py"
    assert read_script(path, "algo:main").parameters == Parameters()


def test_a_script_without_an_entry_point_is_refused_with_what_it_has(tmp_path: Path) -> None:
    path = write(tmp_path, {"algo.py": '"""Doc."""\nimport os\nN = 3\ndef first(): ...\ndef main(): ...\n'}) / "algo.py"
    with pytest.raises(Misuse, match="only defines first, main; name a function, --entry algo:main"):
        read_script(path)


@pytest.mark.parametrize("last", ["main()", "if __name__ == '__main__':\n    main()", "result = main()", "for i in []: pass"])
def test_a_script_that_does_something_needs_none(tmp_path: Path, last: str) -> None:
    path = write(tmp_path, {"algo.py": f"def main(): ...\n{last}\n"}) / "algo.py"
    assert read_script(path).bundle.entry_point == "algo"


def test_no_python_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidProgram, match=r"algo\.py, line 2"):
        read_script(write(tmp_path, {"algo.py": "x = 1\ndef (:\n"}) / "algo.py")


# ---- folders -------------------------------------------------------------------------------------------------------------

FOLDER = {
    "my_algo/__init__.py": "",
    "my_algo/train.py": "from . import tools\ndef main(): ...\nLIMIT = 3\n",
    "my_algo/tools.py": "import scipy\n",
    "my_algo/data/graph.json": "{}",
    "my_algo/requirements.txt": "scipy\n",
    "my_algo/.git/config": "secret",
    "my_algo/__pycache__/train.cpython-311.pyc": "",
    "elsewhere.py": "",
}


def test_a_folder_travels_whole_but_for_hidden_and_compiled_files(tmp_path: Path) -> None:
    script = read_script(write(tmp_path, FOLDER) / "my_algo", "my_algo.train:main")
    kept = ["__init__.py", "data/graph.json", "requirements.txt", "tools.py", "train.py"]
    assert list(script.bundle.files) == [f"my_algo/{name}" for name in kept]
    assert (script.name, script.needs, script.requirements) == ("my_algo", ("scipy",), b"scipy\n")


@pytest.mark.parametrize(
    "entry", ["my_algo.train:main", "train:main", "train.py:main", "my_algo/train.py:main", "./train.py:main"]
)
def test_a_module_of_a_package_is_named_as_braket_does_or_as_it_stands_inside(tmp_path: Path, entry: str) -> None:
    script = read_script(write(tmp_path, FOLDER) / "my_algo", entry)
    assert script.bundle.entry_point == "my_algo.train:main"


def test_a_folder_of_modules_that_import_each_other_plainly_is_their_root(tmp_path: Path) -> None:
    tree = {"runs/train.py": "import tools\ntools.go()\n", "runs/tools.py": "def go(): ..."}
    bundle = read_script(write(tmp_path, tree) / "runs", "train").bundle
    assert (bundle.entry_point, list(bundle.files)) == ("train", ["tools.py", "train.py"])


def test_a_folder_that_names_itself_is_below_its_root(tmp_path: Path) -> None:
    tree = {"runs/train.py": "import runs.tools as tools\ntools.go()\n", "runs/tools.py": "def go(): ..."}
    assert read_script(write(tmp_path, tree) / "runs", "train").bundle.entry_point == "runs.train"


def test_a_folder_with_a_main_module_needs_no_entry_point_as_on_braket(tmp_path: Path) -> None:
    script = read_script(write(tmp_path, {"runs/__main__.py": "import scipy\nprint()\n"}) / "runs")
    assert (script.bundle.entry_point, list(script.bundle.files), script.needs) == ("runs", ["runs/__main__.py"], ("scipy",))


def test_a_folder_without_an_entry_point_is_refused_with_what_could_be_one(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"needs an entry point: --entry MODULE:FUNCTION; it has .*my_algo\.train:main"):
        read_script(write(tmp_path, FOLDER) / "my_algo")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("my_algo.trian:main", r"no module in my_algo called 'my_algo\.trian'; did you mean 'my_algo\.train'"),
        ("data:main", "no module in my_algo called 'data'"),
        ("my_algo.train:mian", r"no function in train\.py called 'mian'; did you mean 'main'"),
        ("elsewhere:main", "no module in my_algo called 'elsewhere'"),
    ],
)
def test_a_module_or_function_that_is_missing_is_refused_with_the_nearest(tmp_path: Path, entry: str, said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        read_script(write(tmp_path, FOLDER) / "my_algo", entry)


def test_a_link_out_of_a_folder_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, FOLDER) / "my_algo"
    (folder / "more.txt").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(InvalidProgram, match=r"more\.txt links out of the script's folder"):
        read_script(folder, "train:main")


def test_a_link_to_a_folder_is_refused_and_one_to_a_file_inside_travels(tmp_path: Path) -> None:
    folder = write(tmp_path, FOLDER) / "my_algo"
    (folder / "copy.py").symlink_to(folder / "tools.py")
    assert "my_algo/copy.py" in read_script(folder, "train:main").bundle.files
    (folder / "again").symlink_to(folder / "data")
    with pytest.raises(InvalidProgram, match="again links to no file"):
        read_script(folder, "train:main")


def test_a_folder_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qloom.programs.scripts.LIMIT_MB", 1e-5)
    with pytest.raises(InvalidProgram, match="--input-data"):
        read_script(write(tmp_path, FOLDER) / "my_algo", "train:main")


def test_a_folder_called_like_a_module_of_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidProgram, match=r"json in .* has the name of a module of Python"):
        read_script(write(tmp_path, {"json/__init__.py": "", "json/a.py": "def main(): ..."}) / "json", "json.a:main")


# ---- devices and hyperparameters -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "local:pennylane/lightning.qubit",
        "local:braket/default",
        "local:braket/braket.local.qubit",
        "local:none/none",
        "arn:aws:braket:::device/quantum-simulator/amazon/sv1",
        "arn:aws:braket:us-east-1::device/qpu/ionq/Aria-1",
        "arn:aws-us-gov:braket:us-gov-west-1::device/qpu/x/Y_2",
    ],
)
def test_devices_in_brakets_forms_are_taken_as_they_are(name: str) -> None:
    assert read_device(name) == name


@pytest.mark.parametrize(
    "name", ["sim", "local:", "local:braket", "local:/x", "arn:aws:s3:::bucket", "arn:aws:braket:x", "local:a/b c", ""]
)
def test_other_devices_are_refused_with_the_forms_there_are(name: str) -> None:
    with pytest.raises(InvalidSetting, match="local:PROVIDER/SIMULATOR or an ARN"):
        read_device(name)


def plain(parameters: tuple[object, ...] | None = None) -> Script:

    known = Parameters(*parameters) if parameters is not None else None  # type: ignore[arg-type]
    return Script("algo", Bundle({}, "algo:main", "", (), ()), (), known)


def test_hyperparameters_up_to_brakets_limits_are_taken() -> None:
    check_hyperparameters({f"{number:0256}": "x" * LONGEST_VALUE for number in range(MOST_HYPERPARAMETERS)}, plain())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({str(number): "1" for number in range(MOST_HYPERPARAMETERS + 1)}, "101 hyperparameters, Braket takes 100"),
        ({"n" * (LONGEST_NAME + 1): "1"}, "has 257 characters, Braket takes 256"),
        ({"n": "1" * (LONGEST_VALUE + 1)}, "hyperparameter n has 2501 characters, Braket takes 2500"),
        ({"n": ""}, "hyperparameter n is empty"),
        ({"n": "1\n2"}, "hyperparameter n has several lines"),
    ],
)
def test_hyperparameters_that_braket_refuses_are_refused(values: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidParameters, match=said):
        check_hyperparameters(values, plain())


def test_the_limits_are_those_of_brakets_api() -> None:
    loaders = pytest.importorskip("botocore.loaders")
    shapes = loaders.Loader().load_service_model("braket", "service-2")["shapes"]
    limits = shapes["HyperParameters"]["max"], shapes["HyperParametersValueString"]["max"], shapes["String256"]["max"]
    assert limits == (MOST_HYPERPARAMETERS, LONGEST_VALUE, LONGEST_NAME)
    assert shapes["HyperParametersValueString"]["min"] == shapes["HyperParameters"]["key"].get("min", 1) == 1


def test_a_function_without_an_argument_that_it_needs_is_refused() -> None:
    with pytest.raises(InvalidParameters, match=r"algo:main needs n, m; give -p n=\.\.\. -p m=\.\.\."):
        check_hyperparameters({}, plain((("n", "m"),)))


def test_a_plain_function_may_read_hyperparameters_that_it_does_not_take() -> None:
    check_hyperparameters({"steps": "3"}, plain(((), ("n",))))


def test_a_number_that_is_none_is_refused_where_the_function_would_get_it_as_one() -> None:
    steps = plain((("n",), ("x",), False, False, {"n": int, "x": float}))
    check_hyperparameters({"n": "3", "x": "1e-3"}, steps)
    with pytest.raises(InvalidParameters, match="hyperparameter x must be float, as its parameter says, got 'much'"):
        check_hyperparameters({"n": "3", "x": "much"}, steps)
    check_hyperparameters({"n": "three", "more": "1"}, steps)  # called without any, as it does not take all of them


def test_a_hybrid_job_takes_no_other_names_than_its_own() -> None:
    with pytest.raises(InvalidParameters, match="algo:main has no parameter called 'step'; did you mean 'steps'"):
        check_hyperparameters({"step": "3"}, plain(((), ("steps",), False, True)))
    check_hyperparameters({"step": "3"}, plain(((), ("steps",), True, True)))


def test_the_parameters_of_a_function_are_read_from_its_source(tmp_path: Path) -> None:
    text = "from braket.jobs import hybrid_job\n@hybrid_job(device=None)\n"
    text += "def go(a: int, b: 'float'=1, *args, c, d=2, **more): ...\n"
    path = write(tmp_path, {"algo.py": text}) / "algo.py"
    assert read_script(path, "algo:go").parameters == Parameters(
        required=("a", "c"), optional=("b", "d"), any_name=True, hybrid_job=True, kinds={"a": int, "b": float}
    )


# ---- what runs in the script's interpreter ---------------------------------------------------------------------------------


def test_what_starts_a_script_is_python_3_9_and_imports_the_standard_library_alone() -> None:
    text = Path(script_start.__file__).read_text()
    tree = ast.parse(text, feature_version=(3, 9))
    top = [item for item in tree.body if isinstance(item, ast.Import | ast.ImportFrom)]
    names = {alias.name for item in top if isinstance(item, ast.Import) for alias in item.names}
    names |= {item.module or "" for item in top if isinstance(item, ast.ImportFrom)}
    allowed = {"__future__", "importlib", "importlib.abc", "inspect", "json", "os", "pathlib", "platform", "runpy", "shutil"}
    assert names == allowed | {"sys", "threading", "traceback"}
