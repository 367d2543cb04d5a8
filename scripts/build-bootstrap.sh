#!/usr/bin/env bash
# Put the pinned uv into .bootstrap/bin, using nothing but a Python and its pip. Does nothing when it is already there.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly lock=environments/bootstrap.lock
readonly home=.bootstrap
readonly stamp=$home/.lock

if [ -x "$home/bin/uv" ] && cmp -s "$lock" "$stamp" && "$home/bin/uv" --version >/dev/null 2>&1; then
    exit 0
fi
python=$(scripts/find-python.sh)
rm -rf "$home"
pip_install=(-m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement "$lock")
if "$python" -m venv "$home" >/dev/null 2>&1; then
    "$home/bin/python" "${pip_install[@]}"
elif "$python" -m pip --version >/dev/null 2>&1; then
    # Debian ships ensurepip apart (python3-venv), so the venv fails half-made. uv is a plain binary: a folder will do.
    echo "note: '$python -m venv' does not work here (on Debian: package python3-venv); installing uv into a folder instead" >&2
    rm -rf "$home"
    "$python" "${pip_install[@]}" --root-user-action ignore --target "$home"
else
    echo "'$python' has neither ensurepip nor pip; install them (on Debian: apt-get install python3-venv) and run again" >&2
    exit 1
fi
cp "$lock" "$stamp"
