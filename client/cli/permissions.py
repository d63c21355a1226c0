"""`chmod` and `chown`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cairnfs.client.cli.changes import current_umask
from cairnfs.client.cli.cluster import cluster_path, uses_cluster
from cairnfs.client.cli.failures import each
from cairnfs.client.cli.modes import change_mode
from cairnfs.client.cli.owners import parse_owner
from cairnfs.client.cli.walking import walk

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem


def _targets(fs: "FileSystem", path: str, *, recursive: bool) -> Iterator[dict[str, Any]]:
    """`path` itself, a link followed; or it and everything below, links left out, as chmod -R does."""
    if not recursive:
        yield {**fs.info(path, follow=True), "name": path}
        return
    for depth, info in walk(fs, path):
        if depth == 0 or info["type"] != "link":
            yield info


@click.command("chmod", context_settings={"ignore_unknown_options": True})
@click.argument("mode")
@click.argument("paths", nargs=-1, required=True, type=cluster_path)
@click.option("-R", "--recursive", is_flag=True, help="Folders with everything in them.")
@uses_cluster
def chmod_command(fs: "FileSystem", mode: str, paths: tuple[str, ...], *, recursive: bool) -> None:
    """Change permissions: octal, or as changes.

    \b
    cairn chmod 640 /secret
    cairn chmod u+x,go-w /tool
    cairn chmod -R a+rX /public        X: folders, and files that someone may run
    """
    umask = current_umask()
    change_mode(mode, 0, is_directory=False, umask=umask)

    def change_one(path: str) -> None:
        for info in _targets(fs, path, recursive=recursive):
            is_directory = info["type"] == "directory"
            fs.chmod(info["name"], change_mode(mode, info["mode"], is_directory=is_directory, umask=umask))

    each(paths, change_one)


@click.command("chown")
@click.argument("owner")
@click.argument("paths", nargs=-1, required=True, type=cluster_path)
@click.option("-R", "--recursive", is_flag=True, help="Folders with everything in them.")
@uses_cluster
def chown_command(fs: "FileSystem", owner: str, paths: tuple[str, ...], *, recursive: bool) -> None:
    """Change owner and group: user, user:group, :group, or user: for the user's own group; names or numbers.

    \b
    cairn chown ada /paper
    cairn chown -R ada:science /papers
    cairn chown :1000 /paper
    """
    uid, gid = parse_owner(owner)

    def change_one(path: str) -> None:
        for info in _targets(fs, path, recursive=recursive):
            fs.chown(info["name"], uid, gid)

    each(paths, change_one)
