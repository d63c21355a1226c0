"""`mkdir`, `rm`, `ln` and `touch`."""

import errno
import os
from typing import TYPE_CHECKING

import click

from cairnfs.client.cli.cluster import base_name, cluster_path, is_folder, join, lookup, uses_cluster
from cairnfs.client.cli.failures import each
from cairnfs.client.cli.modes import change_mode

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem


def current_umask() -> int:
    """The umask of this process, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@click.command("mkdir")
@click.argument("paths", nargs=-1, required=True, type=cluster_path)
@click.option("-p", "--parents", is_flag=True, help="Make missing folders on the way; one that exists is no error.")
@click.option("-m", "--mode", "mode_text", metavar="MODE", help="Permissions: 750, u=rwx,go=. [default: as umask says]")
@uses_cluster
def mkdir_command(fs: "FileSystem", paths: tuple[str, ...], *, parents: bool, mode_text: str | None) -> None:
    """Make folders.

    \b
    cairn mkdir /photos
    cairn mkdir -p -m 750 /a/b/c
    """
    mode = None if mode_text is None else change_mode(mode_text, 0o777, is_directory=True, umask=current_umask())

    def make_one(path: str) -> None:
        if parents:
            folder = path.rstrip("/").rpartition("/")[0]
            if folder:
                fs.makedirs(folder, exist_ok=True)
            if is_folder(fs, path):
                return
        fs.mkdir(path, 0o777 if mode is None else mode)
        if mode is not None:
            fs.chmod(path, mode)  # the umask has been taken off, which -m overrides

    each(paths, make_one)


@click.command("rm")
@click.argument("paths", nargs=-1, type=cluster_path)
@click.option("-r", "-R", "--recursive", is_flag=True, help="Folders with everything in them.")
@click.option("-f", "--force", is_flag=True, help="A path that does not exist is no error.")
@click.option("-d", "--dir", "empty_folders", is_flag=True, help="Empty folders too.")
@uses_cluster
def rm_command(fs: "FileSystem", paths: tuple[str, ...], *, recursive: bool, force: bool, empty_folders: bool) -> None:
    """Remove files or folders. There is no trash: what is removed is gone.

    \b
    cairn rm /photos/1.jpg
    cairn rm -rf /photos
    """
    if not paths and not force:
        raise click.UsageError("name what to remove")

    def remove_one(path: str) -> None:
        if not path.strip("/"):
            raise click.UsageError("the root folder cannot be removed")
        try:
            is_directory = fs.info(path)["type"] == "directory"
            if is_directory and empty_folders and not recursive:
                fs.rmdir(path)
            elif is_directory and not recursive:
                raise IsADirectoryError(
                    errno.EISDIR, "Is a directory (add -r to remove it and all that is in it)", path
                )
            else:
                fs.rm(path, recursive=recursive)
        except FileNotFoundError:
            if not force:
                raise

    each(paths, remove_one)


@click.command("ln")
@click.argument("target")
@click.argument("link", type=cluster_path)
@click.option("-s", "--symbolic", is_flag=True, help="A symbolic link: TARGET is kept as it is written.")
@click.option("-f", "--force", is_flag=True, help="Replace a file that has the link's name.")
@uses_cluster
def ln_command(fs: "FileSystem", target: str, link: str, *, symbolic: bool, force: bool) -> None:
    """Make hard or symbolic links: one to TARGET that is called LINK, or lies in the folder LINK.

    \b
    cairn ln /photos/1.jpg /best.jpg
    cairn ln -s photos/1.jpg /newest.jpg
    """
    if is_folder(fs, link):
        link = join(link, base_name(target))
    old = lookup(fs, link) if force else None
    if old is not None and old["type"] == "directory":
        raise IsADirectoryError(errno.EISDIR, "Is a directory", link)
    if old is not None:
        fs.rm(link)
    if symbolic:
        fs.symlink(target, link)
    else:
        fs.link(target if target.startswith("/") else "/" + target, link)


@click.command("touch")
@click.argument("paths", nargs=-1, required=True, type=cluster_path)
@click.option("-c", "--no-create", is_flag=True, help="Leave a file that does not exist alone.")
@uses_cluster
def touch_command(fs: "FileSystem", paths: tuple[str, ...], *, no_create: bool) -> None:
    """Set files' times to now, and make files that are missing (empty).

    \b
    cairn touch /done
    """

    def touch_one(path: str) -> None:
        if not no_create or fs.exists(path):
            fs.touch(path)

    each(paths, touch_one)
