"""One volume's LMDB environment: its folder, lock and identity, and how much room it has.

Owns the files of the volume: `data.mdb` and `lock.mdb` (LMDB's) and `in_use` (locked as long as a
process has the volume). Knows nothing of replicas; mutation.py does.

The data file is grown in steps ahead of its use: a synced commit that also extends the file costs
a commit of the disk's journal (measured: 600 MB/s without, 700 with, commits of 16 MiB).
"""

import errno
import fcntl
import os
import uuid
from pathlib import Path
from typing import NamedTuple

import lmdb

from cairnfs.common.errors import BadConfig, NoSpace
from cairnfs.datanode.errors import VolumeLocked
from cairnfs.datanode.layout import (
    FORMAT_VERSION,
    META_CLUSTER,
    META_DATANODE,
    META_FORMAT,
    META_USED,
    META_VOLUME,
    TABLES,
    USED,
)

_PAGE_BYTES = 4096
_GROWTH_BYTES = 64 << 20
_RESERVE_BYTES = 1 << 30
_READERS_MAX = 2048
_SPARE_READERS = 16
_FIXED_OVERHEAD_BYTES = 1 << 20


class Limits(NamedTuple):
    """What a volume may take of its disk; bytes."""

    reserve_bytes: int | None = None  # of the disk, left free; None: 1 GiB, or 2 % of a small disk
    capacity_bytes: int = 0  # 0: as much as the disk has
    map_bytes: int = 1 << 43
    commit_bytes: int = 16 << 20
    queue_bytes: int = 32 << 20


class Room(NamedTuple):
    """How big a volume is, and what new pieces may take of it; bytes."""

    capacity_bytes: int
    free_bytes: int


class Environment:
    """An open volume."""

    def __init__(self, folder: Path, cluster_id: str, limits: Limits) -> None:
        """Open the volume in `folder`, making it where it is new.

        BadConfig where it cannot be used or belongs to another cluster, VolumeLocked while another process has it.
        """
        self.folder = folder
        self.limits = limits
        self._lock_fd = _lock(folder)
        try:
            self.lmdb = _open(folder, limits)
            self.lmdb.reader_check()
            self.meta, self.blocks, self.pieces, self.sums = (self.lmdb.open_db(name) for name in TABLES)
            self.volume_uuid, self.datanode_uuid = self._check_identity(cluster_id)
            self._data_fd = os.open(folder / "data.mdb", os.O_RDWR | os.O_CLOEXEC)
        except BaseException:
            os.close(self._lock_fd)
            raise
        self._allocated_bytes = os.fstat(self._data_fd).st_size
        self._reserve_bytes = _reserve(folder, limits)

    def adopt(self, datanode_uuid: str) -> None:
        """Make the volume that of this datanode, for good."""
        with self.lmdb.begin(write=True, db=self.meta) as txn:
            txn.put(META_DATANODE, datanode_uuid.encode())
        self.datanode_uuid = datanode_uuid

    def room(self, used_bytes: int) -> Room:
        """The volume's size and what is left of it, given what its pieces take; OSError from the disk."""
        disk = os.statvfs(self.folder)
        file_bytes = max(self._allocated_bytes, self._in_use_bytes())
        overhead = _FIXED_OVERHEAD_BYTES + used_bytes // 100
        reusable = max(file_bytes - used_bytes - overhead, 0)
        free = disk.f_bavail * disk.f_frsize - self._reserve_bytes + reusable
        capacity = disk.f_blocks * disk.f_frsize - self._reserve_bytes
        ceiling = self.limits.map_bytes - 8 * _FIXED_OVERHEAD_BYTES
        if self.limits.capacity_bytes:
            ceiling = min(ceiling, self.limits.capacity_bytes)
        return Room(max(min(capacity, ceiling), 0), max(min(free, ceiling - used_bytes - used_bytes // 100), 0))

    def make_room(self, wanted_bytes: int) -> None:
        """Extend the data file by a step if the next transaction, of `wanted_bytes`, might reach beyond its end."""
        wanted = self._in_use_bytes() + wanted_bytes + _FIXED_OVERHEAD_BYTES
        if wanted <= self._allocated_bytes:
            return
        size = min((wanted // _GROWTH_BYTES + 1) * _GROWTH_BYTES, self.limits.map_bytes)
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize - self._reserve_bytes < size - self._allocated_bytes:
            return  # a nearly full disk is filled without preallocation
        try:
            os.posix_fallocate(self._data_fd, self._allocated_bytes, size - self._allocated_bytes)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise NoSpace(f"volume {self.folder}: {error.strerror}") from None
            raise
        self._allocated_bytes = size

    def used_bytes(self) -> int:
        """What the pieces take, as the last commit left it."""
        with self.lmdb.begin(db=self.meta) as txn:
            return int(USED.unpack(txn.get(META_USED, USED.pack(0)))[0])

    def close(self) -> None:
        """Close the files and let go of the lock."""
        self.lmdb.close()
        os.close(self._data_fd)
        os.close(self._lock_fd)

    def _in_use_bytes(self) -> int:
        return (int(self.lmdb.info()["last_pgno"]) + 1) * _PAGE_BYTES

    def _check_identity(self, cluster_id: str) -> tuple[str, str]:
        with self.lmdb.begin(write=True, db=self.meta) as txn:
            found = txn.get(META_FORMAT)
            if found is None:
                txn.put(META_FORMAT, str(FORMAT_VERSION).encode())
                txn.put(META_CLUSTER, cluster_id.encode())
                txn.put(META_VOLUME, uuid.uuid4().hex.encode())
                txn.put(META_DATANODE, b"")
            elif found != str(FORMAT_VERSION).encode():
                raise BadConfig(f"volume {self.folder} has format {found.decode()}; this program has {FORMAT_VERSION}")
            owner = txn.get(META_CLUSTER, b"").decode()
            if owner != cluster_id:
                raise BadConfig(f"volume {self.folder} belongs to cluster {owner!r}, not to {cluster_id!r}")
            return txn.get(META_VOLUME, b"").decode(), txn.get(META_DATANODE, b"").decode()


def _reserve(folder: Path, limits: Limits) -> int:
    if limits.reserve_bytes is not None:
        return limits.reserve_bytes
    disk = os.statvfs(folder)
    return min(_RESERVE_BYTES, disk.f_blocks * disk.f_frsize // 50)


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / "in_use", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadConfig(f"volume {folder} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise VolumeLocked(f"volume {folder} is in use by another datanode") from None
    return fd


def _open(folder: Path, limits: Limits) -> lmdb.Environment:
    try:
        return lmdb.open(
            str(folder),
            map_size=limits.map_bytes,
            max_dbs=len(TABLES),
            max_readers=_READERS_MAX,
            max_spare_txns=_SPARE_READERS,
            mode=0o600,
        )
    except lmdb.Error as error:
        raise BadConfig(f"volume {folder} cannot be opened: {error}") from None
