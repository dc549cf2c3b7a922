#!/bin/sh
# Installs from apt what is missing of the programs named, and nothing else: packages.sh PROGRAM...
# The packages' daemons are not started on this machine.
set -eu

package_of() {
    case $1 in
    munged) echo munge ;;
    slurmctld | slurmd) echo "$1" ;;
    scontrol) echo slurm-client ;;
    ip) echo iproute2 ;;
    nsenter | setpriv) echo util-linux ;;
    cc) echo gcc libc6-dev ;;
    ps) echo procps ;;
    dockerd) echo docker.io ;;
    docker) echo docker-cli ;;
    buildx) echo docker-buildx ;;
    ssh) echo openssh-client ;;
    venv) echo python3 python3-venv ;;
    *) echo "$1" ;;
    esac
}

is_there() {
    case $1 in
    venv) python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ;;
    buildx) "${DOCKER:-docker}" buildx version >/dev/null 2>&1 ||
        DOCKER_BUILDKIT=1 "${DOCKER:-docker}" build --help 2>/dev/null | grep -q -- --secret ;;
    libslurm-dev) [ -e /usr/include/slurm/slurm.h ] ;;
    cc) command -v cc >/dev/null && echo '#include <stdlib.h>' | cc -E - >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

missing=
for program in "$@"; do
    is_there "$program" || missing="$missing $(package_of "$program")"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "This machine lacks:$missing. They are installed by apt-get, which it has not: use Debian 12 or later." >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "This machine lacks:$missing. As root, run: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "Installing:$missing"
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made_policy=
cleanup() {
    [ -z "$made_policy" ] || rm -f "$policy"
    rm -f "$log"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1; }
if ! apt update; then
    cat "$log" >&2
    exit 1
fi
case $missing in
*slurm*)
    candidate=$(apt-cache policy slurmd | sed -n 's/^  Candidate: //p')
    if [ -z "$candidate" ] || [ "$candidate" = "(none)" ] || dpkg --compare-versions "$candidate" lt 22.05; then
        echo "apt has Slurm ${candidate:-nowhere} here; pods need 22.05 or later (dynamic nodes)." >&2
        echo "Use Debian 12 or Ubuntu 24.04 or later, or put a newer slurmctld, slurmd and scontrol on PATH." >&2
        exit 1
    fi
    ;;
esac
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made_policy=yes
fi
# shellcheck disable=SC2086
if ! apt install -y --no-install-recommends $missing; then
    cat "$log" >&2
    exit 1
fi
