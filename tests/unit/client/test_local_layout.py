"""The folder of a local cluster: what is written in it, and what is refused."""

import socket
import tomllib
from pathlib import Path

import pytest

from cairnfs.client import local_layout
from cairnfs.client.local_layout import free_ports, prepare, read_plan
from cairnfs.common.configuration import load
from cairnfs.common.errors import BadConfig
from cairnfs.datanode.config import DatanodeConfig
from cairnfs.namenode.config import NamenodeConfig


def test_the_programs_accept_what_is_written(tmp_path: Path) -> None:
    """Each configuration that is written is one that its program reads, and they name each other."""
    plan = prepare(tmp_path, namenodes=3, datanodes=2)
    namenodes = [load(tmp_path / f"namenode-{i}" / "namenode.toml", NamenodeConfig) for i in (1, 2, 3)]
    datanodes = [load(tmp_path / f"datanode-{i}" / "datanode.toml", DatanodeConfig) for i in (1, 2)]
    assert [config.node_id for config in namenodes] == [1, 2, 3]
    assert all(tuple(config.members.values()) == plan.namenodes for config in namenodes)
    assert all(tuple(config.namenodes) == plan.namenodes for config in datanodes)
    assert {config.cluster_id for config in namenodes} | {config.cluster_id for config in datanodes} == {
        plan.cluster_id
    }
    assert len({config.listen for config in namenodes} | {config.listen for config in datanodes}) == 5


@pytest.mark.parametrize(("datanodes", "min_replicas"), [(1, 1), (2, 2), (3, 2), (5, 2)])
def test_min_replicas_can_be_had(tmp_path: Path, datanodes: int, min_replicas: int) -> None:
    """A cluster never asks for more replicas than it has datanodes."""
    prepare(tmp_path, namenodes=1, datanodes=datanodes)
    config = tomllib.loads((tmp_path / "namenode-1" / "namenode.toml").read_text())
    assert config["defaults"]["min_replicas"] == min_replicas


def test_a_second_time_changes_nothing_but_adds_datanodes(tmp_path: Path) -> None:
    """Ids, ports and edited configurations stay; more datanodes get ports of their own."""
    first = prepare(tmp_path, namenodes=None, datanodes=None)
    edited = tmp_path / "namenode-1" / "namenode.toml"
    edited.write_text(edited.read_text().replace('"info"', '"debug"'))
    assert prepare(tmp_path, namenodes=None, datanodes=None) == first
    second = prepare(tmp_path, namenodes=3, datanodes=4)
    assert second.datanode_ports[:3] == first.datanode_ports
    assert len(set(second.datanode_ports)) == 4
    assert '"debug"' in edited.read_text()
    assert read_plan(tmp_path) == second


@pytest.mark.parametrize(
    ("namenodes", "datanodes", "message"),
    [
        (2, None, "1 or 3 namenodes"),
        (None, 0, "1 to 64"),
        (None, 65, "1 to 64"),
        (3, None, "1 namenodes, not 3"),
        (None, 2, "taken away"),
    ],
)
def test_counts_that_cannot_be_had_are_refused(
    tmp_path: Path, namenodes: int | None, datanodes: int | None, message: str
) -> None:
    """A refusal says what is possible, and changes nothing."""
    plan = prepare(tmp_path, namenodes=1, datanodes=3)
    with pytest.raises(BadConfig, match=message):
        prepare(tmp_path, namenodes=namenodes, datanodes=datanodes)
    assert read_plan(tmp_path) == plan


@pytest.mark.parametrize("text", ["", "{}", '{"version": 1, "what": 2}', "\xff"])
def test_a_broken_plan_is_told(tmp_path: Path, text: str) -> None:
    """A cluster.json that cannot be read is an error that names it."""
    (tmp_path / "cluster.json").write_text(text)
    with pytest.raises(BadConfig, match=r"cluster\.json"):
        read_plan(tmp_path)


def test_a_newer_plan_is_refused(tmp_path: Path) -> None:
    """A format version that is not known is not guessed at."""
    plan = prepare(tmp_path, namenodes=1, datanodes=1)
    path = tmp_path / "cluster.json"
    path.write_text(path.read_text().replace(f'"version": {plan.version}', '"version": 99'))
    with pytest.raises(BadConfig, match="version 99"):
        read_plan(tmp_path)


def test_ports_are_free_distinct_and_no_clients_ports() -> None:
    """Chosen ports can be listened on, and the kernel does not give them to outgoing connections."""
    ports = free_ports(20)
    assert len(set(ports)) == 20
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in ports:
        assert local_layout.PORT_MIN <= port < first_ephemeral
        socket.create_server((local_layout.HOST, port)).close()
