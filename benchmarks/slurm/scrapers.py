"""Many Prometheus servers: each asks once a second, for what it is told, on a connection of its own."""

from __future__ import annotations

import http.client
import statistics
import time
from concurrent.futures import ThreadPoolExecutor


def scrape(port: int, scrapers: int, seconds: float, gzip: bool = True) -> list[float]:
    """Milliseconds of every scrape from when it was due, sorted; scrapers are spread over the second."""
    found: list[float] = []
    end = time.monotonic() + seconds

    def one(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        due = time.monotonic() + number / scrapers
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.perf_counter() - max(0.0, time.monotonic() - due)
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"} if gzip else {})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"a scrape was answered with {answer.status}")
            found.append((time.perf_counter() - began) * 1000)
            due += 1.0

    with ThreadPoolExecutor(scrapers) as pool:
        for done in [pool.submit(one, number) for number in range(scrapers)]:
            done.result()  # a scrape that fails is no fast one
    return sorted(found)


def percentiles(values: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    cuts = statistics.quantiles(values, n=100)
    return cuts[49], cuts[98]
