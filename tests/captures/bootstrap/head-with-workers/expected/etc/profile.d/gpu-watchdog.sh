# Written by the bootstrap of GPU Watchdog: login shells see the pod's environment.
if [ -r /etc/gpu-watchdog/session.sh ]; then . /etc/gpu-watchdog/session.sh; fi
