"""Output of Slurm's commands -> frozen data. Pure; raises ParseError where the output is not what it must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ParseError(Exception):
    """The output of a command cannot be read: which part."""


class Parser(Protocol[T_co]):
    """Reads one output after the other, each as it comes."""

    def begin(self, now: float) -> None:
        """A new output begins; whatever an earlier one left half read is forgotten. now: Unix time."""

    def feed(self, chunk: bytes) -> None:
        """The next bytes of it."""

    def finish(self) -> T_co:
        """What the whole output said; raises ParseError."""


class Whole(Generic[T]):
    """A parser of outputs that are small: it waits for the whole."""

    def __init__(self, parse: Callable[[str], T]) -> None:
        self._parse = parse
        self._chunks: list[bytes] = []

    def begin(self, now: float) -> None:
        """See Parser."""
        self._chunks = []

    def feed(self, chunk: bytes) -> None:
        """See Parser."""
        self._chunks.append(chunk)

    def finish(self) -> T:
        """See Parser."""
        text, self._chunks = b"".join(self._chunks).decode("utf-8", "replace"), []
        if not text:
            raise ParseError("there is no output")  # where there is nothing to tell, every command says so
        if not text.endswith("\n"):
            raise ParseError(f"the output is not whole: it ends in {text[-80:]!r}")
        return self._parse(text)
