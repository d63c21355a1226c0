"""What `info`, `ls` and `find` tell of a file: a dict made from an attribute record."""

import stat
from collections.abc import Iterable, Iterator
from typing import Any

from cairnfs.common.attributes import RECORD

Info = dict[str, Any]

_TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
_FORMAT_MASK = 0o170000


def kind_of(mode: int) -> str:
    """ "file", "directory", "link" or "other"."""
    return _TYPES.get(mode & _FORMAT_MASK, "other")


def make_info(name: str, record: bytes) -> Info:
    """The info of one record; the keys are told in FileSystem.info."""
    return next(make_infos((name,), record))


def make_infos(names: Iterable[str], records: bytes) -> Iterator[Info]:
    """The infos of records laid end to end, named in turn."""
    types = _TYPES
    for name, record in zip(names, RECORD.iter_unpack(records), strict=True):
        ino, mode, nlink, uid, gid, rdev, size, allocated, atime, mtime, ctime, btime, version, _, replication, _, _ = (
            record
        )
        yield {
            "name": name,
            "size": size,
            "type": types.get(mode & _FORMAT_MASK, "other"),
            "mode": mode,
            "uid": uid,
            "gid": gid,
            "nlink": nlink,
            "ino": ino,
            "mtime_ns": mtime,
            "atime_ns": atime,
            "ctime_ns": ctime,
            "btime_ns": btime,
            "allocated": allocated,
            "replication": replication,
            "rdev": rdev,
            "version": version,
        }
