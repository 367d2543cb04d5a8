"""Errors as records: the same class, message and facts come back."""

import pytest

from qloom.errors import Divergence, InvalidCircuit, JobInterrupted, QloomError, Rejected, Unavailable
from qloom.journal.codec import decode, encode
from qloom.journal.failures import describe, restore


@pytest.mark.parametrize(
    "error",
    [
        Rejected("no such device"),
        Unavailable("asleep"),
        Divergence("changed", field="shots"),
        InvalidCircuit("unknown gate", line=3, column=7),
        JobInterrupted("gone", reason="lost"),
        ValueError("no", 3),
        KeyError("angle"),
        FileNotFoundError(2, "No such file", "data.csv"),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_back_as_it_was(error: Exception) -> None:
    again = restore(decode(encode(describe(error))))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert getattr(again, "errno", None) == getattr(error, "errno", None)


def test_only_our_own_and_pythons_classes_are_made_by_name() -> None:
    assert restore(["os", "system", ["true"], {}]) is None
    assert restore(["builtins", "eval", ["1"], {}]) is None
    assert restore(["builtins", "SystemExit", ["1"], {}]) is None
    assert restore(["qloom.errors", "get_close_matches", ["1"], {}]) is None
    assert isinstance(restore(["qloom.errors", "QloomError", ["fine"], {}]), QloomError)


def test_arguments_that_no_record_can_hold_become_text() -> None:
    assert restore(decode(encode(describe(ValueError(object))))).args == ("<class 'object'>",)  # type: ignore[union-attr]
