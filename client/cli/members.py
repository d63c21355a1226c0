"""`status`: the members of a cluster, as its namenodes see them."""

from typing import TYPE_CHECKING, Any

import click

from cairnfs.client.admin import Admin
from cairnfs.client.cli.cluster import cluster_options, find_address
from cairnfs.client.cli.display import align, human, write_json, write_line, write_lines
from cairnfs.client.cli.settings import Settings
from cairnfs.common.address import ClusterAddress
from cairnfs.common.errors import ClusterUnavailable, WrongCluster

if TYPE_CHECKING:
    from cairnfs.protos.admin_pb2 import StatusReply

TIMEOUT_S = 2.0


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@cluster_options
@click.pass_obj
def status_command(settings: Settings, *, as_json: bool) -> None:
    """Show namenodes and datanodes, and which are alive.

    Exit code 0 where a leader serves, 3 where none does.

    \b
    cairn status
    cairn status --json | jq '.datanodes[] | select(.alive | not) | .address'
    """
    address = ClusterAddress.parse(find_address(settings))
    report = collect(address, timeout_s=settings.timeout_s or TIMEOUT_S)
    if as_json:
        write_json(report)
    else:
        _write_tables(report)
    if not report["serving"]:
        raise ClusterUnavailable("no namenode leads: " + (_first_error(report) or "an election is under way"))


def collect(address: ClusterAddress, *, timeout_s: float) -> dict[str, Any]:
    """What all namenodes that answer say, the leader's view of datanodes; WrongCluster for another cluster's id."""
    namenodes: list[dict[str, Any]] = []
    leader: StatusReply | None = None
    with Admin() as admin:
        for member in address.namenodes:
            try:
                reply = admin.status(member, timeout_s=timeout_s)
            except ClusterUnavailable as error:
                namenodes.append({"address": member, "alive": False, "error": str(error)})
                continue
            if address.cluster_id and reply.cluster_id != address.cluster_id:
                raise WrongCluster(f"{member} belongs to cluster {reply.cluster_id}, not to {address.cluster_id}")
            namenodes.append({"address": member, "alive": True, **_namenode(reply)})
            if reply.serving and (leader is None or reply.term > leader.term):
                leader = reply
    report: dict[str, Any] = {"address": str(address), "serving": leader is not None, "namenodes": namenodes}
    if leader is None:
        return {**report, "datanodes": []}
    return {
        **report,
        "cluster_id": leader.cluster_id,
        "leader": leader.leader,
        "term": leader.term,
        "inodes": leader.inodes,
        "blocks": leader.blocks,
        "sessions": leader.sessions,
        "datanodes": [_datanode(each) for each in leader.datanodes],
    }


def _namenode(reply: "StatusReply") -> dict[str, Any]:
    return {
        "node_id": reply.node_id,
        "role": reply.role,
        "term": reply.term,
        "commit_index": reply.commit_index,
        "applied_index": reply.applied_index,
        "first_log_index": reply.first_log_index,
        "last_log_index": reply.last_log_index,
    }


def _datanode(status: Any) -> dict[str, Any]:
    return {
        "node_id": status.node_id,
        "uuid": status.uuid,
        "address": status.address,
        "alive": status.alive,
        "capacity_bytes": status.capacity_bytes,
        "free_bytes": status.free_bytes,
        "blocks": status.blocks,
        "heartbeat_age_ms": status.heartbeat_age_ms,
    }


def _write_tables(report: dict[str, Any]) -> None:
    rows = [["Namenode", "Address", "Role", "Term", "Applied", "State"]]
    for node in report["namenodes"]:
        if node["alive"]:
            rows.append(
                [
                    str(node["node_id"]),
                    node["address"],
                    node["role"],
                    str(node["term"]),
                    str(node["applied_index"]),
                    "up",
                ]
            )
        else:
            rows.append(["-", node["address"], "-", "-", "-", "down"])
    write_lines(align(rows, right=(3, 4)))
    if not report["serving"]:
        return
    write_line()
    rows = [["Datanode", "Address", "Capacity", "Free", "Blocks", "State"]]
    rows += [
        [
            str(node["node_id"]),
            node["address"],
            human(node["capacity_bytes"]),
            human(node["free_bytes"]),
            str(node["blocks"]),
            "up" if node["alive"] else f"down for {node['heartbeat_age_ms'] / 1000:.0f} s",
        ]
        for node in report["datanodes"]
    ]
    write_lines(align(rows, right=(2, 3, 4)))
    write_line(f"\n{report['inodes']} inodes, {report['blocks']} blocks, {report['sessions']} sessions")


def _first_error(report: dict[str, Any]) -> str:
    return next((node["error"] for node in report["namenodes"] if not node["alive"]), "")
