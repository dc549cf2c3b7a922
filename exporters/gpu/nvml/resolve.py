"""Names of the catalogue -> functions and numbers of the installed nvidia-ml-py."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pynvml

from exporters.gpu.catalogue import Call, CatalogueError


def resolve_call(call: Call) -> tuple[Callable[..., Any], list[Any]]:
    """Function and arguments; raises CatalogueError for what nvidia-ml-py does not have."""
    function = getattr(pynvml, call.function, None)
    if function is None:
        raise CatalogueError(f"nvidia-ml-py has no function {call.function}")
    arguments = [constant(word, call.function) for word in call.arguments]
    device = [None] if call.function.startswith("nvmlDevice") else []
    try:
        inspect.signature(function).bind(*device, *arguments)
    except TypeError as error:
        raise CatalogueError(f"{call.function} does not take these arguments: {error}") from None
    return function, arguments


def constant(word: str, where: str) -> int:
    """A number, or the value of a constant; raises CatalogueError."""
    value = int(word) if word.isdigit() else getattr(pynvml, word, None)
    if not isinstance(value, int):
        raise CatalogueError(f"nvidia-ml-py has no constant {word} ({where})")
    return value
