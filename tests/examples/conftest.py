"""Examples run as jobs: in a home of their own, in this process and in those it starts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from qloom.app import application


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("QLOOM_HOME", str(tmp_path / "home"))
    application.cache_clear()
    yield tmp_path / "home"
    application.cache_clear()
