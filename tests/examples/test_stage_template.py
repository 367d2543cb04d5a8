"""The template of a stage: built into a wheel and installed into a fresh environment, where everybody finds it at once."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from qloom.environments.uv import find_uv

TEMPLATE = Path(__file__).resolve().parents[2] / "examples" / "stage-template"
LIMIT_S = 100

LONG_LIVED = """
import subprocess, sys
import qloom

@qloom.program
def flipped(ctx: qloom.Context) -> float:
    return ctx.device.estimate(qloom.Circuit(1).x(0), {"Z": 1.0}).value

def wait(jobs):
    return [job.result(timeout_s=60) for job in jobs]

if __name__ == "__main__":
    before = [part.name for part in qloom.plugins("stages")]
    told = [flipped.submit().result(timeout_s=60) for _ in range(3)]  # from the second one on there is a fork server
    try:
        qloom.device("sim", pipeline=["echo"])
    except qloom.errors.UnknownName:
        told.append("unknown")
    subprocess.run(sys.argv[1:], check=True)
    after = [part.name for part in qloom.plugins("stages")]
    here = qloom.device("sim", pipeline=["echo"]).estimate(qloom.Circuit(1).x(0), {"Z": 1.0}).value
    with_stage = flipped.with_options(pipeline=["echo"])
    told += [with_stage.submit().result(timeout_s=60) for _ in range(3)]
    print("|", sorted({*after} - {*before}), here, told)
"""


class Fresh:
    """An environment with what qloom needs, and nothing that a test installs elsewhere."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.uv, folder = find_uv(), folder / "env"
        self.environment = os.environ | {"QLOOM_HOME": str(home), "UV_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.run(self.uv, "venv", "--quiet", "--python", sys.executable, str(folder))
        self.python = str(folder / "bin" / "python")
        packages = self.run(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
        # qloom and what it needs are those of this environment; what is installed in the fresh one comes first.
        line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        (Path(packages) / "this.pth").write_text(line, encoding="utf-8")

    def run(self, *command: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, check=False, cwd=where, env=self.environment, capture_output=True, text=True, timeout=LIMIT_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def installing(self, wheel: Path) -> list[str]:
        """The command that installs a wheel, without an index."""
        return [self.uv, "pip", "install", "--quiet", "--python", self.python, "--no-index", "--no-deps", str(wheel)]

    def stages(self) -> list[str]:
        return [
            part["name"] for part in json.loads(self.run(self.python, "-m", "qloom", "plugin", "list", "stages", "--json").stdout)
        ]


@pytest.fixture
def fresh(tmp_path: Path, home: Path) -> Fresh:
    return Fresh(tmp_path, home)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a wheel, by the build backend that is installed here."""
    folder = tmp_path_factory.mktemp("template")
    source = shutil.copytree(TEMPLATE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", "dist", ".*"))
    command = [find_uv(), "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--offline"]
    subprocess.run([*command, "--out-dir", str(folder / "dist"), str(source)], check=True, timeout=LIMIT_S)
    (found,) = (folder / "dist").glob("*.whl")
    return found


def test_the_template_is_found_at_once_by_a_process_that_starts_after_it_was_installed(fresh: Fresh, wheel: Path) -> None:
    assert "echo" not in fresh.stages()
    fresh.run(*fresh.installing(wheel))
    assert "echo" in fresh.stages()
    shown = json.loads(fresh.run(fresh.python, "-m", "qloom", "plugin", "show", "echo", "--json").stdout)
    assert (shown["distribution"], shown["version"], shown["author"], shown["licence"]) == (
        "qloom-echo",
        "1.0.0",
        "Your Name",
        "Apache-2.0",
    )
    assert (shown["error"], shown["gives"], shown["cost"]) == ("", ["values"], {"circuits": 2, "shots": 2, "rounds": 1})


def test_the_tests_of_the_template_pass_where_it_is_installed(fresh: Fresh, wheel: Path, tmp_path: Path) -> None:
    fresh.run(*fresh.installing(wheel))
    tests = shutil.copytree(TEMPLATE / "tests", tmp_path / "tests")
    said = fresh.run(fresh.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", str(tests), where=tmp_path).stdout
    assert " passed" in said
    skipped = [line for line in said.splitlines() if line.startswith("SKIPPED")]
    allowed = ("gives no counts", "counts are asked for", "draws nothing", "does not calibrate")
    assert [line for line in skipped if not any(reason in line for reason in allowed)] == []


def test_a_process_that_was_there_before_finds_it_too_and_so_do_the_jobs_that_it_starts(
    fresh: Fresh, wheel: Path, tmp_path: Path
) -> None:
    (tmp_path / "before.py").write_text(LONG_LIVED, encoding="utf-8")
    said = fresh.run(fresh.python, "before.py", *fresh.installing(wheel), where=tmp_path).stdout
    assert said.rpartition("| ")[2] == "['echo'] -1.0 [-1.0, -1.0, -1.0, 'unknown', -1.0, -1.0, -1.0]\n"


def test_the_page_on_writing_a_stage_shows_the_template_as_it_is() -> None:
    page = (TEMPLATE.parents[1] / "docs" / "howto" / "write-a-stage.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^```(?:python|toml)(?: my-stage/(\S+))?\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    assert shown["src/qloom_echo/__init__.py"] == (TEMPLATE / "src/qloom_echo/__init__.py").read_text(encoding="utf-8")
    toml = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert [text for text in toml if text not in (TEMPLATE / "pyproject.toml").read_text(encoding="utf-8")] == []
    assert toml
