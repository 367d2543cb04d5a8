"""What all tests share: how properties look for examples.

`make test` takes the same examples each time, so that what passes today passes tomorrow; HYPOTHESIS_PROFILE=explore looks for
new ones. No example has a deadline, since test machines stall now and then.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from qloom.app import application
from tests.plugins import Site

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own for the test, and an application in this process that has it."""
    monkeypatch.setenv("QLOOM_HOME", str(tmp_path / "home"))
    application.cache_clear()
    yield tmp_path / "home"
    application.cache_clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A folder of packages that this process, and those it starts, find plugins in."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep))
    known = set(sys.modules)
    yield Site(folder)
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
