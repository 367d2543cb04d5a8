import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.report.labels import duration, label, number, split_unit


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("energy_hartree", "energy (hartree)"),
        ("error_mhartree", "error (mhartree)"),
        ("slope_hartree_per_rad", "slope (hartree/rad)"),
        ("rabi_rad_per_us", "rabi (rad/µs)"),
        ("cost_usd", "cost (USD)"),
        ("fidelity", "fidelity"),
        ("loss_per_class", "loss per class"),
        ("s", "s"),
        ("", ""),
    ],
)
def test_the_unit_at_the_end_of_a_name_is_told_apart(name: str, shown: str) -> None:
    assert label(name) == shown


@given(st.text(max_size=30))
def test_every_name_has_a_label(name: str) -> None:
    words, unit = split_unit(name)
    assert words in label(name)
    assert unit in label(name)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_shown_number_is_the_number_to_seven_digits(value: float) -> None:
    assert float(number(value).replace("−", "-")) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0004, "0 ms"), (0.9999, "1000 ms"), (59.96, "60.0 s"), (61, "1 min 1 s"), (float("nan"), "–")]
)
def test_durations_read_as_people_say_them(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
