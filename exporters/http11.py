"""The little of HTTP/1.1 that a scrape needs (RFC 9110, RFC 9112): request heads in, response heads out. Pure.

Requests are never expected to have a body: one that announces a body is answered, and its connection is closed, so
that what follows can never be taken for a request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate

MAX_HEAD = 16384
"""Bytes of a request's line and headers."""

_END = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/1\.([01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class BadRequest(Exception):
    """What was sent is no request: the status to answer with, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Request:
    """What an answer depends on."""

    method: str
    path: str
    """Without the query, not decoded."""
    gzip: bool
    """A gzipped answer is welcome."""
    version: int
    """1 for HTTP/1.1, 0 for HTTP/1.0."""
    keep_alive: bool
    body: bool
    """A body follows, which nobody will read."""


def head_end(data: bytes) -> int:
    """Where the first head in these bytes ends (behind its empty line); -1 if it is not whole yet."""
    found = _END.search(data)
    return found.end() if found else -1


def parse(head: bytes) -> Request:
    """A head with its empty line; raises BadRequest."""
    first, *lines = head.decode("latin-1").strip("\r\n").split("\n")
    line = _LINE.fullmatch(first.rstrip("\r"))
    if not line:
        raise BadRequest(400, "this is not an HTTP/1.1 request")
    headers: dict[str, str] = {}
    for text in lines:
        header = _HEADER.fullmatch(text.rstrip("\r"))
        if not header:
            raise BadRequest(400, "a header cannot be read")
        name, value = header[1].lower(), header[2].strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    method, target, minor = line.groups()
    if not target.startswith("/"):  # absolute-form, as a proxy sends it
        target = re.sub(r"^https?://[^/?#]*", "", target) or "/"
    body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    tokens = {token.strip() for token in headers.get("connection", "").lower().split(",")}
    keep_alive = "keep-alive" in tokens if minor == "0" else "close" not in tokens
    return Request(
        method=method,
        path=target.partition("?")[0],
        gzip=accepts_gzip(headers.get("accept-encoding", "")),
        version=int(minor),
        keep_alive=keep_alive and not body,
        body=body,
    )


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header asks for gzip (RFC 9110, 12.5.3)."""
    qualities: dict[str, bool] = {}
    for coding in header.lower().split(","):
        name, _, parameter = coding.partition(";")
        quality = parameter.replace(" ", "").removeprefix("q=")
        qualities[name.strip()] = not re.fullmatch(r"0(\.0{0,3})?", quality)
    return qualities.get("gzip", qualities.get("*", False))


def entity(content_type: str, length: int, *more: str) -> bytes:
    """The headers that speak of a body."""
    lines = (f"Content-Type: {content_type}", f"Content-Length: {length}", *more)
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


def response_head(status: int, request: Request | None, now: float) -> bytes:
    """Status line and the headers that are the same for every body, without the last empty line. now: Unix time."""
    version = request.version if request else 1
    lines = [f"HTTP/1.{version} {status} {_REASONS[status]}", f"Date: {formatdate(now, usegmt=True)}"]
    if request is None or not request.keep_alive:
        lines.append("Connection: close")
    elif version == 0:
        lines.append("Connection: keep-alive")
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
