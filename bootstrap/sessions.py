"""What people who log in get: sshd's configuration and the environment that their sessions see. Pure.

Sessions see the pod's environment without its secrets. Which variables are secrets can only be told by their names
and by values that can hardly be anything else: addresses and connection strings with a password, private keys, tokens.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping

from bootstrap.variables import SSH_PORT, VARIABLES

FOLDER = "/etc/gpu-watchdog/ssh"
HOST_KEY = f"{FOLDER}/ssh_host_ed25519_key"
AUTHORIZED_KEYS = f"{FOLDER}/authorized_keys"
SSHD_CONFIG = f"{FOLDER}/sshd_config"
UTMP = "/run/utmp"
"""Who is logged in; sshd complains where it cannot note that."""
JUPYTER_TOKEN = "/etc/gpu-watchdog/jupyter-token"  # noqa: S105 (a path)
ENVIRONMENT = "/etc/gpu-watchdog/session.sh"
PROFILE = "/etc/profile.d/gpu-watchdog.sh"

PROFILE_TEXT = f"""\
# Written by the bootstrap of GPU Watchdog: login shells see the pod's environment.
if [ -r {ENVIRONMENT} ]; then . {ENVIRONMENT}; fi
"""

# The words of a name, without a number at the end; API keys are also written in one word.
_SECRET_WORD = re.compile(
    r"(?:.*(?:(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PWD|COOKIE|CREDENTIAL)S?|CREDS|(?<!COM)(?<!BY)(?<!OVER)PASS)"
    r"|PASSPHRASE|CRED|AUTH|PAT|PRIVATE)\d*"
)
# An address with user:password@, or a token in the place of the user, which is longer than names are.
_ADDRESS = r"://(?:[^/\s@]*:[^/\s@]+|[^/\s@]{20,})@"
# Of ADO, ODBC, libpq and Azure.
_CONNECTION_STRING = r"(?i:(?:^|[;?&\s])(?:password|pwd|accountkey|sharedaccesskey)\s*=\s*[^;\s])"
# JSON in base64: a JSON web token, or what a registry's client keeps.
_JSON = r"(?:^|\s)eyJ[A-Za-z0-9_-]{8}"
_SECRET_VALUE = re.compile("|".join([_ADDRESS, _CONNECTION_STRING, _JSON, "PRIVATE KEY-----"]))
# Each session has its own; some are read-only in bash.
_READ_ONLY = {"UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS"}
_OWN = {"HOME", "HOSTNAME", "PWD", "OLDPWD", "SHLVL", "TERM", "USER", "LOGNAME", "SHELL", "MAIL", "_"}
_OURS = {variable.name for variable in VARIABLES if variable.secret}


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable's name or what its value holds says that it is a secret."""
    words = name.upper().split("_")
    return any(_SECRET_WORD.fullmatch(word) for word in words) or bool(_SECRET_VALUE.search(value))


def environment(environ: Mapping[str, str], shown: Collection[str] = ()) -> tuple[dict[str, str], list[str]]:
    """What sessions see of the pod's environment, and the names of the variables that they do not see as secrets.

    shown: names that look secret and are wanted all the same; ours never are.
    """
    seen: dict[str, str] = {}
    hidden: list[str] = []
    for name, value in sorted(environ.items()):
        if name in _OWN | _READ_ONLY or name in _OURS or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            continue
        if looks_secret(name, value) and name not in shown:
            hidden.append(name)
        else:
            seen[name] = value
    return seen, hidden


def environment_file(seen: Mapping[str, str]) -> str:
    """For any shell of POSIX to source."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in seen.items())


def authorized_keys(keys: Collection[str]) -> str:
    """One key a line."""
    return "".join(f"{key}\n" for key in keys)


def sshd_config(seen: Mapping[str, str]) -> str:
    """Keys only, root included; every session, also one of a single command, sees the environment (sshd_config(5))."""
    lines = [
        "# Written by the bootstrap of GPU Watchdog at each start; changes made here are lost.",
        f"Port {SSH_PORT}",
        f"HostKey {HOST_KEY}",
        f"AuthorizedKeysFile .ssh/authorized_keys {AUTHORIZED_KEYS}",
        "PubkeyAuthentication yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitEmptyPasswords no",
        "PermitRootLogin prohibit-password",
        "UsePAM no",
        "PidFile none",
        "X11Forwarding no",
        "ClientAliveInterval 60",
        "AcceptEnv LANG LC_*",
        "Subsystem sftp internal-sftp",
    ]
    # All in one line, as sshd takes the first SetEnv only.
    words = [f'{name}="{_quoted(value)}"' for name, value in seen.items() if value.isprintable()]
    if words:
        lines.append(f"SetEnv {' '.join(words)}")
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    """Between double quotes sshd knows an escaped quote and backslash (OpenSSH 8.7 and later, misc.c, argv_split)."""
    return value.replace("\\", "\\\\").replace('"', '\\"')
