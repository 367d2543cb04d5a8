"""The cache of texts: bounded, safe under kills and many writers, and never the reason why something fails."""

import errno
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.errors import InvalidSetting
from qloom.kit.text_cache import ABANDONED_S, FORMAT, TextCache

KEY = "0123456789abcdef" * 2
NO_TEXT = (
    FORMAT.encode()
    + b" "
    + KEY.encode()
    + b" "
    + blake2b(KEY.encode() + b"\n\x80", digest_size=16).hexdigest().encode()
    + b"\n\x80"
)
"""An entry with a first line that fits, around what is no UTF-8."""
WRITER = """
import os, signal, sys
from pathlib import Path
import qloom.kit.text_cache as text_cache
from qloom.kit.text_cache import TextCache

def text_of(key, generation=0):
    return f"{key} {generation} " * 2_000

cache = TextCache(Path(sys.argv[1]), limit_bytes=int(sys.argv[2]))
"""


@pytest.fixture
def cache(tmp_path: Path) -> TextCache:
    return TextCache(tmp_path / "cache", limit_bytes=1_000_000)


def entry(cache: TextCache, key: str = KEY) -> Path:
    return cache.folder / f"{key}.entry"


def key_of(number: int) -> str:
    return f"{number:032x}"


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    kept = TextCache(tmp_path_factory.mktemp("cache"), limit_bytes=100_000)
    assert kept.keep(KEY, text) == text
    assert kept.read(KEY) == text
    assert kept.read(key_of(1)) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: content.replace(b"text", b"texd"),
        lambda content: content + b"x",
        lambda content: content.replace(b"cache 1", b"cache 9"),
        lambda content: b"\x80\x04\x95pickled, or whatever else",
        lambda content: content.partition(b"\n")[2],
        lambda content: NO_TEXT,
    ],
)
def test_an_entry_that_is_not_whole_is_missing_and_is_replaced(
    cache: TextCache, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    cache.keep(KEY, "some text")
    entry(cache).write_bytes(damage(entry(cache).read_bytes()))
    assert cache.read(KEY) is None
    assert "is cut short, damaged or not ours; it counts as missing and is replaced" in caplog.text
    assert cache.keep(KEY, "some text") == "some text"
    assert cache.read(KEY) == "some text"


def test_an_entry_under_the_name_of_another_is_missing(cache: TextCache) -> None:
    cache.keep(KEY, "text")
    entry(cache).rename(entry(cache, key_of(1)))
    assert cache.read(key_of(1)) is None


@pytest.mark.parametrize(
    "plant",
    [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/hostname"), lambda path: path.write_bytes(b"x" * 2_000_000)],
)
def test_something_else_in_the_place_of_an_entry_is_missing(
    cache: TextCache, plant: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    cache.folder.mkdir()
    plant(entry(cache))
    assert cache.read(KEY) is None
    assert "missing" in caplog.text
    assert cache.keep(KEY, "text") == "text"


def test_the_first_of_two_writers_wins(cache: TextCache) -> None:
    other = TextCache(cache.folder, limit_bytes=cache.limit_bytes)
    assert cache.keep(KEY, "first") == "first"
    assert other.keep(KEY, "second") == "first"
    assert other.read(KEY) == "first"


def test_a_file_system_without_hard_links_has_a_cache_too(cache: TextCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert cache.keep(KEY, "text") == "text"
    assert cache.read(KEY) == "text"
    assert [path.name for path in cache.folder.iterdir()] == [entry(cache).name]


# ---- the bound


def test_what_was_not_used_for_longest_goes_first(cache: TextCache) -> None:
    small = TextCache(cache.folder, limit_bytes=5000)
    for number in range(4):
        small.keep(key_of(number), "x" * 1000)
        os.utime(entry(small, key_of(number)), ns=(0, number))
    small.read(key_of(0))
    small.keep(key_of(4), "x" * 1000)
    small.keep(key_of(5), "x" * 1000)
    left = [number for number in range(6) if entry(small, key_of(number)).exists()]
    assert 0 in left
    assert 5 in left
    assert 1 not in left
    assert small.size_bytes() <= 5000


@given(sizes=st.lists(st.integers(0, 3000), max_size=12))
def test_the_folder_is_never_over_its_bound_after_a_write(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    small = TextCache(tmp_path_factory.mktemp("cache"), limit_bytes=4000)
    for number, size in enumerate(sizes):
        text = "x" * size
        assert small.keep(key_of(number), text) == text
        assert small.read(key_of(number)) == text
        assert small.size_bytes() <= 4000


def test_an_entry_larger_than_the_bound_is_not_kept(tmp_path: Path) -> None:
    small = TextCache(tmp_path, limit_bytes=1000)
    assert small.keep(KEY, "x" * 1000) == "x" * 1000
    assert small.read(KEY) is None


def test_what_a_dead_process_left_is_removed_when_it_is_old(cache: TextCache) -> None:
    cache.folder.mkdir()
    old, fresh = (cache.folder / f"{KEY}.1.1.{number}.aside" for number in range(2))
    for path in (old, fresh):
        path.write_text("half")
    os.utime(old, (0, time.time() - ABANDONED_S - 60))
    cache.keep(KEY, "text")
    assert (old.exists(), fresh.exists()) == (False, True)


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "1"])
def test_a_bound_that_is_no_number_of_bytes_is_refused(tmp_path: Path, limit: Any) -> None:
    with pytest.raises(InvalidSetting, match="number of bytes from 1 up"):
        TextCache(tmp_path, limit_bytes=limit)


@pytest.mark.parametrize("key", ["", "../x", "ABC", "a/b"])
def test_a_key_that_is_no_digest_is_refused(cache: TextCache, key: str) -> None:
    with pytest.raises(InvalidSetting, match="is hexadecimal"):
        cache.read(key)


# ---- folders that do not work


@pytest.mark.parametrize("call", ["open", "write", "link", "scandir"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT])
def test_a_folder_that_cannot_be_written_costs_one_warning(
    cache: TextCache, call: str, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    if call == "link":
        monkeypatch.setattr(os, "replace", refuse)
    for position in range(3):
        assert cache.keep(key_of(position), "text") == "text"
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert f"cannot be written ({os.strerror(number)})" in warnings[0]
    monkeypatch.undo()
    assert not list(cache.folder.glob("*.aside"))


def test_a_file_in_the_place_of_the_folder_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("no folder")
    broken = TextCache(tmp_path / "cache" / "compiled", limit_bytes=1000)
    assert broken.read(KEY) is None
    assert broken.keep(KEY, "text") == "text"
    assert "cannot be written (Not a directory)" in caplog.text


# ---- kills, and many at once

KILLED = WRITER + textwrap.dedent("""
    class Mined:
        # The module's `os`, which kills this process at one of its calls; a write is cut in half before.
        def __init__(self, strike):
            self.left = strike

        def __getattr__(self, name):
            real = getattr(os, name)
            if name not in ("open", "close", "link", "replace", "unlink", "utime"):
                return real
            def mined(*args, **kwargs):
                self.strike()
                value = real(*args, **kwargs)
                self.strike()
                return value
            return mined

        def strike(self):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    mine = Mined(int(sys.argv[3]))
    def write_all(descriptor, content):
        for part in (content[:100], content[100:-100], content[-100:]):
            mine.strike()
            os.write(descriptor, part)
    text_cache.os, text_cache.write_all = mine, write_all
    for key in ("a" * 32, "b" * 32, "a" * 32):
        cache.read(key)
        cache.keep(key, text_of(key))
    print("through")
""")


def text_of(key: str, generation: int = 0) -> str:
    return f"{key} {generation} " * 2_000


def test_a_kill_at_any_moment_leaves_nothing_wrong(tmp_path: Path) -> None:
    struck, said = 0, ""
    while "through" not in said:
        struck += 1
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), "150000", str(struck)], capture_output=True, text=True, check=False
        )
        said = done.stdout
        assert done.returncode == (0 if said else -signal.SIGKILL), done.stderr
        left = TextCache(tmp_path, limit_bytes=150_000)
        for letter in "ab":
            assert left.read(letter * 32) in (None, text_of(letter * 32))
            if struck % 2:  # half of the rounds begin with a folder that is empty but for what dead writers left
                left.forget(letter * 32)
    assert struck > 15


RACING = WRITER + textwrap.dedent("""
    for number in range(100_000):
        key = f"{number % 7:032x}"
        if number % 3 == 0:
            cache.forget(key)
        kept = cache.keep(key, text_of(key, int(sys.argv[3])))
        assert kept in (text_of(key, 1), text_of(key, 2)), "neither of the two"
        print(number, flush=True)
""")


def test_two_processes_that_write_the_same_keys_and_are_killed_never_leave_a_mixture(tmp_path: Path) -> None:
    for moment in (1, 4, 9):
        writers = [
            subprocess.Popen([sys.executable, "-c", RACING, str(tmp_path), "500000", name], stdout=subprocess.PIPE, text=True)
            for name in "12"
        ]
        for writer in writers:
            assert writer.stdout is not None
            while int(writer.stdout.readline()) < moment * 5:
                left = TextCache(tmp_path, limit_bytes=500_000)
                assert all(left.read(key) in (None, text_of(key, 1), text_of(key, 2)) for key in map(key_of, range(7)))
        for writer in writers:
            writer.kill()
            assert writer.wait() == -signal.SIGKILL
            assert writer.stdout is not None
            writer.stdout.close()
    left = TextCache(tmp_path, limit_bytes=500_000)
    assert all(left.read(key) in (None, text_of(key, 1), text_of(key, 2)) for key in map(key_of, range(7)))
