"""EDGE: the HTTP server of both exporters: /metrics, /health and a landing page, from memory."""

from __future__ import annotations

import gzip
import html
import logging
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from exporters.exposition import CONTENT_TYPE

log = logging.getLogger(__name__)

THREADS = 4
MAX_CONNECTIONS = 8000
"""Beyond it the connection that was idle longest makes room: no number of idle ones stops a scrape."""
IDLE_S = 30
LIFETIME_S = 300
"""A connection that trickles bytes without ever finishing a request ends then."""


class Page:
    """One rendered exposition and the health that goes with it; compressed at most once."""

    def __init__(self, body: bytes, problems: Sequence[str], max_age: float) -> None:
        """problems: why data is missing or stale, empty when all is well; max_age: seconds until it is too old."""
        self.body = body
        self._problems = list(problems)
        self._max_age = max_age
        self._made = time.monotonic()
        self._lock = threading.Lock()
        self._compressed: bytes | None = None

    @property
    def expired(self) -> str:
        """Why it must not be served any more; empty while it may."""
        age = time.monotonic() - self._made
        if age <= self._max_age:
            return ""
        return f"no new data for {age:.0f} s" if self.body else "no data yet"

    @property
    def problems(self) -> list[str]:
        """All that is wrong now."""
        return [self.expired, *self._problems] if self.expired else self._problems

    def compressed(self) -> bytes:
        """The body, gzipped."""
        with self._lock:
            if self._compressed is None:
                self._compressed = gzip.compress(self.body, compresslevel=1, mtime=0)
            return self._compressed


class PageHolder:
    """Where the sampler leaves the newest page for the server."""

    def __init__(self) -> None:
        self._page = Page(b"", [], max_age=0.0)

    def put(self, page: Page) -> None:
        """Replace the page (one assignment, so no lock)."""
        self._page = page

    def get(self) -> Page:
        """The newest page."""
        return self._page


Start = Callable[[str, list[tuple[str, str]]], object]


class Application:
    """The WSGI application."""

    def __init__(self, title: str, pages: PageHolder) -> None:
        self._pages = pages
        self._landing = (
            f"<!doctype html><title>{html.escape(title)}</title><h1>{html.escape(title)}</h1>"
            '<p><a href="/metrics">/metrics</a> <a href="/health">/health</a></p>\n'
        ).encode()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        route = {"/metrics": self._metrics, "/health": self._health, "/": self._home}.get(environ["PATH_INFO"])
        if route is None:
            return _answer(environ, start, "404 Not Found", b"not found: try /metrics, /health or /\n")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _answer(environ, start, "405 Method Not Allowed", b"GET or HEAD only\n", [("Allow", "GET, HEAD")])
        return route(environ, start)

    def _metrics(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        page = self._pages.get()
        if page.expired:
            return _answer(environ, start, "503 Service Unavailable", f"{page.expired}\n".encode())
        headers = [("Vary", "Accept-Encoding")]
        body = page.body
        if _accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            body = page.compressed()
            headers.append(("Content-Encoding", "gzip"))
        return _answer(environ, start, "200 OK", body, headers, CONTENT_TYPE)

    def _health(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        problems = self._pages.get().problems
        if problems:
            text = "".join(f"{problem}\n" for problem in problems)
            return _answer(environ, start, "503 Service Unavailable", text.encode())
        return _answer(environ, start, "200 OK", b"ok\n")

    def _home(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        return _answer(environ, start, "200 OK", self._landing, content_type="text/html; charset=utf-8")


def _accepts_gzip(header: str) -> bool:
    for coding in header.lower().split(","):
        name, _, quality = coding.partition(";")
        if name.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _answer(
    environ: dict[str, Any],
    start: Start,
    status: str,
    body: bytes,
    headers: Sequence[tuple[str, str]] = (),
    content_type: str = "text/plain; charset=utf-8",
) -> Iterable[bytes]:
    start(status, [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class _Server(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """waitress, which keeps accepting when connections run out, and ends those that never finish a request."""

    def readable(self) -> bool:
        if len(self._map) >= self.adj.connection_limit - 1:
            idle = [channel for channel in self.active_channels.values() if not channel.requests]
            for channel in sorted(idle, key=lambda channel: channel.last_activity)[: max(1, len(idle) // 20)]:
                channel.handle_close()
        return bool(super().readable())

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            if not channel.requests and now - channel.creation_time > LIFETIME_S:
                channel.will_close = True


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) from `:9400`, `127.0.0.1:9400` or `[::1]:9400`; raises ValueError that says what to write."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not an address to listen on: write :9400 or 127.0.0.1:9400")
    return host.removeprefix("[").removesuffix("]"), int(port)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; an empty host means all addresses, IPv6 too where there is any. Raises OSError."""
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
        except OSError as error:
            if error.errno not in (97, 99):  # EAFNOSUPPORT, EADDRNOTAVAIL: IPv6 is switched off here
                raise
    return socket.create_server(("", port), backlog=1024)


def serve(title: str, pages: PageHolder, sock: socket.socket) -> None:
    """Answer until SIGTERM or SIGINT, then end the process at once: there is nothing to save."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + 100
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    adjustments = Adjustments(
        sockets=[sock],
        threads=THREADS,
        connection_limit=max(10, min(MAX_CONNECTIONS, soft - 100)),
        channel_timeout=IDLE_S,
        cleanup_interval=5,
        max_request_header_size=32768,
        max_request_body_size=65536,
        asyncore_use_poll=True,
        log_socket_errors=False,
        clear_untrusted_proxy_headers=True,
        ident="gpu-watchdog",
    )
    # Deep queues are what a crowd of scrapers looks like; waitress would log one line for each request.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    info = (sock.family, sock.type, sock.proto, sock.getsockname())
    server = _Server(Application(title, pages), _sock=sock, adj=adjustments, sockinfo=info, bind_socket=False)
    log.info("%s listens on port %d", title, sock.getsockname()[1])
    server.run()
