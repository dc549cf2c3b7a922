# GPU Watchdog's image. Build it with `make template-build DOCKER_USERNAME=you`, or with BuildKit as it is.
#
# BASE_IMAGE     any image of Debian 12, Ubuntu 22.04 or later with Python 3.10 or later, with or without CUDA
# SLURM_SOURCE   tarball: SLURM_VERSION of docker/slurm-releases.txt, from SLURM_URL where that is set;
#                apt: what the base's distribution has (22.05 or later: Debian 12, Ubuntu 24.04)
# secret         munge_key: the cluster's secret, as pods take it as MUNGE_KEY; without it the image's key is random
# BUILD_ID       another text for each build; `make template-build` makes one. WITHOUT IT a second build on this machine
#                takes the key of the first one from BuildKit's cache, also where the secret has changed. So:
#                docker build --build-arg BUILD_ID=$(date +%s%N) ...
ARG BASE_IMAGE=runpod/pytorch:2.1.0-py3.10-cuda11.8.0-devel-ubuntu22.04
ARG SLURM_SOURCE=tarball

FROM ${BASE_IMAGE} AS slurm-tarball
USER root
ARG SLURM_VERSION=26.05.5
ARG SLURM_URL
COPY docker/build-slurm.sh docker/slurm-releases.txt /build/
# Its settings come by the environment: the builder prints a command with its arguments, a mirror's password too.
RUN /bin/sh /build/build-slurm.sh /build/slurm-releases.txt

FROM ${BASE_IMAGE} AS slurm-apt
USER root
RUN mkdir -p /slurm && echo slurmctld slurmd slurm-client >/slurm/packages

FROM slurm-${SLURM_SOURCE} AS slurm

FROM ${BASE_IMAGE} AS python
USER root
RUN apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends python3 python3-venv ca-certificates >/dev/null
COPY requirements.txt /build/
COPY docker/make-venv.sh /build/
RUN /bin/sh /build/make-venv.sh /opt/gpu-watchdog/venv /usr/bin/python3 /build/requirements.txt

FROM python AS code
COPY bootstrap /opt/gpu-watchdog/bootstrap
COPY exporters /opt/gpu-watchdog/exporters
COPY conf /opt/gpu-watchdog/conf
# Most programs do not run as root and could not keep the compiled code themselves.
RUN /opt/gpu-watchdog/venv/bin/python -I -m compileall -q --invalidation-mode unchecked-hash \
    /opt/gpu-watchdog/bootstrap /opt/gpu-watchdog/exporters

# Each in a folder of its own, so that a change of one script makes one layer anew.
FROM scratch AS scripts
COPY docker/install.sh /install/
COPY docker/bake-key.py /bake-key/

FROM ${BASE_IMAGE}
USER root
RUN --mount=type=bind,from=slurm,source=/slurm,target=/mnt \
    --mount=type=bind,from=scripts,source=/install,target=/media \
    /bin/sh /media/install.sh /mnt
COPY --from=python /opt/gpu-watchdog/venv /opt/gpu-watchdog/venv
RUN ln -s /opt/gpu-watchdog/venv/bin/supervisorctl /usr/local/bin/supervisorctl
COPY --from=code /opt/gpu-watchdog/bootstrap /opt/gpu-watchdog/bootstrap
COPY --from=code /opt/gpu-watchdog/exporters /opt/gpu-watchdog/exporters
COPY --from=code /opt/gpu-watchdog/conf /opt/gpu-watchdog/conf
ARG BUILD_ID
RUN --mount=type=secret,id=munge_key --mount=type=bind,from=scripts,source=/bake-key,target=/media \
    echo "The key of build ${BUILD_ID:-without BUILD_ID: the next one without it has the same key}" && \
    /opt/gpu-watchdog/venv/bin/python -I /media/bake-key.py /run/secrets/munge_key

ARG VERSION
ARG REVISION
ARG SOURCE
ARG CREATED
ARG BASE_IMAGE
LABEL org.opencontainers.image.title="GPU Watchdog" \
      org.opencontainers.image.description="Turns rented GPU pods into a Slurm cluster that watches its own GPUs" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"

# SSH, Jupyter, Slurm metrics, GPU metrics. Slurm's own ports are left out: they are for the cluster's pods alone.
EXPOSE 22 8888 9341 9400
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=15s --start-period=120s --retries=2 \
    CMD ["/opt/gpu-watchdog/venv/bin/python", "-I", "-S", "/opt/gpu-watchdog/bootstrap/health.py"]
# -I: neither the working directory nor PYTHONPATH, which are the user's, decides what runs as root here.
ENTRYPOINT ["/opt/gpu-watchdog/venv/bin/python", "-I", "-m", "bootstrap"]
CMD []
