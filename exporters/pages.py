"""What an exporter serves: pages that are rendered once, compressed at most once, and withheld when they are old."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Sequence

from exporters import http11
from exporters.exposition import CONTENT_TYPE

_LARGE = 256 * 1024
"""From this many bytes on the server, which does one thing at a time, had better not compress a page itself."""
_ASKED_S = 300.0


class Page:
    """One rendered document and the health that goes with it."""

    def __init__(self, body: bytes, problems: Sequence[str], max_age: float, content_type: str = CONTENT_TYPE) -> None:
        """problems: why data is missing or stale, empty when all is well; max_age: seconds until it is too old."""
        self.body = body
        self._problems = list(problems)
        self._max_age = max_age
        self._content_type = content_type
        self._made = time.monotonic()
        self._lock = threading.Lock()
        self._plain: tuple[bytes, bytes] | None = None
        self._gzipped: tuple[bytes, bytes] | None = None

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

    def plain(self) -> tuple[bytes, bytes]:
        """The headers that speak of the body, and the body."""
        if self._plain is None:
            headers = http11.entity(self._content_type, len(self.body), "Vary: Accept-Encoding")
            self._plain = headers, self.body
        return self._plain

    def gzipped(self) -> tuple[bytes, bytes]:
        """The same, compressed."""
        with self._lock:
            if self._gzipped is None:
                body = gzip.compress(self.body, compresslevel=1, mtime=0)
                more = ("Vary: Accept-Encoding", "Content-Encoding: gzip")
                self._gzipped = http11.entity(self._content_type, len(body), *more), body
            return self._gzipped


class PageHolder:
    """Where the sampler leaves the newest page for the server."""

    def __init__(self) -> None:
        self._page = Page(b"", [], max_age=0.0)
        self._gzip_asked = -_ASKED_S

    def put(self, page: Page) -> None:
        """Replace the page. A large one that will be asked for gzipped is compressed here, by the sampler."""
        if len(page.body) >= _LARGE and time.monotonic() - self._gzip_asked < _ASKED_S:
            page.gzipped()
        self._page = page  # one assignment, so no lock

    def get(self) -> Page:
        """The newest page."""
        return self._page

    def gzip_was_asked(self) -> None:
        """Somebody takes this page gzipped."""
        self._gzip_asked = time.monotonic()
