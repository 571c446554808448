#!/bin/sh
# Finds promtool, which tests the alert rules; where there is none, takes Debian's into a folder without its server:
# promtool.sh FOLDER
set -eu
folder=$1

if command -v promtool >/dev/null || [ -x "$folder/promtool" ]; then exit 0; fi
if ! command -v apt-get >/dev/null; then
    echo "The tests of the alert rules need promtool of Prometheus on the PATH." >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq prometheus
dpkg -x prometheus_*.deb .
cd - >/dev/null
install "$work/usr/bin/promtool" "$folder/promtool"
