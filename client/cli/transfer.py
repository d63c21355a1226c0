"""`put` and `get`."""

import errno
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

import click

from cairnfs.client.cli.cluster import base_name, cluster_path, join, uses_cluster
from cairnfs.client.cli.content import copy_out
from cairnfs.client.cli.copying import destination
from cairnfs.client.cli.failures import each
from cairnfs.client.cli.progress import CountingReader, progress_bar

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem

STREAM = "-"
THREADS = 4


Command = TypeVar("Command", bound=Callable[..., object])


def _copy_options(command: Command) -> Command:
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="No progress bar."),
        click.option(
            "-j", "--threads", type=click.IntRange(1, 64), default=THREADS, help=f"Files at a time [{THREADS}]."
        ),
        click.option("-p", "--preserve", is_flag=True, help="Keep all permission bits and the times."),
        click.option("-r", "-R", "--recursive", is_flag=True, help="Folders with everything in them."),
    ):
        command = option(command)
    return command


@click.command("put")
@click.argument("sources", nargs=-1, required=True)
@click.argument("target", type=cluster_path)
@_copy_options
@uses_cluster
def put_command(
    fs: "FileSystem",
    sources: tuple[str, ...],
    target: str,
    *,
    recursive: bool,
    preserve: bool,
    threads: int,
    quiet: bool,
) -> None:
    """Copy local files or folders into the cluster; `-` is standard input.

    A file appears under its name when all of it is safe, and replaces one that was there.

    \b
    cairn put report.pdf /report.pdf
    cairn put *.jpg /photos              into the folder /photos
    cairn put -r src /                   the folder, as /src
    tar c src | cairn put - /src.tar
    """
    is_into = destination(fs, sources, target)
    if STREAM in sources:
        if is_into or len(sources) > 1:
            raise click.UsageError("standard input goes to one file: cairn put - /name")
        _put_stream(fs, target, quiet=quiet)
        return

    with progress_bar("put", is_shown=not quiet) as progress:

        def put_one(source: str) -> None:
            if os.path.isdir(source) and not recursive:
                raise _folder_refused(source)
            to = join(target, os.path.basename(os.path.abspath(source))) if is_into else target
            fs.put(source, to, recursive=recursive, preserve=preserve, threads=threads, progress=progress.advance)

        each(sources, put_one)


def _put_stream(fs: "FileSystem", target: str, *, quiet: bool) -> None:
    """Standard input as a file, which has its name only once it is whole."""
    with progress_bar("put", is_shown=not quiet) as progress:
        fs.pipe_file(target, cast(BinaryIO, CountingReader(sys.stdin.buffer, progress.advance)))


@click.command("get")
@click.argument("words", nargs=-1, required=True, metavar="SOURCES... [TARGET]")
@_copy_options
@uses_cluster
def get_command(
    fs: "FileSystem", words: tuple[str, ...], *, recursive: bool, preserve: bool, threads: int, quiet: bool
) -> None:
    """Copy files or folders out of the cluster; `-` as TARGET is standard output, and `.` where there is none.

    A file appears under its local name when all of it is there.

    \b
    cairn get /report.pdf .
    cairn get -r /photos /backup
    cairn get /src.tar - | tar x
    """
    sources = tuple(map(cluster_path, words[:-1] or words))
    target = words[-1] if len(words) > 1 else "."
    if target == STREAM:
        _get_stream(fs, sources)
        return
    is_into = os.path.isdir(target)
    if not is_into and len(sources) > 1:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), target)

    with progress_bar("get", is_shown=not quiet) as progress:

        def get_one(source: str) -> None:
            if not recursive and fs.info(source, follow=True)["type"] == "directory":
                raise _folder_refused(source)
            to = os.path.join(target, base_name(source)) if is_into else target
            fs.get(source, to, recursive=recursive, preserve=preserve, threads=threads, progress=progress.advance)

        each(sources, get_one)


def _get_stream(fs: "FileSystem", sources: tuple[str, ...]) -> None:
    def get_one(source: str) -> None:
        with fs.open(source, "rb") as content:
            copy_out(content)

    each(sources, get_one)


def _folder_refused(path: str) -> IsADirectoryError:
    return IsADirectoryError(errno.EISDIR, "Is a directory (add -r to copy it and all that is in it)", path)
