#!/usr/bin/env bash
# Make a base image from Debian's packages, for where no registry of images can be reached.
# Usage: scripts/make_base_image.sh [NAME]   (root; needs debootstrap and a Docker engine)
set -euo pipefail
name=${1:-agentgym-si/base}

if docker image inspect "$name" >/dev/null 2>&1; then
    echo "base image: $name is there"
    exit 0
fi
command -v debootstrap >/dev/null || { echo "needs debootstrap: apt-get install debootstrap" >&2; exit 1; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3,bsdextrautils,procps,findutils,gawk,file,tree \
    bookworm "$root" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
rm -f "$root.log"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
tar -C "$root" --numeric-owner --exclude=./proc/* --exclude=./sys/* --exclude=./dev/* -c . \
    | docker import - "$name" >/dev/null
echo "base image: $name made"
