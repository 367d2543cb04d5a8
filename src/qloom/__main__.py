"""`python -m qloom` is `qloom`."""

from __future__ import annotations

import sys

from qloom.cli import main

if __name__ == "__main__":
    sys.exit(main())
