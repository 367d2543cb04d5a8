import linecache
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qloom.errors import Divergence
from qloom.programs.failures import deciding_error, error_text, user_frames, user_traceback

DEEP = """
def fall(n):
    return fall(n - 1) if n else 1 / 0
"""


@pytest.fixture
def raised(tmp_path: Path) -> Callable[[str, str], BaseException]:
    """Runs a file below the source folder and returns what it raises."""

    def run(text: str, name: str = "vqe.py") -> BaseException:
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        linecache.checkcache()
        try:
            exec(compile(text, str(path), "exec"), {"__name__": "vqe"})
        except BaseException as error:  # noqa: BLE001  the error is what this is for
            return error
        raise AssertionError("it did not raise")

    return run


def test_only_frames_of_the_users_files_are_told(raised: Callable[..., BaseException], tmp_path: Path) -> None:
    error = raised("import json\n\ndef load(text):\n    return json.loads(text)\n\nload('{')\n", "chem/vqe.py")
    assert user_frames(error, tmp_path / "source") == (
        "chem/vqe.py:6 in <module>: load('{')",
        "chem/vqe.py:4 in load: return json.loads(text)",
    )
    assert error_text(error).startswith("JSONDecodeError: Expecting property name")


def test_frames_are_told_through_a_link_too(raised: Callable[..., BaseException], tmp_path: Path) -> None:
    error = raised("1 / 0\n")
    (tmp_path / "link").symlink_to(tmp_path / "source")
    assert user_frames(error, tmp_path / "link") == ("vqe.py:1 in <module>: 1 / 0",)


def test_a_runaway_recursion_is_cut_in_the_middle(raised: Callable[..., BaseException], tmp_path: Path) -> None:
    frames = user_frames(raised(DEEP + "fall(300)"), tmp_path / "source")
    assert len(frames) == 41
    assert frames[20] == "... 262 frames left out ..."
    assert frames[-1].endswith("return fall(n - 1) if n else 1 / 0")


def test_a_syntax_error_is_its_own_last_frame(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("x = 1\ny = = 2\n")
    with pytest.raises(SyntaxError) as caught:
        compile(path.read_text(), str(path), "exec")
    assert user_frames(caught.value, tmp_path) == ("broken.py:2 in <module>: y = = 2",)


def test_a_group_is_told_with_what_is_inside(raised: Callable[..., BaseException], tmp_path: Path) -> None:
    error = raised(
        "def a():\n    raise ValueError('one')\n"
        "try:\n    a()\nexcept ValueError as e:\n    raise ExceptionGroup('two tasks', [e, KeyError(2)])\n"
    )
    assert error_text(error) == "ExceptionGroup: two tasks (2 sub-exceptions); ValueError: one; KeyError: 2"
    assert user_frames(error, tmp_path / "source")[-1] == "vqe.py:2 in a: raise ValueError('one')"


def test_a_qloom_error_inside_a_group_decides() -> None:
    why = Divergence("asked something else", field="shots")
    assert deciding_error(ExceptionGroup("tasks", [ValueError(), ExceptionGroup("more", [why])])) is why
    plain = ValueError()
    assert deciding_error(plain) is plain


def test_a_message_that_cannot_be_read_is_said_to_be_so() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert error_text(Broken()) == "Broken: (its message cannot be read: RuntimeError)"


def test_the_traceback_shown_begins_with_the_users_code(raised: Callable[..., BaseException], tmp_path: Path) -> None:
    error = raised("1 / 0\n")
    trace = user_traceback(error, tmp_path / "source")
    assert trace is not None
    assert trace.tb_frame.f_code.co_filename == str(tmp_path / "source" / "vqe.py")
    assert user_traceback(error, Path(sys.prefix) / "nowhere") is error.__traceback__


def test_a_very_long_message_is_cut() -> None:
    assert error_text(ValueError("x" * 12_000)).endswith("x... (2000 more characters)")
