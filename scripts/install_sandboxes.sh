#!/usr/bin/env bash
# Install what the sandboxes of a development machine need, start an engine where none answers,
# and build the boxes' image from packages alone.
# Usage: scripts/install_sandboxes.sh   (root, Debian; what it cannot do it says, and goes on)
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DEBIAN_FRONTEND=noninteractive

missing=()
for program in tree:tree bwrap:bubblewrap dockerd:docker.io debootstrap:debootstrap ps:procps; do
    command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
    echo "sandboxes: installing ${missing[*]}"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! docker info >/dev/null 2>&1; then
    echo "sandboxes: starting an engine"
    # An engine that was killed leaves its pid file, and no other starts while a process, any, has it.
    pid=$(cat /var/run/docker.pid 2>/dev/null)
    if [ -n "$pid" ] && ! { [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] &&
        grep -q '^State:[[:space:]]*[^ZX]' "/proc/$pid/status"; }; then
        rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
    fi
    setsid dockerd >/tmp/dockerd.log 2>&1 </dev/null &
    echo $! >.ci/dockerd.pid  # whoever wants it to end when the work is done finds it here
    for _ in $(seq 60); do
        docker info >/dev/null 2>&1 && break
        sleep 0.5
    done
fi
if ! docker info >/dev/null 2>&1; then
    echo "sandboxes: NO ENGINE (tests of the Docker sandbox will be skipped)" >&2
    tail -n 5 /tmp/dockerd.log >&2
    exit 0
fi
scripts/make_base_image.sh agentgym-si/base && make -s images BASE_IMAGE=agentgym-si/base
