"""`ls`."""

import functools
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cairnfs.client.cli.cluster import base_name, cluster_path, uses_cluster
from cairnfs.client.cli.display import align, human, mode_text, show, time_text, write_json, write_lines
from cairnfs.client.cli.failures import each
from cairnfs.client.cli.owners import group_name, user_name

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem

Info = dict[str, Any]


@click.command("ls")
@click.argument("paths", nargs=-1, type=cluster_path)
@click.option("-l", "--long", "is_long", is_flag=True, help="Mode, links, owner, group, size and time too.")
@click.option("-a", "--all", "is_all", is_flag=True, help="Names that start with a dot too.")
@click.option("-R", "--recursive", is_flag=True, help="Folders below, too.")
@click.option("-h", "--human", "is_human", is_flag=True, help="Sizes as 1.5K, 64M.")
@click.option("-d", "--directory", is_flag=True, help="Folders themselves, not what is in them.")
@click.option("-t", "by_time", is_flag=True, help="Newest first.")
@click.option("-S", "by_size", is_flag=True, help="Largest first.")
@click.option("-r", "--reverse", is_flag=True, help="The other way round.")
@click.option("-n", "--numeric", is_flag=True, help="As -l, with ids in place of names of users and groups.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of objects, names with a dot included.")
@uses_cluster
def ls_command(
    fs: "FileSystem",
    paths: tuple[str, ...],
    *,
    is_long: bool,
    is_all: bool,
    recursive: bool,
    is_human: bool,
    directory: bool,
    by_time: bool,
    by_size: bool,
    reverse: bool,
    numeric: bool,
    as_json: bool,
) -> None:
    """List folders.

    One name a line, sorted; control characters and bytes that are not UTF-8 are written as \\n, \\xff.

    \b
    cairn ls /                  names
    cairn ls -lh /photos        with sizes and times
    cairn ls -Rl /              everything
    cairn ls --json / | jq '.[] | select(.type == "file") | .name'
    """
    order = functools.partial(_sort, by_time=by_time, by_size=by_size, reverse=reverse)
    has_details = is_long or numeric or as_json or recursive or by_time or by_size
    found: list[Info] = []
    is_first = True

    def write(infos: list[Info]) -> None:
        if as_json:
            found.extend(infos)
        elif is_long or numeric:
            write_lines(_long_lines(fs, infos, is_human=is_human, numeric=numeric))
        else:
            write_lines(show(info["shown"]) for info in infos)

    def list_one(path: str) -> None:
        nonlocal is_first
        info = fs.info(path)
        if directory or info["type"] != "directory":
            write([{**info, "shown": path}])
            is_first = False
            return
        for folder, infos in _folders(fs, path, has_details=has_details, recursive=recursive):
            kept = [each for each in infos if is_all or as_json or not each["shown"].startswith(".")]
            if (recursive or len(paths) > 1) and not as_json:
                write_lines([*([] if is_first else [""]), show(folder) + ":"])
            is_first = False
            write(order(kept))

    try:
        each(paths or ("/",), list_one)
    finally:
        if as_json:
            write_json([{key: value for key, value in info.items() if key != "shown"} for info in found])


def _folders(fs: "FileSystem", top: str, *, has_details: bool, recursive: bool) -> Iterator[tuple[str, list[Info]]]:
    """Folders with their content, each before those below it."""
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        if has_details:
            infos = [{**info, "shown": base_name(info["name"])} for info in fs.ls(folder, detail=True)]
        else:
            infos = [{"shown": base_name(name)} for name in fs.ls(folder)]
        yield folder, infos
        if recursive:
            names = sorted((info["name"] for info in infos if info["type"] == "directory"), reverse=True)
            waiting.extend(names)


def _sort(infos: list[Info], *, by_time: bool, by_size: bool, reverse: bool) -> list[Info]:
    infos.sort(key=lambda info: info["shown"])
    if by_time:
        infos.sort(key=lambda info: info["mtime_ns"], reverse=True)
    if by_size:
        infos.sort(key=lambda info: info["size"], reverse=True)
    return infos[::-1] if reverse else infos


def _long_lines(fs: "FileSystem", infos: list[Info], *, is_human: bool, numeric: bool) -> list[str]:
    rows = []
    for info in infos:
        owner = [str(info["uid"]), str(info["gid"])] if numeric else [user_name(info["uid"]), group_name(info["gid"])]
        size = human(info["size"]) if is_human else str(info["size"])
        name = show(info["shown"])
        if stat.S_ISLNK(info["mode"]):
            name += " -> " + show(fs.readlink(info["name"]))
        rows.append([mode_text(info["mode"]), str(info["nlink"]), *owner, size, time_text(info["mtime_ns"]), name])
    return align(rows, right=(1, 4))
