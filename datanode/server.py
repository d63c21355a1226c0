"""One datanode process: everything put together, from a configuration to a clean stop."""

import threading
from pathlib import Path

from cairnfs.common.address import split_host_port
from cairnfs.common.errors import CairnError
from cairnfs.common.logs import EventLogger
from cairnfs.datanode.access import AccessGuard
from cairnfs.datanode.config import DatanodeConfig
from cairnfs.datanode.environment import Limits
from cairnfs.datanode.namenode_link import NamenodeLink
from cairnfs.datanode.registration import Registration
from cairnfs.datanode.transfer_server import TransferServer
from cairnfs.datanode.volumes import Volumes

log = EventLogger("datanode")


class DatanodeServer:
    """A datanode that runs from its making to `stop`."""

    def __init__(self, config: DatanodeConfig, ended: threading.Event) -> None:
        """Open the volumes, serve, and look for the namenodes. BadConfig, VolumeLocked.

        `ended` is set when the datanode cannot go on, with `failure` telling why.
        """
        self._ended = ended
        self.failure: CairnError | None = None
        guard = AccessGuard(config.cluster_id)
        limits = Limits(
            reserve_bytes=config.reserve_bytes,
            capacity_bytes=config.capacity_bytes,
            map_bytes=config.map_size_bytes,
        )
        self._volumes = Volumes.open([Path(folder) for folder in config.volumes], config.cluster_id, limits)
        try:
            self._transfers = TransferServer(
                split_host_port(config.listen),
                self._volumes,
                guard,
                connections_max=config.connections_max,
                timeout_s=config.transfer_timeout_s,
            )
        except CairnError:
            self._volumes.close()
            raise
        address = config.advertise or config.listen
        transfers = self._transfers
        registration = Registration(config.cluster_id, address, self._volumes, guard, lambda: transfers.streams)
        self._links = [NamenodeLink(namenode, registration, self._give_up) for namenode in config.namenodes]
        log.info("started", listen=config.listen, uuid=self._volumes.datanode_uuid, volumes=len(config.volumes))

    def stop(self) -> None:
        """Leave the namenodes, end all transfers and close the volumes."""
        for link in self._links:
            link.stop()
        self._transfers.stop()
        self._volumes.close()
        log.info("stopped")

    def _give_up(self, error: CairnError) -> None:
        self.failure = error
        self._ended.set()
