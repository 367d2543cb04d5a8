"""Examples run as jobs: in a home of their own, in this process and in those it starts."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(own_home: Path) -> Path:
    return own_home
