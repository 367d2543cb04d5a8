#!/usr/bin/env bash
# Install the system packages that some tests use. Never fails a set-up: what is missing is named, with the tests it costs.
set -uo pipefail

# One line each: COMMAND PACKAGE WHAT IS SKIPPED WITHOUT IT. A package is wanted when its command is not on PATH.
readonly wanted='
bwrap bubblewrap jobs in a sandbox (tests/executors/test_sandbox.py)
chromium chromium reports and notebooks as people see them (tests/report/test_in_browser.py, a part of tests/test_notebook.py)
'

missing() {
    while read -r command package skipped; do
        [ -n "$command" ] && ! command -v "$command" >/dev/null 2>&1 && echo "$command $package $skipped"
    done <<<"$wanted"
    return 0
}

install() {
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
}

lacking=$(missing)
if [ -z "$lacking" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # shellcheck disable=SC2046  # package names are single words, one argument each
    install $(cut -d' ' -f2 <<<"$lacking") </dev/null >/dev/null || echo "apt-get could not install everything" >&2
fi
missing | while read -r command package skipped; do
    echo "without '$command' (Debian package $package) these tests are skipped: $skipped" >&2
done
exit 0
