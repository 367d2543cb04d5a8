"""The built documentation: without a warning, without another host, and with every command and every public name."""

import doctest
import fcntl
import html
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import qloom
from docs._ext import reference
from qloom import contracts, errors
from qloom.jobspecs import JobSpec
from qloom.kit.braket_environment import RESERVATION, braket_environment
from qloom.kit.job_folder import JobFolder
from tests.docs.pages import DOCS

ROOT = DOCS.parent
COMMANDS = dict(reference.commands())
EXAMPLES = reference.examples()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """All pages, built as `make docs` builds them; once for all processes of a test run."""
    shared = tmp_path_factory.getbasetemp()
    output = (shared if worker_id == "master" else shared.parent) / "docs"
    with output.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (output / "html" / "index.html").exists():
            build(output)
    return output / "html"


def build(output: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html", "-d", str(output / "trees")]
    aside = output / "building"
    done = subprocess.run([*command, str(DOCS), str(aside)], capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    aside.rename(output / "html")


def identifiers(page: Path) -> set[str]:
    return set(re.findall(r'id="([^"]+)"', page.read_text(encoding="utf-8")))


def test_every_public_name_has_its_place(built: Path) -> None:
    known = identifiers(built / "reference" / "api.html")
    elsewhere = {"__version__", "errors"}
    assert [name for name in qloom.__all__ if f"qloom.{name}" not in known and name not in elsewhere] == []


def test_every_error_and_contract_has_its_place(built: Path) -> None:
    known = identifiers(built / "reference" / "errors.html") | identifiers(built / "reference" / "contracts.html")
    kinds = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.QloomError)]
    assert [name for name in kinds if f"qloom.errors.{name}" not in known] == []
    assert [name for name in contracts.__all__ if f"qloom.contracts.{name}" not in known] == []


def test_every_command_has_its_place_with_all_its_options(built: Path) -> None:
    page = (built / "reference" / "cli.html").read_text(encoding="utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert len(COMMANDS) >= 15
    assert [words for words in COMMANDS if f'id="{words.replace(" ", "-")}"' not in page] == []
    names = {name for command in COMMANDS.values() for parameter in command.params for name in parameter.opts if name[0] == "-"}
    assert [name for name in names if name not in text] == []


def test_every_command_has_examples_and_every_example_a_command() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_read_by_the_command_line(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r"\S+\.qasm", line):
        (tmp_path / name).touch()
    reference.parse_example(line)


def test_an_example_with_an_option_that_is_gone_is_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        reference.parse_example("qloom job list --colour red")


def test_a_reader_needs_no_other_host(built: Path) -> None:
    loads = re.compile(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["'](?:https?:)?//|@import\s+["']?(?:https?:)?//""")
    files = [path for pattern in ("*.html", "*.css") for path in built.rglob(pattern)]
    assert len(files) > 20
    assert [path.name for path in files if loads.search(path.read_text(encoding="utf-8"))] == []


def test_every_page_can_be_reached(built: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in DOCS.rglob("*.md")}
    assert [page for page in pages if not (built / page).exists()] == []


def test_the_changes_that_are_not_released_are_on_their_page(built: Path) -> None:
    page = (built / "changelog.html").read_text(encoding="utf-8")
    assert page.count("<li><p>") >= len(list((ROOT / "changelog.d").glob("*.*.md")))


def test_the_page_of_variables_names_all_that_the_code_does() -> None:
    text = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "src" / "qloom").rglob("*.py"))
    ours = {name for source in sources for name in re.findall(r'"(QLOOM_[A-Z_]+)"', source)}
    job = JobSpec(job_id="01j0", program="vqe", entry_point="vqe:main", source_digest="")
    given = {*braket_environment(job, JobFolder(Path("/jobs/01j0")), 1), *RESERVATION}
    assert [name for name in sorted(ours | given) if f"`{name}`" not in text] == []


def test_pages_name_no_place_of_one_machine() -> None:
    place = re.compile(r"(?<![\w.`/$<~])/(?:home|root|work|Users)/\w|https?://[\w.-]*(?:pypi|index|mirror)")
    pages = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")}
    assert {name: found for name, text in pages.items() if (found := place.findall(text))} == {}


def test_what_makes_the_documentation_is_locked_and_asked_for() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    asked = {re.split(r"[<>=]", line)[0] for line in groups["dev"]}
    assert {"furo", "myst-parser", "sphinx", "sybil"} <= asked


def test_the_examples_in_what_makes_the_reference_run() -> None:
    assert doctest.testmod(reference).failed == 0
