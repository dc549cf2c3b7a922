#!/bin/sh
# `make template-build` and `make template-push`: build.sh build|push, settings from the environment.
#
# DOCKER_USERNAME   whose image it is; required
# IMAGE             its name, default gpu-watchdog; the tag is VERSION (default setup.cfg's) and latest
# BASE_IMAGE SLURM_SOURCE SLURM_VERSION SLURM_URL   see Dockerfile; unset, its defaults
# MUNGE_KEY_FILE    a file with the cluster's secret, to be baked into the image instead of a random key
# DOCKER            the client, default docker
set -eu
cd "$(dirname "$0")/.."
action=$1
DOCKER=${DOCKER:-docker}
IMAGE=${IMAGE:-gpu-watchdog}
VERSION=${VERSION:-$(sed -n 's/^version = //p' setup.cfg)}
RELEASES=docker/slurm-releases.txt
problems=
problem() {
    problems="$problems
  $1"
}

known=$(grep -oE '^[0-9.]+' $RELEASES | tr '\n' ' ')
if [ -z "${DOCKER_USERNAME:-}" ]; then
    problem "DOCKER_USERNAME is not set: write make template-$action DOCKER_USERNAME=<your account at the registry>"
elif ! echo "$DOCKER_USERNAME" | grep -qE '^[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?$'; then
    problem "DOCKER_USERNAME=$DOCKER_USERNAME is not an account's name: write small letters, digits, . _ - only (registry.example/team works too)"
fi
case ${SLURM_SOURCE:-tarball} in
apt)
    [ -z "${SLURM_VERSION:-}" ] ||
        problem "SLURM_VERSION=$SLURM_VERSION has no meaning with SLURM_SOURCE=apt: leave it out, or use SLURM_SOURCE=tarball"
    ;;
tarball)
    if [ -n "${SLURM_VERSION:-}" ] && ! awk '{print $1}' $RELEASES | grep -qxF "$SLURM_VERSION"; then
        problem "SLURM_VERSION=$SLURM_VERSION is not known: write one of $known(or add it to $RELEASES)"
    fi
    ;;
*) problem "SLURM_SOURCE=$SLURM_SOURCE is neither tarball nor apt" ;;
esac
if [ -n "${MUNGE_KEY_FILE:-}" ] && [ ! -r "$MUNGE_KEY_FILE" ]; then
    problem "MUNGE_KEY_FILE=$MUNGE_KEY_FILE cannot be read: write the path of a file with the cluster's secret"
fi
if ! command -v "$DOCKER" >/dev/null; then
    problem "$DOCKER is not installed: see https://docs.docker.com/engine/install/, or apt-get install docker.io"
elif ! "$DOCKER" version >/dev/null 2>&1; then
    problem "$DOCKER finds no engine: start it (dockerd), and see that you may use it (group docker, or root)"
elif [ "$action" = build ] && ! "$DOCKER" buildx version >/dev/null 2>&1 &&
    ! DOCKER_BUILDKIT=1 "$DOCKER" build --help 2>/dev/null | grep -q -- --secret; then
    problem "$DOCKER cannot build with BuildKit: install its buildx plugin (docker-buildx or docker-buildx-plugin)"
fi
if [ -n "$problems" ]; then
    echo "template-$action cannot start:$problems" >&2
    exit 2
fi

name=$DOCKER_USERNAME/$IMAGE
if [ "$action" = push ]; then
    if ! "$DOCKER" image inspect "$name:$VERSION" >/dev/null 2>&1; then
        echo "There is no image $name:$VERSION here: run make template-build DOCKER_USERNAME=$DOCKER_USERNAME first" >&2
        exit 2
    fi
    echo "The image holds a munge key. Whoever can pull it can join any cluster that is started without MUNGE_KEY:"
    echo "keep the repository private, or set MUNGE_KEY in every template."
    "$DOCKER" push "$name:$VERSION"
    "$DOCKER" push "$name:latest"
    exit 0
fi

# The public address of the sources, without anybody's credentials.
source=$(git config --get remote.origin.url 2>/dev/null | sed -nE 's|^https?://([^@/]*@)?(.*)|https://\2|p; s|^git@([^:]+):(.*)|https://\1/\2|p' || true)
# A tree with changes is not the revision it started from.
revision=$(git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null || true)

set -- --build-arg "VERSION=$VERSION" --build-arg "REVISION=$revision" --build-arg "SOURCE=${SOURCE:-$source}" \
    --build-arg "CREATED=$(date -u +%Y-%m-%dT%H:%M:%SZ)" --build-arg "BUILD_ID=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
[ -z "${BASE_IMAGE:-}" ] || set -- "$@" --build-arg "BASE_IMAGE=$BASE_IMAGE"
[ -z "${SLURM_SOURCE:-}" ] || set -- "$@" --build-arg "SLURM_SOURCE=$SLURM_SOURCE"
[ -z "${SLURM_VERSION:-}" ] || set -- "$@" --build-arg "SLURM_VERSION=$SLURM_VERSION"
[ -z "${SLURM_URL:-}" ] || set -- "$@" --build-arg "SLURM_URL=$SLURM_URL"
[ -z "${MUNGE_KEY_FILE:-}" ] || set -- "$@" --secret "id=munge_key,src=$MUNGE_KEY_FILE"

if [ "${SLURM_SOURCE:-tarball}" = tarball ]; then
    version=${SLURM_VERSION:-$(sed -n 's/^ARG SLURM_VERSION=//p' Dockerfile)}
    flaws=$(awk -v version="$version" '$1 == version && $4 != "-" {print $4}' $RELEASES)
    [ -z "$flaws" ] || echo "Slurm $version has known flaws ($flaws): use the default unless you must have it" >&2
fi
DOCKER_BUILDKIT=1 "$DOCKER" build --platform linux/amd64 --progress plain "$@" --tag "$name:$VERSION" --tag "$name:latest" .

base=${BASE_IMAGE:-$(sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile | head -n 1)}
size() { "$DOCKER" image inspect --format '{{.Size}}' "$1" 2>/dev/null || echo 0; }
all=$(size "$name:$VERSION")
below=$(size "$base")
if [ "$below" -gt 0 ]; then
    echo "$name:$VERSION has $((all / 1000000)) MB, $(((all - below) / 1000000)) MB more than its base"
else
    echo "$name:$VERSION has $((all / 1000000)) MB"
fi
