#!/bin/sh
# `make image-test`: makes a base, builds the Dockerfile on it, runs the system and the image tests in containers of it.
#
# BASE_IMAGE                            the base to use instead of one that is made here, or
# BASE_SUITE                            Debian's release to make one of, default bookworm
# SLURM_SOURCE SLURM_VERSION SLURM_URL  as for make template-build, except that SLURM_SOURCE is apt by default
# TESTS                                 for pytest
set -eu
cd "$(dirname "$0")/../.."
export DOCKER_USERNAME=gpu-watchdog-test
export VERSION=test
export SLURM_SOURCE="${SLURM_SOURCE:-apt}"
export SOURCE=https://example.com/gpu-watchdog
BASE_IMAGE=${BASE_IMAGE:-$(tests/image/base.sh "${BASE_SUITE:-bookworm}")}
export BASE_IMAGE
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "Building the image on $BASE_IMAGE, Slurm from $SLURM_SOURCE ..."
if ! docker/build.sh build >"$log" 2>&1; then
    cat "$log"
    exit 1
fi
tail -n 1 "$log"
TEST_BACKEND=docker
TEST_IMAGE=$DOCKER_USERNAME/gpu-watchdog:$VERSION
export TEST_BACKEND TEST_IMAGE
# shellcheck disable=SC2086
build/dev/bin/python -m pytest -m "system or image" tests/system tests/image ${TESTS:-}
