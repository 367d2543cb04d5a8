#!/usr/bin/env bash
# Print the path of a Python that can run qloom (3.11 or 3.12). PYTHON=... in the environment overrides the search.
set -euo pipefail

# The interpreter behind a virtual environment, not the environment: an activated .venv must not become its own parent.
readonly probe='
import sys
if not (3, 11) <= sys.version_info[:2] < (3, 13):
    raise SystemExit(1)
print(getattr(sys, "_base_executable", None) or sys.executable)
'

# Each candidate is run, not only looked up: a version manager may leave a `python3.12` on PATH that refuses to start.
works() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c "$probe" 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
    works "$PYTHON" && exit 0
    echo "PYTHON=$PYTHON does not run as Python 3.11 or 3.12; point PYTHON at one that does" >&2
    exit 1
fi
for candidate in python3.11 python3.12 python3; do
    works "$candidate" && exit 0
done
echo "no Python 3.11 or 3.12 found (tried python3.11, python3.12, python3); install one, or run: make PYTHON=/path/to/python3.12 ..." >&2
exit 1
