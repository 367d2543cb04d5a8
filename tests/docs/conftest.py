"""Pages run in a folder and a home of their own, in this process and in those they start."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qloom.app import application
from tests.docs.pages import DOCS, Page


@pytest.fixture
def open_page(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], Page]]:
    forget_modules_below(tmp_path_factory.getbasetemp())  # another test's program may be called as one of a page's
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    (folder / "examples").symlink_to(DOCS.parent / "examples")  # what a reader finds in a checkout
    monkeypatch.setenv("QLOOM_HOME", str(home))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    application.cache_clear()
    yield lambda path: Page(path, folder, home)
    application.cache_clear()
    forget_modules_below(folder)


def forget_modules_below(folder: Path) -> None:
    for name, module in tuple(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
