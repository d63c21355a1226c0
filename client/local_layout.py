"""The folder of a local cluster: what it is made of, and the configuration of each process.

    DIRECTORY/cluster.json                    ids and ports; datanodes may be added later
    DIRECTORY/lock                            held while processes are started or stopped
    DIRECTORY/namenode-1/namenode.toml, .log  one folder a process, with its configuration, log and data
    DIRECTORY/datanode-1/datanode.toml, .log

Everything listens on 127.0.0.1, on ports that were free when the cluster was made and stay its own. A configuration
file is written once: what a user changes in it stays.
"""

import contextlib
import json
import os
import random
import socket
import uuid
from pathlib import Path

import msgspec

from cairnfs.client.local_processes import Program
from cairnfs.common.address import ClusterAddress
from cairnfs.common.errors import BadConfig

HOST = "127.0.0.1"
NAMENODE_COUNTS = (1, 3)
DATANODES_MAX = 64
NAMENODES_DEFAULT = 3
DATANODES_DEFAULT = 3
FORMAT_VERSION = 1
PORT_MIN = 10_000
PORT_ATTEMPTS = 1000


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """cluster.json. Namenode i+1 listens on namenode_ports[i], datanodes likewise."""

    version: int
    cluster_id: str
    namenode_ports: tuple[int, ...]
    datanode_ports: tuple[int, ...]

    @property
    def namenodes(self) -> tuple[str, ...]:
        """host:port of every namenode."""
        return tuple(f"{HOST}:{port}" for port in self.namenode_ports)

    @property
    def datanodes(self) -> dict[str, str]:
        """Name → host:port of every datanode."""
        return {f"datanode-{i}": f"{HOST}:{port}" for i, port in enumerate(self.datanode_ports, start=1)}

    @property
    def address(self) -> str:
        """What clients connect to."""
        return str(ClusterAddress(self.namenodes))


def default_directory() -> Path:
    """Where `cairn up` keeps its cluster unless it is told otherwise."""
    return Path.home() / ".cairn"


def running_address(directory: Path) -> str | None:
    """The address of the cluster in `directory`, if one of its namenodes listens."""
    plan = read_plan(directory)
    if plan is None:
        return None
    for port in plan.namenode_ports:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
            return plan.address
    return None


def read_plan(directory: Path) -> Plan | None:
    """What the cluster in `directory` is made of; None where there is none, BadConfig where it cannot be read."""
    path = directory / "cluster.json"
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BadConfig(f"{path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise BadConfig(f"{path}: {error}") from None
    if plan.version != FORMAT_VERSION:
        raise BadConfig(f"{path} has version {plan.version}, and this cairn reads version {FORMAT_VERSION}")
    return plan


def programs(directory: Path, plan: Plan) -> list[Program]:
    """Every process as it ought to run, namenodes first."""
    return [
        Program(f"{role}-{i}", f"cairnfs.{role}", directory / f"{role}-{i}" / f"{role}.toml")
        for role, ports in (("namenode", plan.namenode_ports), ("datanode", plan.datanode_ports))
        for i in range(1, len(ports) + 1)
    ]


def prepare(directory: Path, *, namenodes: int | None, datanodes: int | None) -> Plan:
    """Make the cluster in an empty folder, or add datanodes to the one that is there, and write what is missing.

    None keeps what is there. BadConfig for counts that cannot be had.
    """
    if namenodes is not None and namenodes not in NAMENODE_COUNTS:
        raise BadConfig("a local cluster has 1 or 3 namenodes")
    if datanodes is not None and not 1 <= datanodes <= DATANODES_MAX:
        raise BadConfig(f"a local cluster has 1 to {DATANODES_MAX} datanodes")
    plan = read_plan(directory)
    if plan is None:
        ports = free_ports((namenodes or NAMENODES_DEFAULT) + (datanodes or DATANODES_DEFAULT))
        split = namenodes or NAMENODES_DEFAULT
        plan = Plan(FORMAT_VERSION, str(uuid.uuid4()), tuple(ports[:split]), tuple(ports[split:]))
    else:
        plan = _grow(directory, plan, namenodes, datanodes)
    try:
        _write(directory / "cluster.json", msgspec.json.format(msgspec.json.encode(plan)).decode() + "\n")
        _write_configurations(directory, plan)
    except OSError as error:
        raise BadConfig(f"{error.filename}: {error.strerror}") from None
    return plan


def _grow(directory: Path, plan: Plan, namenodes: int | None, datanodes: int | None) -> Plan:
    have = len(plan.namenode_ports), len(plan.datanode_ports)
    if namenodes not in (None, have[0]):
        raise BadConfig(f"{directory} holds a cluster of {have[0]} namenodes, not {namenodes}: give another --dir")
    if datanodes is not None and datanodes < have[1]:
        raise BadConfig(
            f"{directory} holds a cluster of {have[1]} datanodes: one cannot be taken away here, as it holds blocks"
        )
    added = free_ports((datanodes or have[1]) - have[1])
    return msgspec.structs.replace(plan, datanode_ports=(*plan.datanode_ports, *added))


def free_ports(count: int) -> list[int]:
    """Ports of HOST on which nothing listens now.

    They lie below the range from which the kernel picks ports of outgoing connections: one of those would
    otherwise sit on the port of a process that is down, sooner or later, and keep it from starting again.
    """
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    ports = range(PORT_MIN, first_ephemeral) if first_ephemeral > PORT_MIN + PORT_ATTEMPTS else range(1024, 65536)
    with contextlib.ExitStack() as stack:
        free: list[int] = []
        for port in random.sample(ports, min(PORT_ATTEMPTS, len(ports))):
            if len(free) == count:
                break
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                free.append(port)
    if len(free) < count:
        raise BadConfig(f"{HOST} has no {count} free ports")
    return free


def _write_configurations(directory: Path, plan: Plan) -> None:
    members = "\n".join(f'{i} = "{address}"' for i, address in enumerate(plan.namenodes, start=1))
    for program in programs(directory, plan):
        program.config.parent.mkdir(mode=0o700, exist_ok=True)
        if program.config.exists():
            continue
        number = int(program.name.rpartition("-")[2])
        if program.module == "cairnfs.namenode":
            text = _namenode_toml(plan, number, program.config.parent, members)
        else:
            text = _datanode_toml(plan, number, program.config.parent)
        _write(program.config, text)


def _namenode_toml(plan: Plan, number: int, folder: Path, members: str) -> str:
    return f"""# Written by `cairn up`; changes stay.
cluster_id = {_quote(plan.cluster_id)}
node_id = {number}
directory = {_quote(str(folder))}
listen = {_quote(plan.namenodes[number - 1])}
log_level = "info"

[members]
{members}

[defaults]
replication = 3
min_replicas = {min(2, len(plan.datanode_ports))}
"""


def _datanode_toml(plan: Plan, number: int, folder: Path) -> str:
    return f"""# Written by `cairn up`; changes stay.
cluster_id = {_quote(plan.cluster_id)}
listen = {_quote(plan.datanodes[f"datanode-{number}"])}
namenodes = [{", ".join(map(_quote, plan.namenodes))}]
volumes = [{_quote(str(folder / "volume-1"))}]
log_level = "info"
"""


def _quote(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    """Write a file so that it is there as a whole, or as it was before."""
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadConfig(f"{os.fsencode(path)!r}: the folder's name must be UTF-8") from None
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
