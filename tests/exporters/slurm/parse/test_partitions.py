from __future__ import annotations

import pytest

from exporters.slurm.parse import ParseError, Whole
from exporters.slurm.parse.partitions import Partition, partitions
from tests.exporters.slurm.building import read
from tests.exporters.slurm.samples import PARTITION


def line(name: str = "gpu", state: str = "UP", most: str = "UNLIMITED") -> str:
    return PARTITION.format(name=name, state=state, most=most)


def test_partitions() -> None:
    text = line() + line("long", "DRAIN", "4") + line("ä,b")
    assert partitions(text) == (
        Partition("gpu", "UP", None),
        Partition("long", "DRAIN", 4),
        Partition("ä,b", "UP", None),
    )


@pytest.mark.parametrize("text", ["", "\n", "No partitions in the system\n"])
def test_no_partitions(text: str) -> None:
    assert partitions(text) == ()


@pytest.mark.parametrize(
    "text",
    ["slurm_load_partitions error: Unable to contact slurm controller\n", line() + "PartitionName=x Hidden=NO\n"],
)
def test_output_that_is_not_whole_fails_all(text: str) -> None:
    with pytest.raises(ParseError, match="scontrol show partitions: "):
        partitions(text)


def test_output_cut_anywhere_fails_or_holds_whole_partitions_only() -> None:
    text = line() + line("long", "DOWN", "4")
    whole = partitions(text)
    for length in range(1, len(text)):
        if length == len(line()):
            continue
        with pytest.raises(ParseError):
            read(Whole(partitions), text[:length].encode())
    assert read(Whole(partitions), line().encode()) == whole[:1]
