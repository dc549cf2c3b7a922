"""The endpoint of a real exporter under clients of all kinds, and under a GPU that hangs for long."""

from __future__ import annotations

import gzip
import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.exporters.gpu.machine import Machine, samples

UP = "gpu_watchdog_gpu_up"
TEMPERATURE = "DCGM_FI_DEV_GPU_TEMP"
SCRAPERS = 300
STUCK = 40
PAGE_BYTES = 700_000
RSS_SLACK = 6 << 20


@pytest.fixture
def large(machine: Machine) -> Machine:
    """Sixteen GPUs of seven instances, all metrics: more than a socket's buffers take at once."""
    mig = " ".join(f"{number}:1g.10gb:{number + 7}" for number in range(7))
    machine.gpus.write(gpus=[{"model": "h100", "mig_mode": 1, "mig": mig} for _ in range(16)])
    machine.start("--collectors=all", "--collect-interval=500")
    machine.until("all instances", lambda: len(samples(machine.text(), "DCGM_FI_PROF_SM_ACTIVE")) == 16 * 8)
    assert len(machine.text()) > PAGE_BYTES
    return machine


@pytest.fixture
def small(machine: Machine) -> Machine:
    machine.gpus.write(gpus=[{"model": "h100"}, {"model": "h100"}])
    machine.start()
    machine.until("both are read", lambda: len(samples(machine.text(), TEMPERATURE)) == 2)
    return machine


def port(machine: Machine) -> int:
    return machine._port


def pid(machine: Machine) -> int:
    assert machine._process
    return machine._process.pid


