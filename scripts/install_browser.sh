#!/bin/sh
# Find a Chromium for the web environments; where there is none, install one.
# Usage: scripts/install_browser.sh PYTHON
# Ends with 1 and the command to run by hand where neither Playwright nor apt could.
set -u
python=${1:?expected the Python that agentgym-si is installed in}

find_browser() {
    browser=$("$python" -c '
from agentgym_si.envs.web.browsers import find_browser
from agentgym_si.errors import MissingDependency
try:
    print(find_browser())
except MissingDependency:
    raise SystemExit(1)
') && "$browser" --version >/dev/null 2>&1 && echo "browser: $browser"
}

is_root() { [ "$(id -u)" -eq 0 ]; }

install_playwrights() {
    "$python" -m playwright install chromium-headless-shell </dev/null || return 1
    find_browser && return 0
    # It is there and does not run: libraries are missing.
    is_root && "$python" -m playwright install-deps chromium-headless-shell </dev/null
    find_browser
}

install_debians() {
    is_root && command -v apt-get >/dev/null || return 1
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null || return 1
    for package in chromium-headless-shell chromium; do
        apt-get install -y -qq --no-install-recommends "$package" </dev/null && break
    done
    find_browser
}

find_browser && exit 0
echo "no Chromium found: installing Playwright's headless shell"
install_playwrights && exit 0
echo "that did not work: installing the system's"
install_debians && exit 0
echo "The web environments need a Chromium, and none could be installed here. Run as root:" >&2
echo "    $python -m playwright install --with-deps chromium-headless-shell" >&2
exit 1
