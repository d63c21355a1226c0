"""`namenode` and `datanode`: one process of a cluster, run in place of this one."""

import os
import sys
from pathlib import Path

import click

from cairnfs.common.errors import BadConfig

_config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The TOML file; `cairn up` writes examples.",
)


def _become(module: str, config: Path) -> None:
    """Run `module` in place of this process, with the same pid, and its standard streams."""
    if not config.is_file():
        raise BadConfig(f"{config}: no such configuration file")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, "--config", str(config.absolute())])


@click.command("namenode")
@_config_option
def namenode_command(config: Path) -> None:
    """Run one namenode until SIGTERM or Ctrl-C.

    \b
    cairn namenode --config /etc/cairn/namenode.toml

    \b
    cluster_id = "2f6c…"             the same for every process of a cluster
    node_id = 1                      its own among the members
    directory = "/var/lib/cairn"     log and state
    listen = "10.0.0.1:7000"
    [members]                        every namenode of the first start
    1 = "10.0.0.1:7000"
    2 = "10.0.0.2:7000"
    3 = "10.0.0.3:7000"
    """
    _become("cairnfs.namenode", config)


@click.command("datanode")
@_config_option
def datanode_command(config: Path) -> None:
    """Run one datanode until SIGTERM or Ctrl-C.

    \b
    cairn datanode --config /etc/cairn/datanode.toml

    \b
    cluster_id = "2f6c…"             the same for every process of a cluster
    listen = "10.0.0.4:7001"
    namenodes = ["10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"]
    volumes = ["/disk1/cairn", "/disk2/cairn"]     one folder a disk
    """
    _become("cairnfs.datanode", config)
