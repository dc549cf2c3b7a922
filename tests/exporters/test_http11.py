from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters import http11
from exporters.http11 import BadRequest, Request, parse

SCRAPE = (
    b"GET /metrics HTTP/1.1\r\nHost: pod:9400\r\nUser-Agent: Prometheus/2.42.0\r\n"
    b"Accept: text/plain;version=0.0.4;q=1,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n"
    b"X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"
)


def test_scrape() -> None:
    assert parse(SCRAPE) == Request("GET", "/metrics", gzip=True, version=1, keep_alive=True, body=False)


@pytest.mark.parametrize(
    ("head", "keep_alive", "body"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True, False),
        (b"GET / HTTP/1.1\n\n", True, False),
        (b"\r\nGET / HTTP/1.1\r\n\r\n", True, False),
        (b"GET / HTTP/1.1\r\nconnection: Keep-Alive, CLOSE\r\n\r\n", False, False),
        (b"GET / HTTP/1.0\r\n\r\n", False, False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True, False),
        (b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", True, False),
        (b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", False, True),
        (b"GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n", False, True),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", False, True),
    ],
)
def test_whether_the_connection_is_kept(head: bytes, keep_alive: bool, body: bool) -> None:
    request = parse(head)
    assert (request.keep_alive, request.body) == (keep_alive, body)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/metrics?name[]=a", "/metrics"),
        (b"http://pod:9400/metrics", "/metrics"),
        (b"http://pod:9400", "/"),
        (b"//metrics", "//metrics"),
        (b"/%6Detrics", "/%6Detrics"),
        (b"*", "*"),
    ],
)
def test_path(target: bytes, path: str) -> None:
    assert parse(b"GET " + target + b" HTTP/1.1\r\n\r\n").path == path


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.2\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GE T / HTTP/1.1\r\n\r\n",
        b"G\xc3\x89T / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nName : value\r\n\r\n",
        b"GET / HTTP/1.1\r\nName: value\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\n: value\r\n\r\n",
    ],
)
def test_bad_request(head: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(head)
    assert caught.value.status == 400


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_bad_one(data: bytes) -> None:
    try:
        parse(b"GET /metrics HTTP/1.1\r\n" + data + b"\r\n\r\n")
    except BadRequest:
        pass


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", -1),
        (b"GET / HTTP/1.1\r\n", -1),
        (b"GET / HTTP/1.1\r\n\r", -1),
        (b"a\r\n\r\n", 5),
        (b"a\n\nb", 3),
        (b"a\r\n\nb", 4),
        (SCRAPE * 2, len(SCRAPE)),
    ],
)
def test_head_end(data: bytes, end: int) -> None:
    assert http11.head_end(data) == end


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("gzip", True),
        ("GZIP;Q=0.5, br", True),
        ("*", True),
        ("*;q=0, gzip", True),
        ("gzip;q=0, *", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0.001", True),
        ("", False),
        ("x-gzipped", False),
    ],
)
def test_accepts_gzip(header: str, expected: bool) -> None:
    assert http11.accepts_gzip(header) is expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"Connection: close\r\n"),
        (b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"Connection: keep-alive\r\n"),
    ],
)
def test_response_head(head: bytes, expected: bytes) -> None:
    made = http11.response_head(200, parse(head), 0)
    assert expected in made
    assert made.endswith(b"\r\n")
