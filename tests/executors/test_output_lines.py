"""A program's output cut into lines for a listener."""

from hypothesis import given
from hypothesis import strategies as st

from qloom.executors.output_lines import LONGEST_LINE, OutputLines


def heard(*pieces: tuple[str, bytes]) -> list[bytes]:
    lines: list[bytes] = []

    def take(line: bytes, _: float) -> str:
        lines.append(line)
        return ""

    output = OutputLines(take)
    for stream, data in pieces:
        assert output.feed(stream, data) == []
    assert output.close() == []
    return lines


@given(st.lists(st.binary(max_size=20)))
def test_wherever_output_is_cut_its_lines_are_told_once_and_whole(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    lines = [line.removesuffix(b"\r") for line in whole.split(b"\n")]
    told = heard(*(("out", piece) for piece in pieces))
    assert told[: whole.count(b"\n")] == lines[:-1]
    assert told[whole.count(b"\n") :] == ([whole.split(b"\n")[-1]] if whole.split(b"\n")[-1] else [])


def test_two_streams_do_not_mix() -> None:
    assert heard(("out", b"Metrics"), ("err", b"warning\n"), ("out", b" - a=1;\n")) == [b"warning", b"Metrics - a=1;"]


def test_a_line_without_an_end_does_not_grow_for_ever() -> None:
    assert heard(("out", b"x" * (2 * LONGEST_LINE)), ("out", b"y\n")) == [b"x" * LONGEST_LINE + b"y"]


def test_what_the_listener_has_to_say_is_handed_on() -> None:
    output = OutputLines(lambda line, now: "no" if b"bad" in line else "")
    assert output.feed("out", b"good\nbad\nbad") == ["no"]
    assert output.close() == ["no"]
