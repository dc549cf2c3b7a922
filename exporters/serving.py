"""EDGE: the HTTP server of both exporters: pages from memory, one thread, whatever the number of scrapers.

A general WSGI server spends half a millisecond of Python on each request; here a request that was seen before costs a
dictionary look-up and two system calls. Nothing a client does holds up another: sockets never block, output waits
where the client does not read, and connections that do not get on are closed.
"""

from __future__ import annotations

import errno
import html
import logging
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping

from exporters import http11
from exporters.http11 import BadRequest, Request
from exporters.pages import PageHolder

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 8000
"""Beyond it the connections that were idle longest make room: no number of idle ones stops a scrape."""
REQUEST_S = 30.0
"""A request must be whole so long after its first byte (or after the connection began)."""
IDLE_S = 150.0
"""Between two requests: longer than Prometheus' scrape intervals commonly are."""
ANSWER_S = 60.0
"""A client must have taken an answer after so long."""
LINGER_S = 2.0
"""How long what is still coming is read away after the last answer, for the client to see it (RFC 9112, 9.6)."""
SWEEP_S = 1.0
_KNOWN_REQUESTS = 256
_SWITCH_S = 0.0002
"""How long a busy thread may keep the server from running; Python's own 5 ms would be most of a scrape."""

Answer = tuple[int, bytes, bytes]
"""Status, headers that speak of the body, body."""


class Site:
    """Routes: the pages, /health and a landing page."""

    def __init__(self, title: str, pages: Mapping[str, PageHolder]) -> None:
        self._pages = dict(pages)
        links = " ".join(f'<a href="{path}">{path}</a>' for path in (*pages, "/health"))
        shown = html.escape(title)
        landing = f"<!doctype html><title>{shown}</title><h1>{shown}</h1><p>{links}</p>\n".encode()
        self._landing = 200, http11.entity("text/html; charset=utf-8", len(landing)), landing

    def answer(self, request: Request) -> Answer:
        """What to send for a request."""
        holder = self._pages.get(request.path)
        if holder is None and request.path not in ("/health", "/"):
            return text_answer(404, f"not found: try {', '.join((*self._pages, '/health'))} or /\n")
        if request.method not in ("GET", "HEAD"):
            return text_answer(405, "GET or HEAD only\n", "Allow: GET, HEAD")
        if holder is None:
            return self._landing if request.path == "/" else self._health()
        page = holder.get()
        if page.expired:
            return text_answer(503, f"{page.expired}\n")
        if request.gzip:
            holder.gzip_was_asked()
            return 200, *page.gzipped()
        return 200, *page.plain()

    def _health(self) -> Answer:
        problems = dict.fromkeys(problem for holder in self._pages.values() for problem in holder.get().problems)
        if problems:
            return text_answer(503, "".join(f"{problem}\n" for problem in problems))
        return text_answer(200, "ok\n")


def text_answer(status: int, text: str, *headers: str) -> Answer:
    """A short answer for people."""
    body = text.encode()
    return status, http11.entity("text/plain; charset=utf-8", len(body), *headers), body


class _Connection:
    __slots__ = ("closing", "due", "incoming", "last", "outgoing", "sock")

    def __init__(self, sock: socket.socket, now: float) -> None:
        self.sock = sock
        self.incoming = b""
        self.outgoing: deque[memoryview] = deque()
        self.last = now
        """When its last answer was complete, or it began (monotonic)."""
        self.due = now + REQUEST_S
        """When it is closed unless it gets on."""
        self.closing = False
        """Nothing more is answered."""


