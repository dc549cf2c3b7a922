from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap import hosts

RUNTIME = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n172.17.0.2\tpod-1\n"
BLOCK = "10.0.0.5 gpu-node\n"
MARKED = f"# gpu-watchdog begin\n{BLOCK}# gpu-watchdog end\n"


@pytest.mark.parametrize(
    ("current", "block", "expected"),
    [
        (RUNTIME, BLOCK, RUNTIME + MARKED),
        (RUNTIME.rstrip("\n"), BLOCK, RUNTIME + MARKED),
        ("", BLOCK, MARKED),
        (RUNTIME, "", RUNTIME),
        (RUNTIME.rstrip("\n"), "", RUNTIME.rstrip("\n")),
        ("", "", ""),
        (RUNTIME + MARKED, "10.0.0.6 other\n", RUNTIME + MARKED.replace(BLOCK, "10.0.0.6 other\n")),
        (RUNTIME + MARKED, "", RUNTIME),
        (RUNTIME + MARKED + "10.9.9.9 later\n", BLOCK, RUNTIME + MARKED + "10.9.9.9 later\n"),
        (RUNTIME + MARKED + "10.9.9.9 later\n", "", RUNTIME + "10.9.9.9 later\n"),
    ],
)
def test_merge(current: str, block: str, expected: str) -> None:
    assert hosts.merge(current, block) == expected


@given(st.text().filter(lambda text: "# gpu-watchdog" not in text))
def test_merge_twice_is_merge_once_and_can_be_taken_back(current: str) -> None:
    once = hosts.merge(current, BLOCK)
    assert hosts.merge(once, BLOCK) == once
    assert hosts.merge(once, "") in (current, current + "\n")


def test_names_are_those_of_others() -> None:
    text = RUNTIME + "# 10.0.0.1 commented\n10.0.0.2 a b # c\n\n" + MARKED
    assert hosts.names(text) == {"localhost", "ip6-localhost", "pod-1", "a", "b"}
