"""The journal: what the quantum side answered is on disk before the program sees it; a killed job replays and goes on.

`Journal` records, for the program's process, and `OutputMetrics` what a script prints; `read_journal` and
`JournalTail` read from outside, while it runs or later.
"""

from qloom.journal.journal import Journal
from qloom.journal.output_metrics import OutputMetrics
from qloom.journal.reader import JournalTail, JournalView, Metric, read_journal

__all__ = ["Journal", "JournalTail", "JournalView", "Metric", "OutputMetrics", "read_journal"]
