"""Whether a request may be served: protocol version, cluster, registration, token."""

import threading
import time
from typing import Literal

from cairnfs.common import tokens
from cairnfs.common.transfer import PROTOCOL_VERSION
from cairnfs.datanode.statuses import RequestRefused
from cairnfs.protos import transfer_pb2 as pb


class AccessGuard:
    """Checks requests against the cluster's id and the token key that registration brought."""

    def __init__(self, cluster_id: str) -> None:
        self._cluster_id = cluster_id
        self._lock = threading.Lock()
        self._token_key: bytes | None = None

    def set_token_key(self, key: bytes) -> None:
        """The key of block tokens, from now on."""
        with self._lock:
            self._token_key = key

    def check(self, request: pb.Request) -> Literal["write", "read"]:
        """What is asked for; RequestRefused unless it may be served."""
        if request.protocol_version != PROTOCOL_VERSION:
            message = f"protocol version {request.protocol_version} asked for, {PROTOCOL_VERSION} spoken"
            raise RequestRefused(pb.BAD_REQUEST, message)
        if request.cluster_id != self._cluster_id:
            message = f"this datanode belongs to cluster {self._cluster_id!r}, not to {request.cluster_id!r}"
            raise RequestRefused(pb.WRONG_CLUSTER, message)
        with self._lock:
            key = self._token_key
        if key is None:
            raise RequestRefused(pb.BUSY, "this datanode is not registered with its namenode yet")
        kind: Literal["write", "read"] | None = request.WhichOneof("kind")
        if kind is None:
            raise RequestRefused(pb.BAD_REQUEST, "neither a read nor a write was asked for")
        wanted = request.write if kind == "write" else request.read
        is_write, now_s = kind == "write", int(time.time())
        if not tokens.is_valid(key, wanted.token, wanted.block, wanted.generation, writing=is_write, now_s=now_s):
            raise RequestRefused(pb.BAD_TOKEN, f"the token does not allow this access to block {wanted.block}")
        return kind
