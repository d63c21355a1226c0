"""`find` and `du`: commands that walk everything below a folder."""

import fnmatch
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from cairnfs.client.cli.cluster import base_name, cluster_path, uses_cluster
from cairnfs.client.cli.display import human, show, write_json, write_line
from cairnfs.client.cli.failures import each

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem

Info = dict[str, Any]
KINDS = {"f": "file", "d": "directory", "l": "link"}


def walk(fs: "FileSystem", top: str, max_depth: int | None = None) -> Iterator[tuple[int, Info]]:
    """(depth, info) of `top` and all below it: a folder before what is in it, names in order, no link followed."""
    waiting = [(0, fs.info(top))]
    while waiting:
        depth, info = waiting.pop()
        yield depth, info
        if info["type"] == "directory" and (max_depth is None or depth < max_depth):
            inside = sorted(fs.ls(info["name"], detail=True), key=lambda each: each["name"], reverse=True)
            waiting.extend((depth + 1, each) for each in inside)


@click.command("find")
@click.argument("paths", nargs=-1, type=cluster_path)
@click.option("--name", "-name", "pattern", metavar="GLOB", help="Names that fit a pattern: '*.jpg'.")
@click.option("--type", "-type", "kind", type=click.Choice(list(KINDS)), help="Files, folders (d) or links only.")
@click.option("--maxdepth", "-maxdepth", type=click.IntRange(min=0), metavar="N", help="At most N levels down.")
@click.option("-0", "--print0", "-print0", "with_nul", is_flag=True, help="Raw names, each ended by a NUL byte.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of objects.")
@uses_cluster
def find_command(
    fs: "FileSystem",
    paths: tuple[str, ...],
    *,
    pattern: str | None,
    kind: str | None,
    maxdepth: int | None,
    with_nul: bool,
    as_json: bool,
) -> None:
    """List everything below folders that fits a pattern.

    \b
    cairn find / --name '*.jpg' --type f
    cairn find /logs --maxdepth 1
    cairn find / -0 | xargs -0 -n1 cairn stat
    """
    found: list[Info] = []

    def find_one(path: str) -> None:
        for _, info in walk(fs, path, maxdepth):
            if pattern is not None and not fnmatch.fnmatchcase(base_name(info["name"]) or "/", pattern):
                continue
            if kind is not None and info["type"] != KINDS[kind]:
                continue
            if as_json:
                found.append(info)
            elif with_nul:
                sys.stdout.buffer.write(info["name"].encode("utf-8", "surrogateescape") + b"\0")
            else:
                write_line(show(info["name"]))

    try:
        each(paths or ("/",), find_one)
    finally:
        if as_json:
            write_json(found)


@click.command("du")
@click.argument("paths", nargs=-1, type=cluster_path)
@click.option("-s", "--summarize", is_flag=True, help="Only the sum of each PATH.")
@click.option("-a", "--all", "is_all", is_flag=True, help="Files too, not folders only.")
@click.option("-d", "--max-depth", type=click.IntRange(min=0), metavar="N", help="Show at most N levels down.")
@click.option("-c", "--total", "with_total", is_flag=True, help="A grand total at the end.")
@click.option("-h", "--human", "is_human", is_flag=True, help="Sizes as 1.5K, 64M.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of objects.")
@uses_cluster
def du_command(
    fs: "FileSystem",
    paths: tuple[str, ...],
    *,
    summarize: bool,
    is_all: bool,
    max_depth: int | None,
    with_total: bool,
    is_human: bool,
    as_json: bool,
) -> None:
    """Add up the sizes below folders, in bytes of content (replicas not counted); a hard link counts once.

    \b
    cairn du -sh /photos
    cairn du -h -d 1 /
    """
    found: list[Info] = []
    depth_shown = 0 if summarize else max_depth
    total = 0

    def show_one(name: str, size: int) -> None:
        if as_json:
            found.append({"name": name, "size": size})
        else:
            write_line(f"{human(size) if is_human else size}\t{show(name)}")

    def add_up(path: str) -> None:
        nonlocal total
        total += sum_tree(walk(fs, path), show_one, is_all=is_all, depth_shown=depth_shown)

    try:
        each(paths or ("/",), add_up)
        if with_total:
            show_one("total", total)
    finally:
        if as_json:
            write_json(found)


def sum_tree(
    walked: Iterator[tuple[int, Info]], show_one: Callable[[str, int], None], *, is_all: bool, depth_shown: int | None
) -> int:
    """The sum of all sizes; `show_one` is called for each folder after what is in it, as `du` lists them."""
    open_folders: list[tuple[str, int]] = []
    seen: set[int] = set()
    top = 0

    def close(depth: int) -> None:
        nonlocal top
        while len(open_folders) > depth:
            name, size = open_folders.pop()
            if depth_shown is None or len(open_folders) <= depth_shown:
                show_one(name, size)
            if open_folders:
                above, sum_above = open_folders[-1]
                open_folders[-1] = (above, sum_above + size)
            else:
                top = size

    for depth, info in walked:
        close(depth)
        if info["type"] == "directory":
            open_folders.append((info["name"], 0))
            continue
        size = 0 if info["ino"] in seen else info["size"]
        if info["nlink"] > 1:
            seen.add(info["ino"])
        if not open_folders:
            show_one(info["name"], size)
            return size
        if is_all and (depth_shown is None or depth <= depth_shown):
            show_one(info["name"], size)
        name, sum_so_far = open_folders[-1]
        open_folders[-1] = (name, sum_so_far + size)
    close(0)
    return top
