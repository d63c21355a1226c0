"""Datanodes that exist in the registry only: they register and send heartbeats, and hold nothing."""

from functools import partial

import grpc

from cairnfs.common.channels import PROTOCOL_VERSION, open_channel
from cairnfs.protos import datanode_pb2, datanode_pb2_grpc
from tests.namenode.group import CLUSTER_ID, NamenodeGroup, wait_until

VOLUME = datanode_pb2.Volume(uuid="v", capacity_bytes=1 << 40, free_bytes=1 << 39)


def register_datanode(group: NamenodeGroup, uuid: str, port: int) -> int:
    """Register one with the leader, and let every member hear of it; returns its number."""
    address = f"127.0.0.1:{port}"
    reply = datanode_pb2.RegisterReply()
    with open_channel(group.members[group.leader()]) as channel:
        request = datanode_pb2.RegisterRequest(
            protocol_version=PROTOCOL_VERSION, cluster_id=CLUSTER_ID, uuid=uuid, address=address, volumes=[VOLUME]
        )
        reply = datanode_pb2_grpc.RegistryStub(channel).Register(request, timeout=10)
    assert reply.result == datanode_pb2.RegisterReply.REGISTERED, reply.message
    node = int(reply.node_id)
    for member in group.servers:
        wait_until(partial(beat, group, member, node, uuid, address), "a heartbeat is taken")
    return node


def beat(group: NamenodeGroup, member: int, node: int, uuid: str, address: str) -> bool:
    """Send one heartbeat to one member; whether it knows the datanode."""
    request = datanode_pb2.HeartbeatRequest(
        cluster_id=CLUSTER_ID, node_id=node, uuid=uuid, address=address, volumes=[VOLUME]
    )
    with open_channel(group.members[member]) as channel:
        try:
            return not datanode_pb2_grpc.RegistryStub(channel).Heartbeat(request, timeout=10).register_first
        except grpc.RpcError:
            return False


def register_datanodes(group: NamenodeGroup, count: int = 3) -> list[int]:
    """Register several; they count as alive for the group's datanode timeout."""
    return [register_datanode(group, f"datanode-{number}", 40_000 + number) for number in range(1, count + 1)]
