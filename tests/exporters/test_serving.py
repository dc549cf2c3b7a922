from __future__ import annotations

import gzip
import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.serving import parse_address

ROOT = Path(__file__).resolve().parents[2]
BODY = b"# HELP a A.\n# TYPE a gauge\na 1\n"
LONG_S = 60.0
# Pages are put as lines of stdin say: max_age, then problems; each is answered on stdout once it is put.
SERVER = f"""
import sys, threading
from exporters import serving
from exporters.pages import Page, PageHolder
exec(sys.argv[1])
pages = PageHolder()
listener = serving.listen("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
def feed():
    for line in sys.stdin:
        max_age, *problems = line.rstrip("\\n").split("|")
        pages.put(Page({BODY!r} * int(sys.argv[2]), problems, float(max_age)))
        print("put", flush=True)
threading.Thread(target=feed, daemon=True).start()
serving.serve("a <title>", {{"/metrics": pages}}, listener)
"""


class Server:
    """A process that serves pages on 127.0.0.1."""

    def __init__(self, settings: str = "", repeat: int = 1) -> None:
        """settings: statements that change the server's limits; repeat: how often a page has BODY."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, settings, str(repeat)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def put(self, max_age: float, *problems: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("|".join([str(max_age), *problems]) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "put\n"

    def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (in small letters) and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG_S)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=LONG_S)


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Server:
    """The shared server with a fresh page."""
    shared.put(LONG_S)
    return shared


def test_metrics(server: Server) -> None:
    status, headers, body = server.ask("/metrics")
    assert (status, body) == (200, BODY)
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["content-length"] == str(len(BODY))
    assert headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in headers


@pytest.mark.parametrize(
    "accepted", ["gzip", "gzip, deflate, br", "deflate, GZIP;q=0.5", "*", "identity;q=0, gzip;q=1.0"]
)
def test_gzip(server: Server, accepted: str) -> None:
    status, headers, body = server.ask("/metrics", headers={"Accept-Encoding": accepted})
    assert (status, gzip.decompress(body), headers["content-encoding"]) == (200, BODY, "gzip")
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize("accepted", ["", "identity", "deflate, br", "gzip;q=0", "gzip; q=0.000", "x-gzipped"])
def test_no_gzip(server: Server, accepted: str) -> None:
    _, headers, body = server.ask("/metrics", headers={"Accept-Encoding": accepted})
    assert body == BODY
    assert "content-encoding" not in headers


@pytest.mark.parametrize("path", ["/metrics", "/health", "/"])
def test_head_is_get_without_a_body(server: Server, path: str) -> None:
    status, headers, body = server.ask(path, "HEAD")
    assert (status, body) == (200, b"")
    assert headers["content-length"] == server.ask(path)[1]["content-length"] != "0"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods(server: Server, method: str) -> None:
    status, headers, _ = server.ask("/metrics", method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/metric", "/metrics/", "/../etc/passwd", "/%00"])
def test_other_paths(server: Server, path: str) -> None:
    assert server.ask(path)[0] == 404


def test_query_is_ignored(server: Server) -> None:
    assert server.ask("/metrics?name[]=a")[2] == BODY


def test_landing_page(server: Server) -> None:
    status, headers, body = server.ask("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"a &lt;title&gt;" in body
    assert b'href="/metrics"' in body


def test_http_1_0(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n" + BODY)


def test_connection_is_kept_alive(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LONG_S)
    for _ in range(3):
        connection.request("GET", "/metrics")
        assert connection.getresponse().read() == BODY
        used = connection.sock
        assert used is not None
    connection.close()


def test_no_page_yet() -> None:
    with Server() as server:
        assert server.ask("/metrics")[::2] == (503, b"no data yet\n")
        assert server.ask("/health")[::2] == (503, b"no data yet\n")
        assert server.ask("/")[0] == 200


def test_page_that_is_too_old(server: Server) -> None:
    server.put(0.0, "thing: no answer")
    status, _, body = server.ask("/metrics")
    assert (status, body) == (503, b"no new data for 0 s\n")
    assert server.ask("/health")[::2] == (503, b"no new data for 0 s\nthing: no answer\n")
    server.put(LONG_S)
    assert server.ask("/metrics")[0] == 200


def test_problem_makes_unhealthy_but_the_rest_is_served(server: Server) -> None:
    server.put(LONG_S, "one: failed", "other: failed")
    assert server.ask("/health")[::2] == (503, b"one: failed\nother: failed\n")
    assert server.ask("/metrics")[0] == 200
    server.put(LONG_S)
    assert server.ask("/health")[::2] == (200, b"ok\n")


def test_thousands_of_idle_connections_do_not_stop_a_scrape(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle: list[socket.socket] = []
    try:
        for _ in range(3000 if hard >= 4096 else hard // 2):
            idle.append(server.connect())
            idle[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        assert server.ask("/metrics")[2] == BODY
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_though_a_client_is_connected(number: signal.Signals) -> None:
    with Server() as server, server.connect():
        assert server.ask("/")[0] == 200
        server.process.send_signal(number)
        assert server.process.wait(LONG_S) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":9400", ("", 9400)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_parse_address(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "9400", ":", ":0", ":65536", ":http", "127.0.0.1:", ":-1", "a:b:c"])
def test_parse_bad_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address to listen on: write :9400"):
        parse_address(text)


def test_requests_in_one_piece_are_answered_in_order(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n"
        )
        answer = rest(connection)
    assert answer.count(BODY) == 3
    assert answer.endswith(b"\r\n\r\nok\n")


def test_request_in_single_bytes(server: Server) -> None:
    with server.connect() as connection:
        for byte in b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n":
            connection.sendall(bytes([byte]))
        assert rest(connection).endswith(b"\r\n\r\nok\n")


def test_body_is_never_taken_for_a_request(server: Server) -> None:
    with server.connect() as connection:
        hidden = b"GET /metrics HTTP/1.1\r\n\r\n"
        connection.sendall(b"POST /metrics HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden)
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"Connection: close\r\n" in answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20000, 431),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_told_so(server: Server, sent: bytes, status: int) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close\r\n" in answer
    assert server.ask("/metrics")[0] == 200


def test_client_that_never_reads_holds_up_nobody_and_is_left() -> None:
    with Server("serving.ANSWER_S = 0.5\nserving.SWEEP_S = 0.05\n", repeat=100_000) as server:
        server.put(LONG_S)
        greedy = [server.connect() for _ in range(20)]
        for connection in greedy:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 5)
        assert server.ask("/health")[0] == 200
        assert len(server.ask("/metrics")[2]) == 100_000 * len(BODY)
        descriptors = Path(f"/proc/{server.process.pid}/fd")
        deadline = time.monotonic() + LONG_S
        while len(list(descriptors.iterdir())) > len(greedy):  # it has some of its own, but not so many
            assert time.monotonic() < deadline
        for connection in greedy:
            connection.close()


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\nHost:"])
def test_connection_that_does_not_get_on_is_closed(sent: bytes) -> None:
    with Server("serving.REQUEST_S = 0.2\nserving.SWEEP_S = 0.05\n") as server, server.connect() as connection:
        connection.sendall(sent)
        assert rest(connection) == b""


def test_idle_connections_make_room_for_new_ones() -> None:
    with Server("serving.MAX_CONNECTIONS = 20\n") as server:
        server.put(LONG_S)
        idle = [server.connect() for _ in range(50)]
        assert server.ask("/metrics")[0] == 200
        assert rest(idle[0]) == b""  # those that were idle longest
        for connection in idle:
            connection.close()


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side ends."""
    answer = b""
    while data := connection.recv(65536):
        answer += data
    return answer


@pytest.mark.parametrize("module", ["exporters.gpu", "exporters.slurm"])
def test_real_exporter_serves_and_ends_by_sigterm(module: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", module, "--address", f"127.0.0.1:{port}", "--collect-interval", "100"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        deadline = time.monotonic() + LONG_S
        try:
            while f"listens on port {port}" not in process.stderr.readline():
                assert time.monotonic() < deadline
            status = 0
            while status != 200:
                assert time.monotonic() < deadline
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG_S)
                connection.request("GET", "/metrics")
                status = connection.getresponse().status
                connection.close()
            process.terminate()
            assert process.wait(LONG_S) == 0
        finally:
            process.kill()
