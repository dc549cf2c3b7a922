#!/bin/sh
# unpack.sh PACKAGE FILE: the program that the file is named after, this machine's or out of a package that is not
# installed: that would enable a service.
set -eu
package=$1
file=$2
program=$(basename "$file")
mkdir -p "$(dirname "$file")"
if found=$(command -v "$program"); then
    ln -sf "$found" "$file"
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "This machine lacks $program (of the package $package), and has no apt-get to get it: put one on PATH." >&2
    exit 1
fi
echo "Getting: $program"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM HUP
download() { (cd "$folder" && apt-get -qq download "$package") >"$folder/log" 2>&1; }
if ! download; then
    # A machine that is new has no lists of packages.
    if ! apt-get -qq update >"$folder/log" 2>&1 || ! download; then
        cat "$folder/log" >&2
        exit 1
    fi
fi
dpkg-deb --fsys-tarfile "$folder/${package}"_*.deb | tar -xO "./usr/bin/$program" >"$file.new"
chmod 755 "$file.new"
mv "$file.new" "$file"
