"""`cp` and `mv`, within the cluster."""

import errno
from typing import TYPE_CHECKING

import click

from cairnfs.client.cli.cluster import base_name, cluster_path, is_folder, join, uses_cluster
from cairnfs.client.cli.failures import each

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem


def destination(fs: "FileSystem", sources: tuple[str, ...], target: str) -> bool:
    """Whether sources go into the folder `target`, not to the name `target`.

    NotADirectoryError for several sources, or a name that ends in a slash, where `target` is no folder.
    """
    is_into = is_folder(fs, target)
    if not is_into and len(sources) > 1:
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", target)
    return is_into


@click.command("cp")
@click.argument("sources", nargs=-1, required=True, type=cluster_path)
@click.argument("target", type=cluster_path)
@click.option("-r", "-R", "--recursive", is_flag=True, help="Folders with everything in them.")
@uses_cluster
def cp_command(fs: "FileSystem", sources: tuple[str, ...], target: str, *, recursive: bool) -> None:
    """Copy files or folders within the cluster. A copy shares the blocks of its source: no bytes move.

    \b
    cairn cp /a.txt /b.txt
    cairn cp /a.txt /b.txt /folder
    cairn cp -r /folder /copy
    """
    is_into = destination(fs, sources, target)

    def copy_one(source: str) -> None:
        to = join(target, base_name(source)) if is_into else target
        if fs.info(source, follow=not recursive)["type"] == "directory":
            if not recursive:
                raise IsADirectoryError(
                    errno.EISDIR, "Is a directory (add -r to copy it and all that is in it)", source
                )
            if (to.rstrip("/") + "/").startswith(source.rstrip("/") + "/"):
                raise OSError(errno.EINVAL, "cannot be copied into itself", source)
            fs.copy(source, to, recursive=True)
        else:
            fs.cp_file(source, to)

    each(sources, copy_one)


@click.command("mv")
@click.argument("sources", nargs=-1, required=True, type=cluster_path)
@click.argument("target", type=cluster_path)
@click.option("-n", "--no-clobber", is_flag=True, help="Leave a file alone that is already there.")
@uses_cluster
def mv_command(fs: "FileSystem", sources: tuple[str, ...], target: str, *, no_clobber: bool) -> None:
    """Rename files or folders, or move them into a folder. Each move is atomic.

    \b
    cairn mv /draft.txt /final.txt
    cairn mv /a /b /archive
    """
    is_into = destination(fs, sources, target)

    def move_one(source: str) -> None:
        to = join(target, base_name(source)) if is_into else target
        try:
            fs.mv(source, to, exclusive=no_clobber)
        except FileExistsError:
            if not no_clobber:
                raise

    each(sources, move_one)