def rss(machine: Machine) -> int:
    """Bytes."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid(machine)}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) << 10


def ask(machine: Machine, request: str, receive_buffer: int = 0) -> socket.socket:
    made = socket.socket()
    if receive_buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.settimeout(60)
    made.connect(("127.0.0.1", port(machine)))
    made.sendall(request.encode())
    return made


def all_of(connection: socket.socket) -> bytes:
    """Until the other side closes."""
    with closing(connection):
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def split(answer: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return status, {name.lower(): text for name, text in headers.items()}, body


@contextmanager
def never_reading(machine: Machine, count: int) -> Iterator[None]:
    """Clients that ask for the page and take nothing of it."""
    request = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
    connections = [ask(machine, request, receive_buffer=4096) for _ in range(count)]
    try:
        yield
    finally:
        for connection in connections:
            connection.close()


def test_three_hundred_scrapers_at_once_get_whole_pages(large: Machine) -> None:
    answers: list[tuple[int, int, bool]] = []
    together = threading.Barrier(SCRAPERS)

    def scrape() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port(large), timeout=60)) as connection:
            connection.connect()
            together.wait(60)
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            body = answer.read()
            whole = body.endswith(b"\n") and body.count(f"\n{TEMPERATURE}{{".encode()) == 16
            answers.append((answer.status, len(body) - int(answer.headers["Content-Length"]), whole))

    threads = [threading.Thread(target=scrape) for _ in range(SCRAPERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [(200, 0, True)] * SCRAPERS


def test_clients_that_never_read_slow_nobody_and_cost_no_memory(large: Machine) -> None:
    for _ in range(10):  # whatever is made once
        large.text()
    before, began = rss(large), time.monotonic()
    with never_reading(large, STUCK):
        pages: set[str] = set()
        while len(pages) < 6:  # each page that a stuck client asked for is an old one by now
            pages.add(large.text())
            assert time.monotonic() - began < 60
        # A copy for each of them, or each page kept, would be tens of MiB.
        assert rss(large) - before < RSS_SLACK
    assert large.get("/health") == (200, "ok\n")


def test_a_client_that_reads_late_gets_one_page_whole(large: Machine) -> None:
    request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    late = ask(large, request, receive_buffer=4096)
    large.gpus.update(0, temperature=71)
    large.until_value(71, TEMPERATURE, gpu="0")
    status, headers, body = split(all_of(late))
    assert (status, len(body)) == ("HTTP/1.1 200 OK", int(headers["content-length"]))
    assert body.count(f"\n{TEMPERATURE}{{".encode()) == 16
    lines = [line.rpartition(b" ")[0] for line in body.splitlines() if not line.startswith(b"#")]
    assert len(lines) == len(set(lines))


def test_head_has_the_headers_and_no_body(small: Machine) -> None:
    request = "HEAD {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    status, headers, body = split(all_of(ask(small, request.format("/metrics"))))
    assert (status, body) == ("HTTP/1.1 200 OK", b"")
    assert int(headers["content-length"]) > 1000
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    status, headers, body = split(all_of(ask(small, request.format("/health"))))
    assert (status, headers["content-length"], body) == ("HTTP/1.1 200 OK", "3", b"")


def test_http_1_0_is_answered_and_closed(small: Machine) -> None:
    """Without any header, and without Connection: keep-alive."""
    status, headers, body = split(all_of(ask(small, "GET /metrics HTTP/1.0\r\n\r\n")))
    assert status.split(" ", 1)[1] == "200 OK"
    assert len(body) == int(headers["content-length"])
    assert len(samples(body.decode(), TEMPERATURE)) == 2
    assert "chunked" not in headers.get("transfer-encoding", "")


def test_one_connection_serves_many_scrapes(small: Machine) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port(small), timeout=60)) as connection:
        connection.connect()
        first = connection.sock
        for temperature in (51, 52, 53):
            small.gpus.update(0, temperature=temperature)
            small.until_value(temperature, TEMPERATURE, gpu="0")
            connection.request("GET", "/metrics")
            assert f" {temperature}\n" in connection.getresponse().read().decode()
        assert connection.sock is first


@pytest.mark.parametrize(
    ("accepted", "coding"), [("gzip", "gzip"), ("deflate, gzip;q=0.5", "gzip"), ("gzip;q=0", None), ("identity", None)]
)
def test_gzip_where_it_is_asked_for(small: Machine, accepted: str, coding: str | None) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port(small), timeout=60)) as connection:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": accepted})
        answer = connection.getresponse()
        body = answer.read()
    assert answer.headers["Content-Encoding"] == coding
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert len(samples((gzip.decompress(body) if coding else body).decode(), TEMPERATURE)) == 2


def test_a_hang_costs_neither_threads_nor_memory_however_long(small: Machine) -> None:
    """Each interval asks again for what can be asked: not for what is stuck, which would be one more thread each."""
    small.gpus.update(1, **{"hang.nvmlDeviceGetTemperature": 1})
    small.until_value(0, UP, gpu="1")
    ((labels, _),) = samples(small.text(), "gpu_watchdog_gpu_error_info")
    assert labels["gpu"] == "1" and "no answer from nvml" in labels["error"]
    threads, before = small.threads(), rss(small)

    def asked() -> float:
        return small.value("gpu_watchdog_nvml_calls_total", call="nvmlDeviceGetTemperature") or 0

    counted = asked()
    small.until("thirty more intervals of the other", lambda: asked() > counted + 30)
    for temperature in (61, 62, 63):
        small.gpus.update(0, temperature=temperature)
        small.until_value(temperature, TEMPERATURE, gpu="0")
    assert small.threads() == threads
    assert rss(small) - before < RSS_SLACK
    assert samples(small.text(), TEMPERATURE, gpu="1") == []
    small.gpus.update(1, **{"hang.nvmlDeviceGetTemperature": None, "temperature": 64})
    small.until_value(64, TEMPERATURE, gpu="1")
    assert small.value(UP, gpu="1") == 1
    assert small.threads() == threads


def test_an_order_that_changes_while_a_gpu_hangs(small: Machine) -> None:
    """The one that hangs is told under its own name, wherever it stands now."""
    small.gpus.update(1, **{"hang.nvmlDeviceGetTemperature": 1})
    small.until_value(0, UP, gpu="1")
    uuid = samples(small.text(), UP, gpu="1")[0][0]["UUID"]
    small.gpus.reorder([1, 0])
    small.until("the other is first no more", lambda: small.value(UP, UUID=uuid, gpu="0") == 0)
    assert small.value(UP, gpu="1") == 1
    small.gpus.update(0, **{"hang.nvmlDeviceGetTemperature": None})
    small.until_value(1, UP, UUID=uuid, gpu="0")
    small.until("both are read", lambda: len(samples(small.text(), TEMPERATURE)) == 2)
