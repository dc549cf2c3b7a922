#!/bin/sh
# Builds Slurm from its release tarball, in a build stage: build-slurm.sh RELEASES, with SLURM_VERSION and SLURM_URL -> /slurm
# /slurm/root is what goes into the image's root, /slurm/packages what it needs from the distribution.
set -eu
releases=$1
version=$SLURM_VERSION
url=${SLURM_URL:-}
root=/slurm/root

line=$(grep -E "^$version[[:space:]]" "$releases" || true)
if [ -z "$line" ]; then
    echo "SLURM_VERSION=$version is not known. Known are: $(grep -oE '^[0-9.]+' "$releases" | tr '\n' ' ')" >&2
    exit 1
fi
# shellcheck disable=SC2086
set -- $line
tag=$2
expected=$3
url=${url:-https://github.com/SchedMD/slurm/archive/slurm-$tag.tar.gz}
# A mirror's address may hold a password before its host, or a signature behind the ?.
masked() {
    sed -E 's|(://)[^/?[:space:]]*@|\1***@|g; s|[?][^[:space:]]*|?***|g'
}
shown=$(echo "$url" | masked)
echo "Slurm $version comes from $shown"

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
install() {
    apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" >/dev/null
}
install ca-certificates curl
mkdir -p /tmp/slurm "$root"
cd /tmp/slurm
curl --fail --location --silent --show-error --retry 3 --output slurm.tar.gz "$url" 2>curl.log ||
    { masked <curl.log >&2; exit 1; }
found=$(sha256sum slurm.tar.gz | cut -d ' ' -f 1)
if [ "$found" != "$expected" ]; then
    echo "The tarball of Slurm $version is not the one that was released." >&2
    echo "  expected sha256 $expected" >&2
    echo "  got      sha256 $found from $shown" >&2
    exit 1
fi

install bzip2 gcc libc6-dev libdbus-1-dev libhwloc-dev libjson-c-dev liblz4-dev libmunge-dev \
    libncurses-dev libreadline-dev libyaml-dev make perl pkg-config python3
# From 25.11 on Slurm parses URLs with it, and logs an error at each start where it is not; newer distributions lack it.
if apt-cache show libhttp-parser-dev >/dev/null 2>&1; then
    install libhttp-parser-dev
fi

tar -xzf slurm.tar.gz --strip-components=1 --no-same-owner

# CUDA's development images have NVML's header and a stub to link with; the library comes with the driver.
nvml=no
for folder in $(ls -d /usr/local/cuda /usr/local/cuda-* 2>/dev/null); do
    if [ -e "$folder/include/nvml.h" ] && [ -e "$folder/lib64/stubs/libnvidia-ml.so" ]; then
        nvml=$folder
        break
    fi
done
echo "Building Slurm $version, NVML: $nvml"
./configure --quiet --prefix=/usr --sysconfdir=/etc/slurm --libdir="/usr/lib/$(gcc -print-multiarch)" \
    --disable-dependency-tracking --disable-static --disable-slurmrestd --with-nvml="$nvml" --without-rpath \
    CFLAGS="-O2" >configure.log 2>&1 || { tail -n 30 configure.log >&2; exit 1; }
make --silent -j "$(nproc)" >make.log 2>&1 || { tail -n 60 make.log >&2; exit 1; }
make --silent install DESTDIR="$root" >install.log 2>&1 || { tail -n 30 install.log >&2; exit 1; }

# What only developers of Slurm use stays behind.
rm -rf "$root/usr/include" "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/sbin/slurmdbd" \
    "$root"/usr/lib/*/pkgconfig "$root"/usr/lib/*/slurm/src "$root/usr/lib/systemd"
find "$root" \( -name '*.la' -o -name '*.a' \) -delete
find "$root" -type f | while read -r file; do
    case $(head -c 4 "$file" | tr -d '\0') in
    *ELF*) strip --strip-unneeded "$file" && echo "$file" ;;
    esac
done >elf

# The packages that own the libraries which are not Slurm's own.
xargs ldd <elf 2>/dev/null | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u | while read -r library; do
    case $library in
    "$root"*) continue ;;
    esac
    { dpkg -S "$library" || dpkg -S "$(readlink -f "$library")" || dpkg -S "/usr$library"; } 2>/dev/null |
        head -n 1 | cut -d : -f 1
done | sort -u >/slurm/packages
echo "Slurm $version is built: $(du -sm "$root" | cut -f 1) MiB; it needs: $(tr '\n' ' ' </slurm/packages)"
