"""Fixtures of the image's tests: every test in this folder is marked `image`. TEST_IMAGE names the image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.build import Image, remove_others
from tests.system.docker import Docker
from tests.system.harness import Backend, Cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.image)


@pytest.fixture(scope="session", autouse=True)
def no_other_image_is_left() -> Iterator[None]:
    """What these tests build besides the image under test is removed."""
    yield
    remove_others()


@pytest.fixture(scope="session")
def image() -> Image:
    """The image under test."""
    return Image(os.environ["TEST_IMAGE"])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An empty cluster of containers; at its end every log is looked through and everything is removed."""
    backend: Backend = Docker(tmp_path)
    made = Cluster(backend)
    try:
        yield made
        made.check_logs()
    finally:
        made.close()
