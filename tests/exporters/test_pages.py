from __future__ import annotations

import gzip

from exporters.pages import Page, PageHolder

BODY = b"a 1\n"
LONG_S = 60.0
LARGE = b"a 1\n" * 100_000


def test_page_is_compressed_once() -> None:
    page = Page(BODY, [], LONG_S)
    assert page.gzipped() is page.gzipped()
    assert gzip.decompress(page.gzipped()[1]) == BODY


def test_headers_speak_of_the_body() -> None:
    page = Page(BODY, [], LONG_S, "application/json")
    assert page.plain() == (
        b"Content-Type: application/json\r\nContent-Length: 4\r\nVary: Accept-Encoding\r\n",
        BODY,
    )
    headers, body = page.gzipped()
    assert b"Content-Length: %d\r\n" % len(body) in headers
    assert headers.endswith(b"Content-Encoding: gzip\r\n")


def test_large_page_is_compressed_by_who_puts_it_once_it_was_asked_for() -> None:
    holder = PageHolder()
    first, second, small = Page(LARGE, [], LONG_S), Page(LARGE, [], LONG_S), Page(BODY, [], LONG_S)
    holder.put(first)
    assert first._gzipped is None
    holder.gzip_was_asked()
    holder.put(second)
    assert second._gzipped is not None
    holder.put(small)
    assert small._gzipped is None


def test_no_page_is_no_data() -> None:
    assert PageHolder().get().expired == "no data yet"
