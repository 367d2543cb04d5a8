"""What the documents say is true: their links lead somewhere, their programs run, their tables are those of the code."""

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qloom.jobspecs import INTERRUPTION_REASONS, JobState
from qloom.journal import read_journal, records
from qloom.kit.job_folder import JobFolder

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
QLOOM = [sys.executable, "-m", "qloom"]
WAIT_S = 60


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if not target.startswith("http")]
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_glossary_names_every_state_and_reason() -> None:
    text = read("docs/reference/glossary.md")
    assert [word for word in (*JobState, *INTERRUPTION_REASONS) if word not in text] == []


def test_the_journal_page_lists_the_records_as_the_code_numbers_them() -> None:
    told = dict(re.findall(r"^\| `([A-Z]+)` \| (\d+) \|", read("docs/explanation/journal.md"), re.MULTILINE))
    kinds = {
        name: value for name, value in vars(records).items() if name.isupper() and isinstance(value, int) and "_" not in name
    }
    assert {name: int(number) for name, number in told.items()} == kinds


def test_the_checkpoints_of_the_guide_go_on_where_they_were() -> None:
    class Context:
        saved: dict[str, Any] | None = None

        def load_checkpoint(self) -> dict[str, Any] | None:
            return self.saved

        def save_checkpoint(self, data: dict[str, Any]) -> None:
            self.saved = data

    (fragment,) = blocks(read("docs/howto/resume.md"), "python")
    context, seen = Context(), []

    def improve(_: Context, angles: int) -> int:
        seen.append(angles)
        return angles + 1

    for steps in (250, 300):
        exec(fragment, {"ctx": context, "start": 0, "steps": steps, "improve": improve})
    assert context.saved == {"step": 300, "angles": 300}
    assert seen == [*range(250), *range(200, 300)]


class Shell:
    """Types what the tutorial says, in a folder of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        (program,) = blocks(read("docs/tutorial.md"), "python ising.py")
        (folder / "ising.py").write_text(program, encoding="utf-8")

    def answer(self, *words: str) -> Any:
        command = [*QLOOM, *words, "--json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=WAIT_S, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def run_unkindly(self, *words: str) -> JobFolder:
        """Start a job, kill what started it as soon as there are some metrics, and return the job once it is seen dead."""
        process = subprocess.Popen([*QLOOM, "run", "ising.py", *words], cwd=self.folder, stderr=subprocess.DEVNULL)
        try:
            job = JobFolder(until(lambda: list((self.home / "jobs").glob("0*")))[0])
            until(lambda: len(read_journal(job.checkpoints).metrics) >= 5)
        finally:
            process.kill()
            process.wait()
        until(lambda: job.status().state.ended)
        return job


def until(ask: Callable[[], Any]) -> Any:
    limit = time.monotonic() + WAIT_S
    while time.monotonic() < limit:
        if found := ask():
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing within {WAIT_S} s")


@pytest.fixture
def shell(tmp_path: Path, home: Path) -> Shell:
    return Shell(tmp_path, home)


def test_the_program_of_the_tutorial_comes_near_the_lowest_energy_of_the_magnets(shell: Shell) -> None:
    # An open chain of six at the critical field: 1 - 1/sin(pi/26) (Pfeuty, Annals of Physics 57, 79 (1970)).
    lowest = 1 - 1 / math.sin(math.pi / 26)
    found = shell.answer("run", "ising.py", "--seed", "1", "-p", "rest_s=0")["result"]
    assert lowest < found["energy"] < 0.99 * lowest
    assert f"{lowest:.3f}" in read("docs/tutorial.md")


def test_the_job_of_the_tutorial_killed_and_resumed_ends_as_if_nobody_had(shell: Shell) -> None:
    job = shell.run_unkindly("--seed", "1", "-p", "steps=60")
    assert (job.status().state, job.status().reason) == (JobState.INTERRUPTED, "killed")
    resumed = shell.answer("job", "resume", job.path.name)
    unharmed = shell.answer("run", "ising.py", "--seed", "1", "-p", "steps=60", "-p", "rest_s=0")
    assert resumed["result"] == unharmed["result"]
    assert shell.answer("job", "show", job.path.name)["quantum_tasks"]["replayed"] >= 5
    assert len(read_journal(job.checkpoints).metrics) == 60
