"""What the tutorial and the how-to pages show is run, and none of it can be left out unseen."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sybil.example import SybilFailure

from qloom.kit.sandbox import sandbox_problem
from tests.docs.pages import DOCS, Page

PAGES = [DOCS / "index.md", *sorted((DOCS / "howto").glob("*.md"))]
FENCE = re.compile(r"^(?:<!-- skip: next ([^\n]*) -->\n)?```(\S*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = {"python", "console"}
SHOWN_ONLY = {"{toctree}", "text", "toml", "json"}
INDENTED = re.compile(r"\n\n {4}(?! *[-*\d])[^\n]+")

Opener = Callable[[Path], Page]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_does_what_it_shows(page: Path, open_page: Opener) -> None:
    if page.stem in ("sandbox", "sealed-stages") and (problem := sandbox_problem()):
        pytest.skip(problem)
    open_page(page).run()


def test_every_how_to_page_has_its_line_in_the_list() -> None:
    text = (DOCS / "howto" / "index.md").read_text(encoding="utf-8")
    listed = sorted(re.findall(r"^\| \[[^]]+\]\((\S+\.md)\)", text, re.MULTILINE))
    assert listed == sorted({page.name for page in PAGES if page.parent.name == "howto"} - {"index.md"})


@pytest.mark.parametrize("page", [*PAGES, DOCS / "tutorial.md"], ids=lambda path: path.stem)
def test_every_block_of_a_page_is_run_or_says_why_not(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = FENCE.findall(text)
    assert len(blocks) * 2 == len(re.findall(r"^```", text, re.MULTILINE))
    assert [language for _, language, name, _ in blocks if not name and language not in RUN | SHOWN_ONLY] == []
    assert [reason for reason, *_ in blocks if reason and not re.fullmatch(r'".{10,}"', reason)] == []
    assert INDENTED.findall(FENCE.sub("", text)) == []


PROGRAM = """
```python coin.py
import qloom

@qloom.program
def coin(ctx: qloom.Context, shots: int = 10) -> int:
    return sum(ctx.device.run(qloom.Circuit(1).h(0), shots=shots).counts.values())
```
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(PROGRAM + text, encoding="utf-8")
    return path


def test_what_is_as_shown_passes_and_is_counted(tmp_path: Path, open_page: Opener) -> None:
    text = "```console\n$ qloom run coin.py -p shots=3\njob ...\n3\n$ qloom job show ID --json\n{...COMPLETED...}\n```\n"
    skipped = '<!-- skip: next "it would never end" -->\n```console\n$ false\n```\n'
    shown = "```python\n>>> from coin import coin\n>>> coin(shots=4)\n4\n```\n"
    assert open_page(written(tmp_path, text + skipped + shown)).run() == 4


@pytest.mark.parametrize(
    "block",
    [
        "```console\n$ qloom run coin.py -p shots=no\n```\n",
        "```console\n$ qloom run coin.py\nerror: it fails\n```\n",
        "```console\n$ echo 1\n2\n```\n",
        "```console\n$ qloom run coin.py -p shots=no\nerror: another one\n```\n",
        "```python\n>>> 1 + 1\n3\n```\n",
    ],
)
def test_what_is_not_as_shown_fails(block: str, tmp_path: Path, open_page: Opener) -> None:
    with pytest.raises(SybilFailure):
        open_page(written(tmp_path, block)).run()


def test_python_that_raises_fails(tmp_path: Path, open_page: Opener) -> None:
    with pytest.raises(ZeroDivisionError):
        open_page(written(tmp_path, "```python\n1 / 0\n```\n")).run()
