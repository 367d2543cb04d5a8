"""The log of a program's output: stamps, line ends, its limit, a disk that is full."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.executors.output_log import LINE_BYTES, OutputLog, split_lines

STAMP = "2026-11-21T14:38:52.123Z "


def written(path: Path, *feeds: tuple[str, bytes], limit_mb: float = 1) -> tuple[OutputLog, str]:
    log = OutputLog(path, limit_mb=limit_mb, clock=lambda: 1795271932.1234)
    for stream, data in feeds:
        log.feed(stream, data)
    log.close()
    return log, path.read_text() if path.exists() else ""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


def test_a_line_has_its_time_and_its_stream(path: Path) -> None:
    _, text = written(path, ("out", b"one\n"), ("err", b"two\n"))
    assert text == f"{STAMP}out| one\n{STAMP}err| two\n"


def test_a_line_that_comes_in_parts_is_one_line(path: Path) -> None:
    _, text = written(path, ("out", b"on"), ("err", b"other\n"), ("out", b"e\ntwo"))
    assert text == f"{STAMP}err| other\n{STAMP}out| one\n{STAMP}out| two\n"


def test_bytes_that_are_no_text_are_replaced(path: Path) -> None:
    _, text = written(path, ("out", b"caf\xc3\xa9 \xff\xfe end\r\n"))
    assert text == f"{STAMP}out| café \ufffd\ufffd end\n"


def test_a_very_long_line_is_split_between_characters(path: Path) -> None:
    long = "é" * LINE_BYTES
    _, text = written(path, ("out", ("x" + long + "\n").encode()))
    lines = [line.removeprefix(f"{STAMP}out| ") for line in text.splitlines()]
    assert "".join(lines) == "x" + long
    assert len(lines) == 3
    assert "\ufffd" not in text


def test_the_last_line_on_standard_error_is_remembered(path: Path) -> None:
    log, _ = written(path, ("err", b"first\nValueError: no\n \n"), ("out", b"later\n"))
    assert log.last_error_line == "ValueError: no"


def test_over_the_limit_beginning_and_end_are_kept_and_the_rest_is_counted(path: Path) -> None:
    lines = [b"%05d\n" % number for number in range(20_000)]
    log, text = written(path, *[("out", line) for line in lines], limit_mb=0.1)
    kept = [line.partition("| ")[2] for line in text.splitlines() if "out| " in line]
    assert (kept[0], kept[-1]) == ("00000", "19999")
    assert log.dropped_bytes == 6 * (20_000 - len(kept))
    assert f"[qloom] {log.dropped_bytes} bytes of output dropped (limit 0.1 MiB, resources.output_mb)" in text
    assert len(text) < 0.11 * 2**20


def test_what_fits_into_the_tail_is_not_dropped(path: Path) -> None:
    log, text = written(path, ("out", b"x" * 60 + b"\n"), *[("out", b"y\n")] * 15, limit_mb=0.001)
    assert log.dropped_bytes == 0
    assert "dropped" not in text
    assert text.count("out| y") == 15


def test_a_full_disk_drops_and_does_not_raise(tmp_path: Path) -> None:
    full = tmp_path / "output.log"
    full.symlink_to("/dev/full")
    log = OutputLog(full, limit_mb=1)
    log.feed("out", b"hello\n")
    log.feed("out", b"world")
    log.close()
    assert log.dropped_bytes == 11


def test_a_program_that_prints_nothing_has_no_log(path: Path) -> None:
    log, _ = written(path, ("out", b""))
    assert not path.exists()
    assert log.dropped_bytes == 0


def test_a_folder_that_is_gone_drops_and_does_not_raise(tmp_path: Path) -> None:
    log = OutputLog(tmp_path / "gone" / "output.log", limit_mb=1)
    log.feed("out", b"hello\n")
    log.close()
    assert log.dropped_bytes == 6


@given(st.lists(st.binary(max_size=40) | st.just(b"\n") | st.just(b"z" * 3 * LINE_BYTES), max_size=30))
def test_splitting_loses_nothing(chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    pieces, rest = split_lines(data)
    assert b"".join(piece.raw for piece in pieces) + rest == data
    assert len(rest) <= LINE_BYTES


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=40), st.integers(200, 3000))
def test_what_is_kept_and_what_is_dropped_is_everything(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], limit_bytes: int
) -> None:
    chunks = [bytes(byte % 26 + 97 if byte > 30 else 10 for byte in chunk) for chunk in chunks]
    path = tmp_path_factory.mktemp("log") / "output.log"
    log, text = written(path, *[("out", chunk) for chunk in chunks], limit_mb=limit_bytes / 2**20)
    kept = [line.removeprefix(f"{STAMP}out| ") for line in text.splitlines() if "[qloom]" not in line]
    letters = sum(map(len, kept))
    everything = sum(map(len, chunks))
    assert letters + log.dropped_bytes <= everything <= letters + len(kept) + log.dropped_bytes
