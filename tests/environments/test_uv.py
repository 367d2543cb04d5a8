"""How uv is found and run: what it is lent of pip's settings, and what is kept from it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import qloom.environments.uv as running
from qloom.environments.keeping import Environments
from qloom.errors import InvalidSetting, MissingExtra, Unavailable
from tests.environments.conftest import wanted

CLOSED = "http://127.0.0.1:9/simple"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_OFFLINE", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    running._told_to_pip.cache_clear()
    yield
    running._told_to_pip.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_the_index_that_pip_is_told_by_a_variable_is_used(environments: Environments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", CLOSED)
    with pytest.raises(Unavailable, match=CLOSED):
        environments.prepare(wanted("six"), with_qloom=False)


@pytest.mark.usefixtures("fresh")
@pytest.mark.skipif(shutil.which("pip3") is None, reason="no pip, so it has no settings")
def test_the_index_in_pips_configuration_is_used(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {CLOSED}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    with pytest.raises(Unavailable, match=CLOSED):
        environments.prepare(wanted("six"), with_qloom=False)


@pytest.mark.usefixtures("fresh")
def test_without_a_network_that_is_said(environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(Unavailable, match="network was disabled"):
        environments.prepare(wanted("six"), with_qloom=False)


def test_shims_are_taken_off_the_path_and_what_they_stand_for_is_put_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("3.9.1", "3.12.1"):
        (tmp_path / "versions" / version / "bin").mkdir(parents=True)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    places = running._path(os.pathsep.join(["/usr/bin", str(tmp_path / "shims")])).split(os.pathsep)
    assert places == ["/usr/bin", f"{tmp_path}/versions/3.12.1/bin", f"{tmp_path}/versions/3.9.1/bin"]


def test_its_words_are_shortened_and_hold_no_password() -> None:
    said = "error: Failed to fetch: https://me:secret@example.org/six/\n  cause: it refused\n" + "more " * 500
    words = running.plain_words(said)
    assert words.startswith("Failed to fetch: https://...@example.org/six/: it refused more")
    assert len(words) < 1000


def test_a_uv_that_is_too_old_is_no_fault_of_the_requirement(tmp_path: Path) -> None:
    done = running.run_uv(["pip", "compile", "--no-such-option-yet", "-"], folder=tmp_path)
    with pytest.raises(MissingExtra, match="too old"):
        running.refuse(done, "nothing can be resolved", "change it")
    with pytest.raises(InvalidSetting, match=r"nothing can be resolved: .*; change it"):
        running.refuse(
            running.run_uv(["pip", "tree", "--python", "/bin/true"], folder=tmp_path), "nothing can be resolved", "change it"
        )