class Server:
    """Accepts and answers in one thread."""

    def __init__(self, site: Site, listener: socket.socket, max_connections: int) -> None:
        self._site = site
        self._listener = listener
        self._max = max_connections
        self._epoll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._known: dict[bytes, Request] = {}
        """What scrapers send is the same each time."""
        self._heads: dict[tuple[int, int, bool], bytes] = {}
        self._heads_second = 0
        listener.setblocking(False)
        self._epoll.register(listener, select.EPOLLIN)

    def run(self) -> None:
        """For ever."""
        sweep_due = time.monotonic() + SWEEP_S
        while True:
            # The listener is asked for again last: answers before new connections.
            for number, events in self._epoll.poll(SWEEP_S, 512):
                if number == self._listener.fileno():
                    self._accept()
                elif connection := self._connections.get(number):
                    self._serve(connection, events)
            if time.monotonic() >= sweep_due:
                self._sweep()
                sweep_due = time.monotonic() + SWEEP_S

    def _accept(self) -> None:
        for _ in range(128):
            if len(self._connections) >= self._max:
                self._make_room()
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    self._make_room()
                    time.sleep(0.01)  # the listener stays readable: without a pause this would be a busy loop
                return  # else the client went before it was accepted
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[sock.fileno()] = _Connection(sock, time.monotonic())
            self._epoll.register(sock, select.EPOLLIN)

    def _make_room(self) -> None:
        idle = [connection for connection in self._connections.values() if not connection.outgoing]
        for connection in sorted(idle, key=lambda one: one.last)[: max(1, len(idle) // 20)]:
            self._close(connection)

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in [one for one in self._connections.values() if one.due <= now]:
            self._close(connection)

    def _serve(self, connection: _Connection, events: int) -> None:
        try:
            if connection.outgoing:
                if events & (select.EPOLLERR | select.EPOLLHUP):
                    self._close(connection)
                else:
                    self._write(connection)
            else:
                self._read(connection)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._close(connection)
        except Exception:  # a bug that one request finds must not end the others
            log.exception("a request could not be answered")
            self._close(connection)

    def _read(self, connection: _Connection) -> None:
        data = connection.sock.recv(65536)
        if not data:
            self._close(connection)
        elif not connection.closing:
            if not connection.incoming:
                connection.due = time.monotonic() + REQUEST_S
            connection.incoming += data
            self._answer(connection)

    def _answer(self, connection: _Connection) -> None:
        """Answer what is whole, one after the other; stop where the client does not take it."""
        while connection.incoming and not connection.closing and not connection.outgoing:
            head = connection.incoming
            request = self._known.get(head)
            try:
                if request is None:
                    end = http11.head_end(head)
                    if end > http11.MAX_HEAD or (end < 0 and len(head) > http11.MAX_HEAD):
                        raise BadRequest(431, "the request's headers are too large")
                    if end < 0:
                        return
                    head = head[:end]
                    request = self._parse(head)
                status, entity, body = self._site.answer(request)
            except BadRequest as error:
                status, entity, body = text_answer(error.status, f"{error}\n")
            connection.closing = request is None or not request.keep_alive
            connection.incoming = b"" if connection.closing else connection.incoming[len(head) :]
            parts = [self._head(status, request), entity, b"\r\n"]
            if request is None or request.method != "HEAD":
                parts.append(body)
            self._send(connection, parts)

    def _parse(self, head: bytes) -> Request:
        request = http11.parse(head)
        if not request.body:
            if len(self._known) >= _KNOWN_REQUESTS:
                self._known.clear()
            self._known[head] = request
        return request

    def _head(self, status: int, request: Request | None) -> bytes:
        """The status line and common headers; made once a second, as the date in them changes."""
        now = int(time.time())
        if now != self._heads_second:
            self._heads_second = now
            self._heads.clear()
        key = (status, request.version, request.keep_alive) if request else (status, 1, False)
        made = self._heads.get(key)
        if made is None:
            made = self._heads[key] = http11.response_head(status, request, now)
        return made

    def _send(self, connection: _Connection, parts: list[bytes]) -> None:
        try:
            sent = connection.sock.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        for part in parts:
            if sent < len(part):
                connection.outgoing.append(memoryview(part)[sent:])
            sent = max(0, sent - len(part))
        if connection.outgoing:
            connection.due = time.monotonic() + ANSWER_S
            self._epoll.modify(connection.sock, select.EPOLLOUT)
        else:
            self._sent(connection)

    def _write(self, connection: _Connection) -> None:
        while connection.outgoing:
            part = connection.outgoing[0]
            sent = connection.sock.send(part)
            if sent < len(part):
                connection.outgoing[0] = part[sent:]
            else:
                connection.outgoing.popleft()
        self._epoll.modify(connection.sock, select.EPOLLIN)
        self._sent(connection)
        self._answer(connection)

    def _sent(self, connection: _Connection) -> None:
        """An answer is with the client's kernel."""
        connection.last = time.monotonic()
        if connection.closing:
            # Closing a socket with unread input would reset it, and the client would lose the answer.
            connection.sock.shutdown(socket.SHUT_WR)
            connection.due = connection.last + LINGER_S
        else:
            connection.due = connection.last + (REQUEST_S if connection.incoming else IDLE_S)

    def _close(self, connection: _Connection) -> None:
        self._connections.pop(connection.sock.fileno(), None)
        connection.sock.close()  # which takes it out of epoll


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
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):  # IPv6 is switched off here
                raise
    return socket.create_server(("", port), backlog=1024)


def serve(title: str, pages: Mapping[str, PageHolder], listener: socket.socket) -> None:
    """Answer until SIGTERM or SIGINT, then end the process at once: there is nothing to save."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + 100
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    sys.setswitchinterval(_SWITCH_S)
    server = Server(Site(title, pages), listener, max(10, min(MAX_CONNECTIONS, soft - 100)))
    log.info("%s listens on port %d", title, listener.getsockname()[1])
    server.run()
