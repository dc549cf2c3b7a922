"""What a cable brings a pod; that traffic passes is tested where there is root."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import network


@pytest.mark.parametrize("there", [True, False])
def test_a_pod_has_ipv6_where_the_kernel_has_it(there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(network, "_batch", lambda _, *commands: said.extend(commands))
    monkeypatch.setattr(network, "_KERNELS_IPV6", tmp_path if there else tmp_path / "absent")
    network.Bridge("gw-test", 7).plug_in(1, "pod", "10.213.7.9")
    assert "address add 10.213.7.9/24 dev eth0" in said
    assert ("address add fd00:213:7::9/64 dev eth0 nodad" in said) is there
