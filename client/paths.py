"""Paths of the library's users: str, bytes or os.PathLike outside, bytes towards the namenode.

A str goes through os.fsencode and comes back through os.fsdecode, so that names that are not UTF-8 survive the
round trip. A path that is not absolute counts from the root: a file system has no working directory.
"""

import errno
import os

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def encode(path: Path) -> bytes:
    """The bytes of a path; FileNotFoundError for an empty one, as os has it."""
    encoded = os.fsencode(path)
    if not encoded:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
    return encoded


def absolute(path: Path) -> str:
    """The path as a str that begins with one slash and ends without one (but for the root): how listings name it."""
    return "/" + os.fsdecode(encode(path)).strip("/")


def join(folder: str, name: str) -> str:
    """The path of `name` in `folder`."""
    return folder + name if folder.endswith("/") else f"{folder}/{name}"


def parent_of(path: bytes) -> bytes:
    """The path without its last name; empty where that leaves nothing but the root."""
    return path.rstrip(b"/").rpartition(b"/")[0]
