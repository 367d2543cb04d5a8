"""What a quantum task answered.

`Result` keeps the answer compact; the costly forms (dicts of bit strings, single shots, pages for notebooks) are worked out when
asked for. Words are pure, with one exception: `Result.save` and `Result.load` open the one file that they are given, since a form
of a value that nobody can keep is of no use. Everything else about files is in the rooms.
"""

from typing import TYPE_CHECKING

from qloom.results.result import Engine, Result
from qloom.results.samples import IN_ORDER, SampleTable, table_of

if TYPE_CHECKING:
    from qloom.results.samples import FloatArray as FloatArray
    from qloom.results.samples import IntArray as IntArray
    from qloom.results.samples import KeyArray as KeyArray
    from qloom.results.samples import RowArray as RowArray

__all__ = ["IN_ORDER", "Engine", "Result", "SampleTable", "table_of"]
