"""Pages run in a folder and a home of their own, in this process and in those they start."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qloom.app import application
from tests.docs.pages import DOCS, Page


@pytest.fixture
def open_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Page]]:
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    (folder / "examples").symlink_to(DOCS.parent / "examples")  # what a reader finds in a checkout
    monkeypatch.setenv("QLOOM_HOME", str(home))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    known = set(sys.modules)
    application.cache_clear()
    yield lambda path: Page(path, folder, home)
    application.cache_clear()
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
