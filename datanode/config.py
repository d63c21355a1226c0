"""The configuration of one datanode process."""

from pathlib import Path

import msgspec

from cairnfs.common.address import split_host_port
from cairnfs.common.errors import BadConfig

LOG_LEVELS = ("debug", "info", "warning", "error")


class DatanodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`listen` is where the transfer service binds, `advertise` where clients reach it (`listen` if not told).

    `namenodes` are host:port of all namenodes; `volumes` one folder a disk. Of each disk `reserve_bytes`
    stay free (1 GiB, or 2 % of a small disk, if not told), and at most `capacity_bytes` (0: no limit) are taken.
    """

    cluster_id: str
    listen: str
    namenodes: list[str]
    volumes: list[str]
    advertise: str = ""
    reserve_bytes: int | None = None
    capacity_bytes: int = 0
    map_size_bytes: int = 1 << 43
    connections_max: int = 512
    transfer_timeout_s: float = 30.0
    log_level: str = "info"

    def __post_init__(self) -> None:
        if not self.cluster_id:
            raise ValueError("cluster_id must not be empty")
        for address in (self.listen, *([self.advertise] if self.advertise else []), *self.namenodes):
            try:
                split_host_port(address)
            except BadConfig as error:
                raise ValueError(str(error)) from None
        _check_list("namenodes", self.namenodes)
        _check_list("volumes", self.volumes)
        for volume in self.volumes:
            if not Path(volume).is_absolute():
                raise ValueError(f"volumes must be absolute paths, and {volume!r} is not")
        if self.reserve_bytes is not None and self.reserve_bytes < 0:
            raise ValueError("reserve_bytes must not be negative")
        if self.capacity_bytes < 0:
            raise ValueError("capacity_bytes must not be negative (0: no limit)")
        if self.map_size_bytes < 1 << 26:
            raise ValueError("map_size_bytes must be at least 64 MiB")
        if not 1 <= self.connections_max <= 10_000:
            raise ValueError("connections_max must be from 1 to 10000")
        if not 0.1 <= self.transfer_timeout_s <= 600:
            raise ValueError("transfer_timeout_s must be from 0.1 to 600")
        if self.log_level not in LOG_LEVELS:
            raise ValueError(f"log_level must be one of {', '.join(LOG_LEVELS)}")


def _check_list(name: str, values: list[str]) -> None:
    if not values:
        raise ValueError(f"{name} must name at least one")
    if len(set(values)) != len(values):
        raise ValueError(f"{name} names one of them twice")
