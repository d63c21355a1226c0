"""`stat` and `df`."""

import re
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cairnfs.client.cli.cluster import cluster_path, uses_cluster
from cairnfs.client.cli.display import (
    align,
    full_time_text,
    human,
    mode_text,
    show,
    write_json,
    write_line,
    write_lines,
)
from cairnfs.client.cli.failures import each
from cairnfs.client.cli.owners import group_name, user_name

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem

KINDS = {
    stat.S_IFREG: "regular file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character special file",
    stat.S_IFBLK: "block special file",
}
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


@click.command("stat")
@click.argument("paths", nargs=-1, required=True, type=cluster_path)
@click.option("-L", "--dereference", is_flag=True, help="Follow symbolic links.")
@click.option("-c", "--format", "form", metavar="FORMAT", help="One line in this form; see below.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of objects.")
@uses_cluster
def stat_command(
    fs: "FileSystem", paths: tuple[str, ...], *, dereference: bool, form: str | None, as_json: bool
) -> None:
    """Show everything about files: size, owner, times, …

    \b
    cairn stat /photos/1.jpg
    cairn stat -c '%s %n' /photos/1.jpg
    cairn stat --json /photos/1.jpg | jq .[0].mtime_ns

    \b
    FORMAT: %n name  %s size  %b 512-byte blocks  %a octal mode  %A mode
            %u %U user  %g %G group  %h links  %i inode  %F kind
            %x %y %z %w times of access, change, attributes, birth (%X … in seconds)
    """
    found: list[dict[str, Any]] = []

    def show_one(path: str) -> None:
        info = fs.info(path, follow=dereference)
        if as_json:
            found.append(info)
        elif form is not None:
            write_line(_fill(form, info))
        else:
            write_lines(_describe(fs, info))

    try:
        each(paths, show_one)
    finally:
        if as_json:
            write_json(found)


def _describe(fs: "FileSystem", info: dict[str, Any]) -> list[str]:
    mode = info["mode"]
    arrow = f" -> {show(fs.readlink(info['name']))}" if stat.S_ISLNK(mode) else ""
    owner = f"Uid: {info['uid']} ({user_name(info['uid'])})  Gid: {info['gid']} ({group_name(info['gid'])})"
    lines = [
        f"  File: {show(info['name'])}{arrow}",
        f"  Size: {info['size']}  Allocated: {info.get('allocated', info['size'])}  {KINDS[stat.S_IFMT(mode)]}",
        f" Inode: {info['ino']}  Links: {info['nlink']}",
        f"Access: ({stat.S_IMODE(mode):04o}/{mode_text(mode)})  {owner}",
    ]
    times = (("Access", "atime_ns"), ("Modify", "mtime_ns"), ("Change", "ctime_ns"), (" Birth", "btime_ns"))
    return lines + [f"{label}: {full_time_text(info[key])}" for label, key in times if key in info]


_FIELDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "n": lambda info: show(info["name"]),
    "s": lambda info: info["size"],
    "b": lambda info: -(-info.get("allocated", info["size"]) // 512),
    "a": lambda info: f"{stat.S_IMODE(info['mode']):o}",
    "A": lambda info: mode_text(info["mode"]),
    "u": lambda info: info["uid"],
    "U": lambda info: user_name(info["uid"]),
    "g": lambda info: info["gid"],
    "G": lambda info: group_name(info["gid"]),
    "h": lambda info: info["nlink"],
    "i": lambda info: info["ino"],
    "F": lambda info: KINDS[stat.S_IFMT(info["mode"])],
    "x": lambda info: full_time_text(info["atime_ns"]),
    "y": lambda info: full_time_text(info["mtime_ns"]),
    "z": lambda info: full_time_text(info["ctime_ns"]),
    "w": lambda info: full_time_text(info["btime_ns"]),
    "X": lambda info: info["atime_ns"] // 10**9,
    "Y": lambda info: info["mtime_ns"] // 10**9,
    "Z": lambda info: info["ctime_ns"] // 10**9,
    "W": lambda info: info["btime_ns"] // 10**9,
    "%": lambda _: "%",
}


def _fill(form: str, info: dict[str, Any]) -> str:
    def one(match: re.Match[str]) -> str:
        if match[0][0] == "\\":
            return _ESCAPES[match[1]]
        if match[2] not in _FIELDS:
            raise click.UsageError(f"%{match[2]} is not known: the fields are %{' %'.join(_FIELDS)}")
        return str(_FIELDS[match[2]](info))

    return re.sub(r"\\([nt0\\])|%(.?)", one, form)


@click.command("df")
@click.option("-h", "--human", "is_human", is_flag=True, help="Sizes as 1.5K, 64M.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@uses_cluster
def df_command(fs: "FileSystem", *, is_human: bool, as_json: bool) -> None:
    """Show how much space the cluster has.

    Bytes on the disks of live datanodes: a file takes its size times its replicas.

    \b
    cairn df -h
    cairn df --json | jq .free_bytes
    """
    status = fs.statvfs()
    used = status.capacity - status.free
    if as_json:
        write_json(
            {
                "capacity_bytes": status.capacity,
                "used_bytes": used,
                "free_bytes": status.free,
                "inodes": status.inodes,
                "replication": status.replication,
                "min_replicas": status.min_replicas,
            }
        )
        return
    size = human if is_human else str
    share = f"{round(100 * used / status.capacity)}%" if status.capacity else "-"
    rows = [
        ["Capacity", "Used", "Available", "Use%", "Inodes", "Replicas"],
        [size(status.capacity), size(used), size(status.free), share, str(status.inodes), str(status.replication)],
    ]
    write_lines(align(rows, right=range(5)))
