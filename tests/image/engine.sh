#!/bin/sh
# Runs a command with a Docker engine: engine.sh COMMAND...
# Installs one where there is none and starts it where none runs; what it started it ends. DOCKER is the client.
set -eu
cd "$(dirname "$0")/../.."

builds() {
    "$1" buildx version >/dev/null 2>&1 || DOCKER_BUILDKIT=1 "$1" build --help 2>/dev/null | grep -q -- --secret
}

local/packages.sh dockerd ssh
if [ -z "${DOCKER:-}" ]; then
    # The first client that can build: another one may stand before it on PATH.
    for DOCKER in docker /usr/bin/docker; do
        if command -v "$DOCKER" >/dev/null && builds "$DOCKER"; then break; fi
    done
fi
export DOCKER
local/packages.sh docker buildx

if ! "$DOCKER" version >/dev/null 2>&1; then
    if [ "$(id -u)" != 0 ]; then
        echo "No Docker engine answers, and only root can start one: start it, or run this as root." >&2
        exit 1
    fi
    log=$(mktemp)
    dockerd >"$log" 2>&1 &
    engine=$!
    trap 'kill $engine 2>/dev/null; wait $engine 2>/dev/null || true; rm -f "$log"' EXIT
    trap 'exit 130' INT TERM HUP
    tries=0
    until "$DOCKER" version >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 $engine 2>/dev/null; then
            echo "dockerd does not start here:" >&2
            tail -n 30 "$log" >&2
            exit 1
        fi
        sleep 0.2
    done
    echo "A Docker engine was started for these tests."
fi
"$@"
