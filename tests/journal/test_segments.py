"""Segments: any prefix is valid, any damage is named, a full disk leaves a readable file."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.errors import CorruptRecord, InvalidSetting, StorageFailed, WrongState
from qloom.journal.segments import FRAME_SIZE, HEADER_SIZE, SegmentWriter, read_record, read_segment, segment_header

RECORDS = [(3, b"first record"), (10, b""), (3, bytes(range(40))), (8, b"last record")]


def write(path: Path, records: list[tuple[int, bytes]]) -> bytes:
    writer = SegmentWriter.create(path)
    for kind, payload in records:
        writer.append(kind, payload)
    writer.close()
    return path.read_bytes()


def read(path: Path, problems: list[str] | None = None) -> list[tuple[int, bytes]]:
    return [(kind, payload) for kind, payload, _ in read_segment(path, problems)]


def ends() -> list[int]:
    """Offsets at which the file of RECORDS may end without a torn record."""
    offsets = [HEADER_SIZE]
    for _, payload in RECORDS:
        offsets.append(offsets[-1] + FRAME_SIZE + len(payload))
    return offsets


@given(records=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=12))
def test_what_was_appended_is_read(tmp_path_factory: pytest.TempPathFactory, records: list[tuple[int, bytes]]) -> None:
    path = tmp_path_factory.mktemp("any") / "1-a.seg"
    write(path, records)
    assert read(path) == records


def test_a_record_can_be_read_by_its_offset(tmp_path: Path) -> None:
    write(tmp_path / "1-a.seg", RECORDS)
    offsets = [offset for _, _, offset in read_segment(tmp_path / "1-a.seg")]
    assert [read_record(tmp_path / "1-a.seg", offset) for offset in offsets] == RECORDS


def test_a_file_cut_at_any_length_keeps_its_whole_records(tmp_path: Path) -> None:
    content = write(tmp_path / "1-a.seg", RECORDS)
    cut = tmp_path / "2-a.seg"
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        problems: list[str] = []
        assert read(cut, problems) == RECORDS[: max(0, sum(end <= length for end in ends()) - 1)]
        is_torn = length not in (0, *ends())
        assert len(problems) == is_torn, length
        if is_torn:
            start = max([0, *(end for end in ends() if end <= length)])
            assert problems[0].startswith(f"{cut}: ")
            assert f"from byte {start} on" in problems[0]


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_flipped_byte_anywhere_is_named(tmp_path: Path, flip: int) -> None:
    content = write(tmp_path / "1-a.seg", RECORDS)
    bad = tmp_path / "2-a.seg"
    for position in range(len(content)):
        bad.write_bytes(content[:position] + bytes([content[position] ^ flip]) + content[position + 1 :])
        start = max([0, *(end for end in ends() if end <= position)])
        problems: list[str] = []
        if position >= ends()[-2] + 7:  # the last record's own checksum and payload: a torn tail may look like that
            assert read(bad, problems) == RECORDS[:-1]
            assert f"from byte {start} on" in problems[0]
        else:
            with pytest.raises(CorruptRecord, match=f"{bad}.* at byte {start};.*--from-scratch"):
                read(bad, problems)


@pytest.mark.parametrize("count", [1, FRAME_SIZE - 1, FRAME_SIZE, 200, 70_000])
def test_zeros_that_a_power_loss_leaves_are_a_torn_tail(tmp_path: Path, count: int) -> None:
    path = tmp_path / "1-a.seg"
    content = write(path, RECORDS)
    for whole in (content, content[:-5]):
        path.write_bytes(whole + bytes(count))
        problems: list[str] = []
        assert read(path, problems) == (RECORDS if whole is content else RECORDS[:-1])
        assert len(problems) == 1


def test_bytes_after_zeros_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "1-a.seg"
    path.write_bytes(write(path, RECORDS) + bytes(50) + b"x")
    with pytest.raises(CorruptRecord, match=f"at byte {ends()[-1]}"):
        read(path)


def test_a_file_that_is_no_segment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1-a.seg").write_text("something else altogether")
    with pytest.raises(CorruptRecord, match="header"):
        read(tmp_path / "1-a.seg")


def test_a_format_of_the_future_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "1-a.seg").write_bytes(segment_header(version=2) + b"whatever it may be")
    with pytest.raises(InvalidSetting, match=r"format 2, this qloom reads format 1; use the qloom that wrote it"):
        read(tmp_path / "1-a.seg")


def test_nobody_appends_to_a_segment_that_exists(tmp_path: Path) -> None:
    content = write(tmp_path / "1-a.seg", RECORDS)
    with pytest.raises(WrongState, match="resuming the job"):
        SegmentWriter.create(tmp_path / "1-a.seg")
    assert (tmp_path / "1-a.seg").read_bytes() == content


def test_a_closed_segment_takes_nothing(tmp_path: Path) -> None:
    writer = SegmentWriter.create(tmp_path / "1-a.seg")
    writer.close("the job is over")
    writer.close()
    for append in (writer.append, writer.append_durable):
        with pytest.raises(WrongState, match=r"1-a\.seg"):
            append(1, b"late")


def test_durable_records_are_read_like_others(tmp_path: Path) -> None:
    writer = SegmentWriter.create(tmp_path / "new" / "journal" / "1-a.seg")
    writer.append_durable(4, b"intent")
    writer.append(3, b"answer")
    writer.append_durable(5, b"again")
    assert read(writer.path) == [(4, b"intent"), (3, b"answer"), (5, b"again")]


@pytest.mark.parametrize("size", [100, 3000])
def test_a_full_disk_leaves_a_readable_segment_and_appending_works_again(small_disk: Path, size: int) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(24 * 1024))
    writer = SegmentWriter.create(small_disk / "1-a.seg")
    kept: list[tuple[int, bytes]] = []

    def fill() -> None:
        while len(kept) < 1000:
            record = (3, bytes([len(kept) % 256]) * size)
            writer.append(*record)
            kept.append(record)

    with pytest.raises(StorageFailed, match=r"1-a.seg: the disk is full; free space, then resume"):
        fill()
    problems: list[str] = []
    assert read(writer.path, problems) == kept
    assert (len(kept) > 0, problems) == (True, [])
    filler.unlink()
    writer.append_durable(3, b"after")
    assert read(writer.path) == [*kept, (3, b"after")]


def test_a_disk_too_full_for_a_new_segment_gets_none(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(bytes(70 * 1024))
    with pytest.raises(StorageFailed, match="the disk is full"):
        SegmentWriter.create(small_disk / "1-a.seg")
    assert not (small_disk / "1-a.seg").exists()


def test_a_read_only_disk_is_said(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True, timeout=30)
    with pytest.raises(StorageFailed, match="read-only"):
        SegmentWriter.create(small_disk / "journal" / "1-a.seg")
