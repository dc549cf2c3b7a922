"""For all tests: where nobody watches (CI is set), a test that does not run has failed; those of IPv6 need it."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from tests.left_out import has_ipv6, leave_out


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not has_ipv6():
        leave_out(config, items, "ipv6")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where it must run: {report.longrepr}"
    return report
