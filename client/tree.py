"""Whole trees within the cluster: walking, finding, adding up, removing, copying.

Operations are submitted many at a time, so that they travel and are committed in batches. A folder is
addressed by its inode number once it is known, so that a tree renamed meanwhile is walked to its end. Symbolic
links are never followed below the top.
"""

import errno
import os
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from cairnfs.client.caller import Caller, Later
from cairnfs.client.file_info import Info, make_infos
from cairnfs.client.listing import KIND_DIRECTORY, KIND_LINK, FolderPages, Page
from cairnfs.client.paths import Path, absolute, encode, join
from cairnfs.common.attributes import ROOT_INO, Attributes
from cairnfs.common.operations import (
    CopyFile,
    Done,
    GetAttributes,
    MakeDirectory,
    MakeSymlink,
    Node,
    ReadLink,
    RemoveDirectory,
    Target,
    Unlink,
)

FOLDERS_AHEAD = 32
OPERATIONS_AHEAD = 512


class Folder(msgspec.Struct, frozen=True):
    """A folder on the way: its inode, its whole path, how far below the top it lies, and what it is called where."""

    ino: int
    path: str
    depth: int
    parent: int
    name: bytes


class Window:
    """Submitted operations whose answers are yet to be looked at: at most OPERATIONS_AHEAD."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Later[Any], tuple[int, ...]]] = deque()

    def add(self, later: Later[Any], *, forgive: tuple[int, ...] = ()) -> None:
        """Take one more; raises what an earlier one was refused with, unless its errno is forgiven."""
        self._waiting.append((later, forgive))
        while len(self._waiting) > OPERATIONS_AHEAD:
            self._settle_one()

    def settle(self) -> None:
        """Wait for all; raises the first refusal, when all have been answered."""
        first: OSError | None = None
        while self._waiting:
            try:
                self._settle_one()
            except OSError as error:
                first = first or error
        if first is not None:
            raise first

    def _settle_one(self) -> None:
        later, forgive = self._waiting.popleft()
        try:
            later.result()
        except OSError as error:
            if error.errno not in forgive:
                raise


def top_folder(caller: Caller, path: Path) -> Folder:
    """The folder at `path`; NotADirectoryError where it is none."""
    attributes = Attributes.unpack(caller.ask(GetAttributes(ROOT_INO, encode(path)), Node, path).record)
    if attributes.mode >> 12 != KIND_DIRECTORY:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
    return Folder(attributes.ino, absolute(path), 0, ROOT_INO, encode(path))


def walk_pages(
    caller: Caller, top: Folder, *, with_attributes: bool = False, depth_max: int | None = None
) -> Iterator[tuple[Folder, Page]]:
    """The pages of `top` and of all folders below it, a folder after the one it is in; several are asked for ahead.

    A folder below the top that is removed meanwhile is passed over.
    """
    waiting: deque[Folder] = deque([top])
    ahead: deque[tuple[Folder, FolderPages]] = deque()
    while waiting or ahead:
        while waiting and len(ahead) < FOLDERS_AHEAD:
            folder = waiting.popleft()
            ahead.append((folder, FolderPages(caller, folder.ino, b"", folder.path, with_attributes=with_attributes)))
        folder, pages = ahead.popleft()
        try:
            for page in pages:
                if depth_max is None or folder.depth < depth_max:
                    waiting.extend(_folders_in(folder, page))
                yield folder, page
        except OSError as error:
            if folder is top or error.errno not in (errno.ENOENT, errno.ESTALE):
                raise


def _folders_in(folder: Folder, page: Page) -> Iterator[Folder]:
    kinds = page.kinds
    at = kinds.find(KIND_DIRECTORY)
    while at >= 0:
        name = page.names[at]
        yield Folder(page.inodes[at], join(folder.path, os.fsdecode(name)), folder.depth + 1, folder.ino, name)
        at = kinds.find(KIND_DIRECTORY, at + 1)


def find(caller: Caller, path: Path, *, maxdepth: int | None, withdirs: bool) -> dict[str, Info]:
    """See FileSystem.find."""
    found: dict[str, Info] = {}
    top = top_folder(caller, path)
    depth_max = None if maxdepth is None else maxdepth - 1
    for folder, page in walk_pages(caller, top, with_attributes=True, depth_max=depth_max):
        prefix = join(folder.path, "")
        for info in make_infos([prefix + name for name in page.text_names()], page.records):
            if withdirs or info["type"] != "directory":
                found[info["name"]] = info
    return dict(sorted(found.items()))


def find_names(caller: Caller, path: Path, *, maxdepth: int | None, withdirs: bool) -> list[str]:
    """See FileSystem.find."""
    found: list[str] = []
    depth_max = None if maxdepth is None else maxdepth - 1
    for folder, page in walk_pages(caller, top_folder(caller, path), depth_max=depth_max):
        prefix = join(folder.path, "")
        names = page.text_names()
        if withdirs or KIND_DIRECTORY not in page.kinds:
            found += [prefix + name for name in names]
        else:
            found += [prefix + name for name, kind in zip(names, page.kinds, strict=True) if kind != KIND_DIRECTORY]
    return sorted(found)


def walk(caller: Caller, path: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """See FileSystem.walk."""
    root: str | None = None
    folders: list[str] = []
    files: list[str] = []
    for folder, page in walk_pages(caller, top_folder(caller, path)):
        if folder.path != root:
            if root is not None:
                yield root, folders, files
            root, folders, files = folder.path, [], []
        for name, kind in zip(page.text_names(), page.kinds, strict=True):
            (folders if kind == KIND_DIRECTORY else files).append(name)
    if root is not None:
        yield root, folders, files


def remove(caller: Caller, path: Path) -> None:
    """Remove a folder and everything below it; what others remove meanwhile is no error."""
    top = top_folder(caller, path)
    folders = [top]
    window = Window()
    try:
        for folder, page in walk_pages(caller, top):
            folders.extend(_folders_in(folder, page))
            for name, kind in zip(page.names, page.kinds, strict=True):
                if kind != KIND_DIRECTORY:
                    shown = join(folder.path, os.fsdecode(name))
                    window.add(caller.submit(Unlink(folder.ino, name), Done, shown), forgive=(errno.ENOENT,))
        for folder in sorted(folders, key=lambda each: each.depth, reverse=True):
            if folder.ino != ROOT_INO:
                operation = RemoveDirectory(folder.parent, folder.name)
                forgive = (errno.ENOENT,) if folder.depth else ()
                window.add(caller.submit(operation, Done, folder.path), forgive=forgive)
    finally:
        window.settle()


def copy(caller: Caller, source: Path, target: Path) -> None:
    """Copy a folder and everything below it; files share their blocks with the originals, links stay links.

    Folders that exist are filled, files replaced. OSError with EINVAL where `target` lies within `source`.
    """
    top = top_folder(caller, source)
    to_top = absolute(target)
    within = OSError(errno.EINVAL, "cannot copy a folder into itself", os.fspath(source), None, os.fspath(target))
    if join(to_top, "").startswith(join(top.path, "")):
        raise within
    window = Window()
    below = len(top.path.rstrip("/"))
    modes = {top.ino: Attributes.unpack(caller.ask(GetAttributes(top.ino, b""), Node, source).record).mode}
    made = Attributes.unpack(caller.ask(_make_folder(to_top, modes[top.ino]), Node, target).record)
    if _is_within(caller, made, top.ino):  # by way of a link, or of `..`
        raise within
    try:
        for folder, page in walk_pages(caller, top, with_attributes=True):
            to_folder = to_top.rstrip("/") + folder.path[below:]
            _copy_page(caller, folder, page, to_folder, window)
    finally:
        window.settle()


def _copy_page(caller: Caller, folder: Folder, page: Page, to_folder: str, window: Window) -> None:
    for name, kind, attributes in zip(page.names, page.kinds, Attributes.unpack_many(page.records), strict=True):
        shown = join(folder.path, os.fsdecode(name))
        to = join(to_folder, os.fsdecode(name))
        if kind == KIND_DIRECTORY:
            window.add(caller.submit(_make_folder(to, attributes.mode), Node, to))
        elif kind == KIND_LINK:
            link_target = caller.ask(ReadLink(folder.ino, name), Target, shown).value
            window.add(caller.submit(MakeSymlink(ROOT_INO, os.fsencode(to), link_target), Node, to))
        else:
            operation = CopyFile(folder.ino, name, ROOT_INO, os.fsencode(to))
            window.add(caller.submit(operation, Node, shown, to))


def _is_within(caller: Caller, folder: Attributes, ino: int) -> bool:
    """Whether a folder is `ino` or lies somewhere below it."""
    while folder.ino not in (ino, ROOT_INO):
        folder = Attributes.unpack(caller.ask(GetAttributes(folder.parent, b""), Node).record)
    return folder.ino == ino


def _make_folder(path: str, mode: int) -> MakeDirectory:
    return MakeDirectory(ROOT_INO, os.fsencode(path), mode & 0o7777, parents=True)
