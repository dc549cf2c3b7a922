"""munged, slurmctld and one slurmd in a folder, on loopback; slurmdbd with MariaDB where it is wanted.

The one slurmd answers for all nodes, which have its address: they respond, and allocations run on them, but nothing can
be started there.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 60.0

_COMMON = """\
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={slurmd_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
SlurmdTimeout=60000
SlurmdParameters=config_overrides
TreeWidth=65533
InactiveLimit=0
KillWait=1
ReturnToService=0
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
MpiDefault=none
NodeName=answers NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN
"""
_DBD = """\
DbdHost=localhost
DbdPort={dbd_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=root
StorageLoc=slurm
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""
_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/munge.socket
AccountingStorageTRES=gres/gpu
PriorityType=priority/multifactor
"""


class Controller:
    """The daemons; use it as a context manager. Its commands need `environment`."""

    def __init__(self, folder: Path, configuration: str, nodes: int, accounting: bool = False) -> None:
        """configuration: lines of slurm.conf besides what all have; nodes: how many of them must respond."""
        self.folder = folder
        self._configuration = configuration
        self._nodes = nodes
        self._accounting = accounting
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.port, self._dbd_port, self._sql_port = free_port(), free_port(), free_port()
        self.environment = {
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
            "SLURM_CONF": str(folder / "slurm.conf"),
            "LC_ALL": "C",
        }

    def __enter__(self) -> Controller:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(60)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _start(self) -> None:
        folder = self.folder
        folder.chmod(0o755)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(64))
        key.chmod(0o600)
        (folder / "state").mkdir()
        names = {
            "host": socket.gethostname().partition(".")[0],
            "folder": folder,
            "port": self.port,
            "slurmd_port": free_port(),
            "dbd_port": self._dbd_port,
            "sql_port": self._sql_port,
        }
        accounting = _ACCOUNTING if self._accounting else ""
        (folder / "slurm.conf").write_text((_COMMON + accounting).format(**names) + self._configuration)
        self._daemon(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
            f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed",
        )  # fmt: skip
        self.until("munged", (folder / "munge.socket").exists)
        if self._accounting:
            self._start_accounting(_DBD.format(**names))
        self.slurmctld = self._daemon("slurmctld", "-D", "-i")
        self.until("slurmctld", lambda: self.run("scontrol", "ping", check=False).returncode == 0)
        self._daemon("slurmd", "-D", "-N", "answers")
        self.until("the nodes", lambda: self._responding() >= self._nodes)

    def _start_accounting(self, configuration: str) -> None:
        """MariaDB needs no password: it listens on loopback and ends with this object."""
        data, conf = self.folder / "sql", self.folder / "slurmdbd.conf"
        user = getpass.getuser()
        self.run("mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db")
        self._daemon(
            "mariadbd", "--no-defaults", f"--datadir={data}", f"--user={user}", f"--socket={self.folder}/sql.socket",
            f"--port={self._sql_port}", "--bind-address=127.0.0.1", "--skip-grant-tables",
            f"--pid-file={self.folder}/sql.pid",
        )  # fmt: skip
        self.until("MariaDB", (self.folder / "sql.socket").exists)
        conf.write_text(configuration)
        conf.chmod(0o600)
        # It has no flag for its configuration: that lies beside slurm.conf.
        self._daemon("slurmdbd", "-D")
        self.until("slurmdbd", lambda: self.run("sacctmgr", "-n", "show", "cluster", check=False).returncode == 0)
        self.run("sacctmgr", "-i", "add", "cluster", "bench", check=False)

    def _responding(self) -> int:
        lines = self.run("sinfo", "-h", "-N", "-o", "%N %T").stdout.splitlines()
        return len({name for name, state in map(str.split, lines) if "*" not in state and state != "unknown"})

    def _daemon(self, *argv: str) -> subprocess.Popen[bytes]:
        program = shutil.which(argv[0], path=self.environment["PATH"])
        if program is None:
            raise RuntimeError(f"{argv[0]} is not on PATH")
        with (self.folder / f"{argv[0]}.out").open("wb") as log:
            daemon = subprocess.Popen(
                [program, *argv[1:]], env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self._daemons.append(daemon)
        return daemon

    def until(self, what: str, ready: Callable[[], object], deadline: float = DEADLINE_S) -> None:
        """Poll until it is true; else raise with the ends of all logs."""
        end = time.monotonic() + deadline
        while not ready():
            ended = [daemon.args for daemon in self._daemons if daemon.poll() is not None]
            if time.monotonic() > end or ended:
                logs = [*self.folder.glob("*.out"), *self.folder.glob("*.log")]
                text = "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in logs)
                raise RuntimeError(f"{what}: not within {deadline:g} s\n{text}")
            time.sleep(0.05)

    def run(self, *argv: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """A command; more: environment variables."""
        done = subprocess.run(
            argv, env={**self.environment, **more}, capture_output=True, text=True, errors="replace", timeout=600
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr}{done.stdout}")
        return done

    def cpu(self) -> float:
        """CPU seconds of slurmctld so far, by its clock (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.slurmctld.pid << 3) | 2)


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
