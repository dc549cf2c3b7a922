#!/bin/sh
# Puts Slurm and all that the pod needs from the distribution into the image, in one layer: install.sh SLURM
# SLURM is a folder with `packages` and, where Slurm was built, `root`.
set -eu
slurm=$1
export DEBIAN_FRONTEND=noninteractive

# The packages' own daemons must not start in the build.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made_policy=yes
fi
had_host_keys=$(ls /etc/ssh/ssh_host_* 2>/dev/null || true)

apt-get -qq update
# shellcheck disable=SC2046
apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
    curl munge openssh-server procps python3 $(cat "$slurm/packages") >/dev/null
if [ -d "$slurm/root" ]; then
    # Also where /lib and /bin are links into /usr.
    cp -a "$slurm/root/." /
    ldconfig
fi

# One number everywhere, as pods tell each other who slurmctld is by it. Debian's packages use it as well.
getent group slurm >/dev/null || groupadd --system --gid 64030 slurm
getent passwd slurm >/dev/null ||
    useradd --system --uid 64030 --gid slurm --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin slurm

# Keys that the packages made would be the same in every pod of this image, and known to all who have it.
rm -f /etc/munge/munge.key /var/lib/munge/*.seed
for key in /etc/ssh/ssh_host_*; do
    case "$had_host_keys" in
    *"$key"*) ;;
    *) rm -f "$key" ;;
    esac
done
[ -z "$made_policy" ] || rm -f "$policy"
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/cache/debconf/*-old \
    /var/cache/ldconfig/aux-cache /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/log/bootstrap.log

python3 - <<'CHECK'
import sys
if sys.version_info < (3, 10):
    sys.exit(f"The base image's python3 is {sys.version.split()[0]}; GPU Watchdog needs 3.10: use Ubuntu 22.04, Debian 12 or later")
CHECK
version=$(slurmd -V)
major=$(echo "$version" | sed -nE 's/.* ([0-9]+)\..*/\1/p')
if [ "${major:-0}" -lt 22 ]; then
    echo "The base image's distribution has $version, which has no dynamic nodes (22.05): use SLURM_SOURCE=tarball" >&2
    exit 1
fi
echo "Installed $version and $(munged --version | head -n 1)"
