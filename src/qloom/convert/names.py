"""Names of parameters that OpenQASM cannot spell, such as `theta[0]`: written otherwise, and said so in a comment line.

`// parameter theta_0 is theta[0]` in a line of its own says that the input `theta_0` is the parameter `theta[0]`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qloom.circuits.expressions import NAME
from qloom.convert.dialects import INCLUDES, RESERVED_3, meanings
from qloom.convert.formulas import CONSTANTS_3, FUNCTIONS_3, LETTER
from qloom.convert.formulas import NAME as NAME_IN_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_COMMENT = re.compile(r"^// parameter (\S+) is (\S+)$", re.MULTILINE)
_WRITABLE = re.compile(NAME_IN_TEXT)
_FOREIGN = re.compile(rf"(?!{LETTER}|[0-9]).")
_TAKEN = {
    *INCLUDES["stdgates.inc"],
    *meanings(),
    *RESERVED_3,
    *CONSTANTS_3,
    *FUNCTIONS_3,
    "mod",
    "floor",
    "ceiling",
    "popcount",
    "q",
    "c",
}


def spoken(text: str) -> dict[str, str]:
    """Return, for a text, input -> name of the parameter where a comment line gives it another name.

    >>> spoken("// parameter theta_0 is theta[0]")
    {'theta_0': 'theta[0]'}
    """
    if "// parameter " not in text:
        return {}
    return {found[1]: found[2] for found in _COMMENT.finditer(text) if NAME.fullmatch(found[2])}


def written(parameters: Iterable[str]) -> Mapping[str, str]:
    """Return parameter -> the input it is written as: itself where OpenQASM can spell it, else something close and unique.

    >>> written(["theta[0]", "t", "theta"])
    {'theta[0]': 'theta_0', 't': 't_', 'theta': 'theta'}
    """
    names = list(parameters)
    used = {name for name in names if _WRITABLE.fullmatch(name) and name not in _TAKEN}
    result: dict[str, str] = {}
    for name in names:
        close = name
        if name not in used:
            close = _FOREIGN.sub("_", name.replace("[", "_").replace("]", ""))
            close = f"p{close}" if close.strip("_") == "" else close
            while close in used or close in _TAKEN:
                close += "_"
            used.add(close)
        result[name] = close
    return result
