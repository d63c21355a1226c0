"""`up` and `down`: the cluster on this machine."""

import signal
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from cairnfs.client.cli.display import warn, write_line
from cairnfs.client.local_cluster import START_TIMEOUT_S, LocalCluster
from cairnfs.client.local_layout import DATANODES_MAX, default_directory

_directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_directory,
    show_default="~/.cairn",
    help="The folder that keeps everything of the cluster.",
)


@click.command("up")
@_directory_option
@click.option("--namenodes", type=click.Choice(["1", "3"]), help="How many namenodes a new cluster has. [default: 3]")
@click.option("--datanodes", type=click.IntRange(1, DATANODES_MAX), help="How many datanodes. [default: 3]")
@click.option("--detach", is_flag=True, help="Return when the cluster serves, and leave it running.")
def up_command(directory: Path, *, namenodes: str | None, datanodes: int | None, detach: bool) -> None:
    """Start a cluster on this machine, or what is down of one.

    All its processes listen on 127.0.0.1 only, and keep data, logs and configuration in one folder. Run it again on the
    same folder whenever you like: what is up is left alone, what is down is started, and more datanodes are added.

    The last line on standard output is the cluster's address. Without --detach the command stays, and Ctrl-C or
    SIGTERM stops the cluster (exit code 0).

    \b
    cairn up --detach                      then: cairn ls /
    cairn up --dir /data/c --namenodes 1   one namenode: less memory, nobody to take over
    export CAIRN_CLUSTER=$(cairn up --dir /data/c --detach | tail -n 1)
    """
    cluster = LocalCluster(directory)
    try:
        if not detach:
            signal.signal(signal.SIGTERM, _interrupt)
        _start(cluster, int(namenodes) if namenodes else None, datanodes)
        if detach:
            return
        for death in cluster.deaths():
            warn(f"cairn: up: {death}")
    except KeyboardInterrupt:
        if detach:
            raise
        cluster.stop()
    finally:
        cluster.close()


def _start(cluster: LocalCluster, namenodes: int | None, datanodes: int | None) -> None:
    """Nothing is printed before the cluster serves: `$(cairn up … | tail -n 1)` is its address, or empty."""
    started = cluster.start(namenodes=namenodes, datanodes=datanodes)
    cluster.wait_until_serving(timeout_s=START_TIMEOUT_S)
    up_before = [program.name for program in cluster.programs if program.name not in started]
    if up_before:
        write_line(f"already up: {', '.join(up_before)}")
    if started:
        write_line(f"started: {', '.join(started)}")
    click.echo(cluster.plan.address)


def _interrupt(_signal_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@click.command("down")
@_directory_option
def down_command(directory: Path) -> None:
    """Stop the cluster that `up` started. Its data stays; `cairn up` starts it again. Fine if it is down already.

    \b
    cairn down
    cairn down --dir /data/c
    """
    stopped = LocalCluster(directory).stop()
    write_line(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
