#!/usr/bin/env bash
# Build one environment from environments/NAME.lock, with qloom itself editable in it:
#   scripts/build-environment.sh qloom         -> .venv
#   scripts/build-environment.sh braket-sdk    -> .environments/braket-sdk
# A stamp inside the environment tells what it was built from; when nothing changed, nothing is done.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly name=${1:?usage: scripts/build-environment.sh NAME, where environments/NAME.lock exists}
readonly lock=environments/$name.lock
if [ ! -f "$lock" ]; then
    echo "there is no $lock; known: $(cd environments && echo *.lock)" >&2
    exit 2
fi
if [ "$name" = qloom ]; then target=.venv; else target=.environments/$name; fi
readonly target

# Two at once (a test run and a `make envs`, say) would install over each other; the second waits, then finds the work done.
mkdir -p .environments
if command -v flock >/dev/null 2>&1; then
    exec 9>".environments/.$name.lock"
    flock 9
fi

checksum() { cat "$@" | cksum | tr ' ' '-'; }
# The folder comes first: scripts inside an environment name it by its full path, so a moved checkout builds anew.
packages="$PWD $(checksum "$lock" environments/bootstrap.lock "$0")"
project=$(checksum pyproject.toml)
readonly packages project
has() { # has ENVIRONMENT packages|project: was it built from what is here now?
    [ "$(cat "$1/.made-from-$2" 2>/dev/null)" = "${!2}" ]
}
readonly say_version='import sys; print(sys.version_info[:2])'
starts() { # does its Python run, and is it the one that PYTHON asks for, if it asks?
    local version asked
    version=$("$1/bin/python" -c "$say_version" 2>/dev/null) || return 1
    if [ -z "${PYTHON:-}" ]; then return 0; fi
    asked=$(scripts/find-python.sh 2>/dev/null) && [ "$version" = "$("$asked" -c "$say_version")" ]
}

if has "$target" packages && has "$target" project && starts "$target"; then
    exit 0
fi

scripts/build-bootstrap.sh
python=$(scripts/find-python.sh)
readonly python uv=$PWD/.bootstrap/bin/uv
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME
export UV_PYTHON_DOWNLOADS=never

# Whoever told pip about a mirror or a certificate means it for this too; uv does not read pip's settings.
borrow_from_pip() { # borrow_from_pip PIP_SETTING UV_VARIABLE
    local value
    if [ -z "${!2:-}" ] && value=$("$python" -m pip config get "global.$1" 2>/dev/null); then
        export "$2=$value"
    fi
}
borrow_from_pip index-url UV_DEFAULT_INDEX
borrow_from_pip cert SSL_CERT_FILE

install_packages() {
    "$uv" pip sync --quiet --require-hashes --python "$1/bin/python" "$lock"
    echo "$packages" >"$1/.made-from-packages"
}

# Without build isolation: what builds qloom is in the lock, with its hashes, and nothing else is downloaded.
install_project() {
    "$uv" pip install --quiet --no-deps --no-build-isolation --python "$1/bin/python" --editable .
    echo "$project" >"$1/.made-from-project"
}

# In place: quick when few packages changed. An interrupted build leaves no stamp, and the next one starts over.
build_in_place() {
    if [ "$(cut -d' ' -f1 "$target/.made-from-packages" 2>/dev/null)" != "$PWD" ] || ! starts "$target"; then
        "$uv" venv --quiet --clear --python "$python" "$target"
    fi
    if ! has "$target" packages; then
        rm -f "$target"/.made-from-* # both: the sync also takes the editable qloom out
        install_packages "$target"
    fi
    install_project "$target"
}

# Aside, then renamed: whoever sees the environment sees it whole. Relocatable, or its scripts would name the old place.
build_aside() {
    local aside=.environments/.$name.$$
    # shellcheck disable=SC2064  # the name is fixed now
    trap "rm -rf '$aside' '$aside.old'" EXIT
    "$uv" venv --quiet --clear --relocatable --python "$python" "$aside"
    install_packages "$aside"
    install_project "$aside"
    if [ -e "$target" ]; then mv "$target" "$aside.old"; fi
    mv "$aside" "$target"
}

echo "building $target from $lock" >&2
if [ "$name" = qloom ]; then build_in_place; else build_aside; fi
