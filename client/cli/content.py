"""`cat`, `head`, `tail` and `checksum`."""

import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

import click

from cairnfs.client.cli.cluster import cluster_path, uses_cluster
from cairnfs.client.cli.display import parse_size, show, write_json, write_line
from cairnfs.client.cli.failures import each

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem

CHUNK_BYTES = 1 << 20
LINE_SEARCH_BYTES = 64 << 10


def size(text: str) -> int:
    """The type of an option that is a number of bytes: 10, 64K, 1.5M."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def copy_out(source: IO[bytes], limit: int | None = None) -> None:
    """Write `source`, or its next `limit` bytes, to standard output."""
    out = sys.stdout.buffer
    left = limit
    while left is None or left > 0:
        data = source.read(CHUNK_BYTES if left is None else min(left, CHUNK_BYTES))
        if not data:
            return
        out.write(data)
        left = None if left is None else left - len(data)


@click.command("cat")
@click.argument("paths", nargs=-1, required=True, type=cluster_path)
@uses_cluster
def cat_command(fs: "FileSystem", paths: tuple[str, ...]) -> None:
    """Write files to standard output, one after the other.

    \b
    cairn cat /logs/today | grep ERROR
    cairn cat /part-1 /part-2 > whole
    """

    def cat_one(path: str) -> None:
        with fs.open(path, "rb") as source:
            copy_out(source)

    each(paths, cat_one)


def _part_command(
    name: str, which: str, by_lines: Callable[[IO[bytes], int], None], by_bytes: Callable[[IO[bytes], int], None]
) -> click.Command:
    @click.argument("paths", nargs=-1, required=True, type=cluster_path)
    @click.option("-n", "--lines", type=click.IntRange(min=0), default=10, show_default=True, help="How many lines.")
    @click.option("-c", "--bytes", "byte_count", type=size, metavar="SIZE", help="So many bytes: 10, 64K, 1.5M.")
    @click.option("-q", "--quiet", is_flag=True, help="No file names above the parts of several files.")
    @uses_cluster
    def command(fs: "FileSystem", paths: tuple[str, ...], *, lines: int, byte_count: int | None, quiet: bool) -> None:
        is_first = True

        def one(path: str) -> None:
            nonlocal is_first
            with fs.open(path, "rb") as source:
                if len(paths) > 1 and not quiet:
                    write_line(("" if is_first else "\n") + f"==> {show(path)} <==")
                    sys.stdout.flush()
                is_first = False
                if byte_count is None:
                    by_lines(source, lines)
                else:
                    by_bytes(source, byte_count)
                sys.stdout.buffer.flush()

        each(paths, one)

    command.__doc__ = f"""Write the {which} lines or bytes of files.

    \b
    cairn {name} /logs/today
    cairn {name} -n 100 /logs/today
    cairn {name} -c 1M /data | sha256sum
    """
    return click.command(name)(command)


def _first_lines(source: IO[bytes], count: int) -> None:
    while count:
        data = source.read(LINE_SEARCH_BYTES)
        if not data:
            return
        end, seen = -1, 0
        while seen < count and (end := data.find(b"\n", end + 1)) >= 0:
            seen += 1
        count -= seen
        sys.stdout.buffer.write(data if count else data[: end + 1])


def _last_bytes(source: IO[bytes], count: int) -> None:
    size = source.seek(0, 2)
    source.seek(max(0, size - count))
    copy_out(source, min(count, size))


def _last_lines(source: IO[bytes], count: int) -> None:
    size = source.seek(0, 2)
    start = _start_of_last(source, size, count)
    source.seek(start)
    copy_out(source, size - start)


def _start_of_last(source: IO[bytes], size: int, count: int) -> int:
    """Where the last `count` lines start, found by reading backwards; a newline that ends the file ends its line."""
    position = size if count else 0
    while position:
        step = min(position, LINE_SEARCH_BYTES)
        source.seek(position - step)
        data = source.read(step)
        end = len(data) - (position == size and data.endswith(b"\n"))
        while (end := data.rfind(b"\n", 0, end)) >= 0:
            count -= 1
            if not count:
                return position - step + end + 1
        position -= step
    return 0 if count else size


head_command = _part_command("head", "first", _first_lines, copy_out)
tail_command = _part_command("tail", "last", _last_lines, _last_bytes)


@click.command("checksum")
@click.argument("paths", nargs=-1, required=True, type=cluster_path)
@click.option("--json", "as_json", is_flag=True, help="One JSON array of objects.")
@uses_cluster
def checksum_command(fs: "FileSystem", paths: tuple[str, ...], *, as_json: bool) -> None:
    """Compute checksums of files' content.

    \b
    cairn checksum /photos/1.jpg
    """
    found: list[dict[str, Any]] = []

    def checksum_one(path: str) -> None:
        checksum = fs.checksum(path)
        if as_json:
            found.append({"name": path, "checksum": checksum})
        else:
            write_line(f"{checksum}  {show(path)}")

    try:
        each(paths, checksum_one)
    finally:
        if as_json:
            write_json(found)
