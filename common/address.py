"""Addresses: `host:port` of a process, and `cairn://host:port,host:port` of a cluster."""

import re
from dataclasses import dataclass

from cairnfs.common.errors import BadConfig

SCHEME = "cairn://"
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+")


def split_host_port(address: str) -> tuple[str, int]:
    """('::1', 9000) of '[::1]:9000'; BadConfig where it is not host:port with a port from 1 to 65535."""
    host, colon, port = address.rpartition(":")
    if not colon or not _HOST.fullmatch(host) or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadConfig(f"{address!r} is not an address: write host:port, as in 127.0.0.1:9000")
    return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """The namenodes of a cluster, any of which will do to find the leader; an empty `cluster_id` fits any."""

    namenodes: tuple[str, ...]
    cluster_id: str = ""

    @classmethod
    def parse(cls, text: str) -> "ClusterAddress":
        """The address in `cairn://host:port,host:port[?cluster=ID]`, scheme optional; BadConfig otherwise."""
        rest, _, query = text.strip().removeprefix(SCHEME).partition("?")
        key, equals, cluster_id = query.partition("=")
        if query and (key != "cluster" or not equals or not cluster_id):
            raise BadConfig(f"{text!r}: after '?' only cluster=ID may follow")
        members = tuple(member for member in rest.rstrip("/").split(",") if member)
        if not members:
            raise BadConfig(f"{text!r} names no namenode: write {SCHEME}host:port,host:port")
        for member in members:
            split_host_port(member)
        return cls(members, cluster_id)

    def __str__(self) -> str:
        query = f"?cluster={self.cluster_id}" if self.cluster_id else ""
        return SCHEME + ",".join(self.namenodes) + query
