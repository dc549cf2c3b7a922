#!/bin/sh
# promtool.sh FILE: promtool as FILE, this machine's or out of the package `prometheus`, which is not installed: that
# would enable a service.
set -eu
file=$1
mkdir -p "$(dirname "$file")"
if found=$(command -v promtool); then
    ln -sf "$found" "$file"
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "This machine lacks promtool (of Prometheus), and has no apt-get to get it: put one on PATH." >&2
    exit 1
fi
echo "Getting: promtool"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM HUP
download() { (cd "$folder" && apt-get -qq download prometheus) >"$folder/log" 2>&1; }
if ! download; then
    # A machine that is new has no lists of packages.
    if ! apt-get -qq update >"$folder/log" 2>&1 || ! download; then
        cat "$folder/log" >&2
        exit 1
    fi
fi
dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$file.new"
chmod 755 "$file.new"
mv "$file.new" "$file"
