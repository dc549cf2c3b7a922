#!/bin/sh
# Makes a base image and prints its name: base.sh SUITE
# From a registry where one is reachable, else by debootstrap. It has a Python with packages of its own, other versions
# of those that the product uses, as RunPod's bases have their PyTorch.
set -eu
suite=$1
name=gpu-watchdog-test/base:$suite
extra=python3,python3-yaml,python3-prometheus-client,ca-certificates
if "$DOCKER" image inspect "$name" >/dev/null 2>&1; then
    echo "$name"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM HUP

# This machine may trust an authority of its network that a fresh Debian does not; apt rewrites the usual bundle.
machines_ca=${MACHINES_CA:-/etc/ssl/certs/ca-certificates.crt}
ca=/etc/ssl/machine-ca.crt

if timeout 60 "$DOCKER" pull --quiet "debian:$suite-slim" >/dev/null 2>&1; then
    {
        echo "FROM debian:$suite-slim"
        echo "RUN apt-get -qq update && apt-get -qq install -y --no-install-recommends $(echo $extra | tr , ' ')" \
            "&& rm -rf /var/lib/apt/lists/*"
        if [ -e "$machines_ca" ]; then
            cp "$machines_ca" "$folder/ca.crt"
            echo "COPY ca.crt $ca"
            echo "ENV PIP_CERT=$ca"
        fi
    } >"$folder/Dockerfile"
    "$DOCKER" build --quiet --tag "$name" "$folder" >/dev/null
    echo "$name"
    exit 0
fi
echo "No registry is reachable: the base image is made by debootstrap." >&2
local/packages.sh debootstrap >&2
mirror=http://deb.debian.org/debian
if ! debootstrap --variant=minbase --include="$extra" "$suite" "$folder/root" $mirror >"$folder/log" 2>&1; then
    tail -n 20 "$folder/log" >&2
    exit 1
fi
for part in "debian $suite" "debian $suite-updates" "debian-security $suite-security"; do
    echo "deb http://deb.debian.org/${part% *} ${part#* } main"
done >"$folder/root/etc/apt/sources.list"
rm -rf "$folder"/root/var/cache/apt/archives/*.deb "$folder"/root/var/lib/apt/lists/*
set --
if [ -e "$machines_ca" ]; then
    cp "$machines_ca" "$folder/root$ca"
    set -- --change "ENV PIP_CERT=$ca"
fi
tar -C "$folder/root" -c . | "$DOCKER" import "$@" --change 'ENV BASE_NOTE=kept' - "$name" >/dev/null
echo "$name"
