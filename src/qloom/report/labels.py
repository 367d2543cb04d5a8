"""Names and numbers for people: units out of names, decimals that fit, times and durations."""

from __future__ import annotations

import math
from datetime import UTC, datetime

UNITS = {unit: unit for unit in ("hartree", "mhartree", "rad", "deg", "angstrom", "bohr", "mol", "kcal", "bits", "s", "ms", "ns")}
UNITS |= {"ev": "eV", "mev": "meV", "us": "µs", "usd": "USD", "um": "µm", "nm": "nm", "mb": "MiB", "percent": "%"}
UNITS |= {"hz": "Hz", "khz": "kHz", "mhz": "MHz", "ghz": "GHz"}
"""Last words of a name that are units, and how they are written."""

MINUS = "−"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def split_unit(name: str) -> tuple[str, str]:
    """Return what a name is about, in words, and its unit; no unit where the name does not end in one.

    >>> split_unit("energy_hartree"), split_unit("slope_hartree_per_rad"), split_unit("chsh_sum")
    (('energy', 'hartree'), ('slope', 'hartree/rad'), ('chsh sum', ''))
    """
    words = name.split("_")
    if len(words) > 3 and words[-2] == "per" and words[-3] in UNITS and words[-1] in UNITS:
        return " ".join(words[:-3]), f"{UNITS[words[-3]]}/{UNITS[words[-1]]}"
    if len(words) > 1 and words[-1] in UNITS:
        return " ".join(words[:-1]), UNITS[words[-1]]
    return name.replace("_", " "), ""


def label(name: str) -> str:
    """Return a name as an axis shows it.

    >>> label("energy_hartree"), label("chsh_sum")
    ('energy (hartree)', 'chsh sum')
    """
    words, unit = split_unit(name)
    return f"{words} ({unit})" if unit else words


def number(value: float, digits: int = 7) -> str:
    """Return a number with that many significant digits and a true minus sign.

    >>> number(-1.1373060358), number(200), number(3.2e-07), number(float("nan"))
    ('−1.137306', '200', '3.2e−07', 'nan')
    """
    return f"{value:.{digits}g}".replace("-", MINUS)


def brief(value: float) -> str:
    """Return a number for a small place: seven digits where differences matter, three of what is close to zero.

    >>> brief(-1.1373060358), brief(0.00021345)
    ('−1.137306', '0.000213')
    """
    return number(value, 7 if abs(value) >= 0.1 else 3)


def steps_of(value: float, decimals: int) -> str:
    """Return a tick's number with a fixed number of decimals, without a negative zero.

    >>> steps_of(-0.0, 1), steps_of(-1.5, 2), steps_of(25000, 0)
    ('0.0', '−1.50', '25,000')
    """
    return f"{value + 0.0:,.{decimals}f}".replace("-", MINUS)


def power_of_ten(exponent: int) -> str:
    """Return 10 to that power as people write it.

    >>> power_of_ten(-3)
    '10⁻³'
    """
    return "10" + str(exponent).translate(SUPERSCRIPTS)


def moment(seconds: float | None) -> str:
    """Return a time in UTC, a dash for none.

    >>> moment(0), moment(None)
    ('1970-01-01 00:00:00 UTC', '–')
    """
    return "–" if seconds is None else f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float | None) -> str:
    """Return how long something took, a dash where nobody knows.

    >>> duration(0.0421), duration(3.14), duration(3725), duration(None)
    ('42 ms', '3.1 s', '1 h 2 min 5 s', '–')
    """
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours} h " if hours else "") + f"{minutes} min {rest} s"
