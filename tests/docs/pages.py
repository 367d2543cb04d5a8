"""Runs what the pages of the documentation show, block by block, as a reader would who types it in.

Sybil finds the blocks. In a folder and a QLOOM_HOME of its own, a page may hold:

- ```` ```python ````: run in one namespace for the page; with `>>>`, answers are compared (`...` stands for anything, and digits
  beyond those shown are free);
- ```` ```console ````: lines with `$` are typed into one bash for the page; what is shown below them is compared, and a command
  must succeed unless what is shown has a line that begins with `error:`;
- ```` ```text NAME ```` (any language and a file name): saved as that file;
- `<!-- skip: next "reason" -->` before a block that cannot run, `<!-- invisible-code-block: python ... -->` for what it needs.

In commands, `ID` is the newest job and `OTHER` the one before. `sleep` waits until the newest job runs and has told something: a
reader looks, a test must not hope.
"""

from __future__ import annotations

import doctest
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import SkipTest

from sybil import Document, Region
from sybil.evaluators.doctest import NUMBER, OutputChecker
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser

from qloom.jobspecs import JobState
from qloom.journal import read_journal
from qloom.kit.job_folder import JobFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sybil import Example

DOCS = Path(__file__).resolve().parents[2] / "docs"
WAIT_S = 60
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | NUMBER
FILE = re.compile(r"(?P<language>\w+) (?P<name>[\w./-]+)$\n", re.MULTILINE)
END = "\x1e"
TOLD = 5
"""Metrics that the newest job must have logged before `sleep` is over."""


class Page:
    """One page, in a folder of its own."""

    def __init__(self, path: Path, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        self.shell = Shell(folder, home)
        console = CodeBlockParser("console", self.type_in)
        python = PythonCodeBlockParser(doctest_optionflags=OPTIONS)
        self.document = Document.parse(str(path), python, console, self.files, SkipParser())

    def run(self) -> int:
        """Run every block in order and return how many ran; raises at the first one that is not as shown."""
        ran = 0
        try:
            for example in self.document.examples():
                try:
                    example.evaluate()
                except SkipTest:
                    continue
                ran += not isinstance(example.parsed, tuple)  # a comment for Sybil is no block
        finally:
            self.shell.close()
        return ran

    def files(self, document: Document) -> Iterator[Region]:
        """Find the blocks that are files."""
        for region in RawFencedCodeBlockLexer(FILE)(document):
            region.parsed, region.evaluator = region.lexemes["source"], self.save
            yield region

    def save(self, example: Example) -> None:
        """Save a block as the file it is."""
        path = self.folder / example.region.lexemes["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(example.parsed, encoding="utf-8")

    def type_in(self, example: Example) -> str:
        """Type the commands of a block; the answer says what is not as shown, and is empty where all is."""
        return "\n".join(filter(None, (self.command(typed, shown) for typed, shown in commands(example.parsed))))

    def command(self, typed: str, shown: str) -> str:
        """Type one command and say what is not as shown; what only looks is looked at again, as a reader would."""
        limit = time.monotonic() + (WAIT_S if re.match(r"qloom job (list|show)\b", typed) else 0)
        while True:
            said, code = self.shell.type(with_ids(typed, self.home))
            wrong = difference(said, code, with_ids(shown, self.home))
            if not wrong or time.monotonic() > limit:
                return f"$ {typed}\n{wrong}" if wrong else ""
            time.sleep(0.1)


def commands(block: str) -> list[tuple[str, str]]:
    r"""Return what is typed and what is shown below it, command by command.

    >>> commands("$ ls\na b\n$ echo 1 \\\n    2\n")
    [('ls', 'a b\n'), ('echo 1 \\\n    2', '')]
    """
    found: list[tuple[str, str]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif not found:
            raise ValueError(f"a console block begins with `$ `, this one with {line!r}")
        elif found[-1][0].endswith("\\") and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line}", "")
        else:
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
    return found


def difference(said: str, code: int, shown: str) -> str:
    """Return what is not as shown; empty where all is."""
    fails = bool(re.search(r"^error:", shown, re.MULTILINE))
    if (code != 0) != fails:
        return f"exited with {code}, and said:\n{said}"
    open_ended = re.sub(r"\n\.\.\.\n$", "...", shown)  # also where nothing follows
    if not shown or OutputChecker().check_output(open_ended, said, OPTIONS):
        return ""
    return f"shown:\n{shown}said:\n{said}"


def with_ids(text: str, home: Path) -> str:
    """Return a command, or what it says, with the ids of jobs in the place of `ID` and `OTHER`."""
    newest = [path.name for path in sorted((home / "jobs").glob("0*"), reverse=True)]
    for word, job_id in zip(("ID", "OTHER"), newest, strict=False):
        text = re.sub(rf"\b{word}\b", job_id, text)
    return text


class Shell:
    """One bash, as in a terminal of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        binaries = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"QLOOM_HOME": str(home), "PATH": binaries, "NO_COLOR": "1", "COLUMNS": "100", "LC_ALL": "C.UTF-8"}
        wait = f"sleep() {{ '{sys.executable}' '{__file__}' '{home}'; }}\n"
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            ["bash", "--norc"], cwd=folder, env=os.environ | own, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT
        )
        self.type(wait)

    def type(self, text: str) -> tuple[str, int]:
        """Type a command; return what it said and its exit code."""
        assert self.process.stdin is not None
        quoted = text.replace("'", "'\\''")
        self.process.stdin.write(f"eval '{quoted}' </dev/null\nprintf '{END}%s{END}' $?\n".encode())
        self.process.stdin.flush()
        said = self._until_end()
        output, code = said.removesuffix(END).rsplit(END, 1)
        return output, int(code)

    def _until_end(self) -> str:
        assert self.process.stdout is not None
        said, limit = b"", time.monotonic() + WAIT_S
        while said.count(END.encode()) < 2:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, limit - time.monotonic()))
            if not ready or not (more := os.read(self.process.stdout.fileno(), 65536)):
                raise AssertionError(f"no end within {WAIT_S} s, or the shell has gone; so far: {said.decode(errors='replace')}")
            said += more
        return said.decode()

    def close(self) -> None:
        """Close the terminal."""
        self.process.kill()
        self.process.communicate()


def wait_for_news(home: Path) -> None:
    """Return when the newest job has logged some metrics."""
    limit = time.monotonic() + WAIT_S
    while time.monotonic() < limit:
        jobs = [JobFolder(path) for path in sorted((home / "jobs").glob("0*"))]
        if jobs and jobs[-1].status().state is JobState.RUNNING and len(read_journal(jobs[-1].checkpoints).metrics) >= TOLD:
            return
        time.sleep(0.02)
    raise AssertionError(f"no metrics within {WAIT_S} s")


if __name__ == "__main__":
    wait_for_news(Path(sys.argv[1]))
