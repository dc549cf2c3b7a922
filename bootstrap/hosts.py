"""Our own block of lines in /etc/hosts, beside those of the container's runtime. Pure."""

from __future__ import annotations

PATH = "/etc/hosts"
_BEGIN = "# gpu-watchdog begin\n"
_END = "# gpu-watchdog end\n"


def merge(current: str, block: str) -> str:
    """The file with our block in place of an earlier one, all else as it was; an empty block leaves no marks."""
    before, begin, rest = current.partition(_BEGIN)
    after = rest.partition(_END)[2] if begin else ""
    if block and before and not before.endswith("\n"):
        before += "\n"
    return f"{before}{_BEGIN}{block}{_END}{after}" if block else before + after


def names(text: str) -> set[str]:
    """Every name that the file gives an address, our own block left out."""
    lines = merge(text, "").splitlines()
    return {name for line in lines for name in line.partition("#")[0].split()[1:]}
