"""Addresses: what is accepted, and that a mistake is named."""

import pytest

from cairnfs.common.address import ClusterAddress, split_host_port
from cairnfs.common.errors import BadConfig


def test_a_cluster_address_round_trips() -> None:
    """Members, scheme and cluster id come back as written."""
    text = "cairn://127.0.0.1:9001,[::1]:9002?cluster=abc"
    address = ClusterAddress.parse(text)
    assert address == ClusterAddress(("127.0.0.1:9001", "[::1]:9002"), "abc")
    assert str(address) == text
    assert ClusterAddress.parse("localhost:1").namenodes == ("localhost:1",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cairn://",
        "cairn://host",
        "cairn://host:0",
        "cairn://host:99999",
        "host:x",
        "a:1?b=c",
        "a:1?cluster=",
        "http://a:1",
        "a b:1",
    ],
)
def test_a_mistake_is_named(text: str) -> None:
    """Anything else is refused with a line that says what to write."""
    with pytest.raises(BadConfig):
        ClusterAddress.parse(text)


def test_host_and_port_are_split() -> None:
    """Brackets of IPv6 are taken off."""
    assert split_host_port("[::1]:9000") == ("::1", 9000)
    assert split_host_port("a.example:80") == ("a.example", 80)
