"""Which cluster a command talks to, and the connection to it."""

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from cairnfs.client.cli.settings import Settings

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem

VARIABLE = "CAIRN_CLUSTER"
LOG_VARIABLE = "CAIRN_LOG"  # the level of the client library's own log, on standard error

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def cluster_options(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let `--cluster` and `--timeout` stand after a command's name as well as before it."""
    cluster = click.option(
        "--cluster", metavar="ADDRESS", expose_value=False, callback=_keep_cluster, help="The cluster."
    )
    timeout = click.option(
        "--timeout",
        metavar="SECONDS",
        type=click.FloatRange(min=0, min_open=True),
        expose_value=False,
        callback=_keep_timeout,
        help="Give up after this long without a leader.",
    )
    return cluster(timeout(command))


def _keep_cluster(context: click.Context, _: click.Parameter, value: str | None) -> None:
    settings = context.find_object(Settings)
    if value is not None and settings is not None:
        settings.cluster = value


def _keep_timeout(context: click.Context, _: click.Parameter, value: float | None) -> None:
    settings = context.find_object(Settings)
    if value is not None and settings is not None:
        settings.timeout_s = value


def uses_cluster(
    command: Callable[Concatenate["FileSystem", Arguments], Result],
) -> Callable[Arguments, Result]:
    """Call `command` with the cluster's file system, connected for as long as the command runs."""

    @functools.wraps(command)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        settings = click.get_current_context().find_object(Settings)
        assert settings is not None
        with open_file_system(settings) as fs:
            return command(fs, *args, **kwargs)

    return cluster_options(run)


def open_file_system(settings: Settings) -> "FileSystem":
    """The cluster's file system, as a context manager."""
    address = find_address(settings)
    connect = settings.connect or _load_connect()
    if settings.timeout_s is None:
        return connect(address)
    return connect(address, connect_timeout_s=settings.timeout_s, operation_timeout_s=settings.timeout_s)


def _load_connect() -> "Callable[..., FileSystem]":
    from cairnfs.client import connect
    from cairnfs.common.logs import set_up_logging

    set_up_logging(os.environ.get(LOG_VARIABLE, "error"))
    return connect


def find_address(settings: Settings) -> str:
    """The address told, else that of CAIRN_CLUSTER, else that of the running local cluster."""
    told = settings.cluster or os.environ.get(VARIABLE)
    if told:
        return told
    from cairnfs.client.local_layout import default_directory, running_address

    address = running_address(default_directory())
    if address is None:
        raise click.UsageError(
            f"no cluster given: use --cluster cairn://host:port or set {VARIABLE}, "
            "or start one on this machine with: cairn up --detach"
        )
    return address


def cluster_path(path: str) -> str:
    """The type of an argument that is a path in the cluster: one that is not absolute counts from the root."""
    if not path:
        raise click.BadParameter("a path must not be empty")
    return path if path.startswith("/") else "/" + path


def base_name(path: str) -> str:
    """The last name of a path, without trailing slashes; empty for the root."""
    return path.rstrip("/").rpartition("/")[2]


def join(folder: str, name: str) -> str:
    """The path of `name` in `folder`."""
    return folder.rstrip("/") + "/" + name


def lookup(fs: "FileSystem", path: str, *, follow: bool = False) -> dict[str, Any] | None:
    """What `info` tells of `path`, or None where there is nothing."""
    try:
        return fs.info(path, follow=follow)
    except FileNotFoundError:
        return None


def is_folder(fs: "FileSystem", path: str) -> bool:
    """Whether `path` is a folder, or a link to one."""
    info = lookup(fs, path, follow=True)
    return info is not None and info["type"] == "directory"
