"""A FileSystem with the client library's verbs over a local folder: what the commands are tested against."""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, Self

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
Advance = Callable[[int], None]


class FolderFileSystem:
    """Paths of the cluster are paths below `root`. Owners are kept beside, since only root may change real ones."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.owners: dict[str, tuple[int, int]] = {}
        self.is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False

    @contextmanager
    def _at(self, path: str, to: str = "") -> Iterator[str]:
        """The local path; errors name the path of the cluster."""
        assert path.startswith("/")
        assert self.is_open
        try:
            yield os.path.normpath(f"{self.root}/{path}")
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), path, None, to or None) from None

    def _name(self, local: str) -> str:
        return "/" + os.path.relpath(local, self.root) if local != str(self.root) else "/"

    def info(self, path: str, *, follow: bool = False) -> dict[str, Any]:
        with self._at(path) as local:
            status = os.stat(local, follow_symlinks=follow)
            return self._info(local, status)

    def _info(self, local: str, status: os.stat_result) -> dict[str, Any]:
        name = self._name(local)
        uid, gid = self.owners.get(name, (status.st_uid, status.st_gid))
        return {
            "name": name,
            "size": 0 if stat.S_ISDIR(status.st_mode) else status.st_size,
            "type": KINDS[stat.S_IFMT(status.st_mode)],
            "mode": status.st_mode,
            "uid": uid,
            "gid": gid,
            "nlink": status.st_nlink,
            "ino": status.st_ino,
            "atime_ns": status.st_atime_ns,
            "mtime_ns": status.st_mtime_ns,
            "ctime_ns": status.st_ctime_ns,
        }

    def ls(self, path: str, detail: bool = False) -> list[Any]:
        with self._at(path) as local:
            if not stat.S_ISDIR(os.stat(local).st_mode):
                found = [local]
            else:
                found = [os.path.join(local, name) for name in os.listdir(local)]
            if detail:
                return [self._info(each, os.lstat(each)) for each in found]
            return [self._name(each) for each in found]

    def exists(self, path: str) -> bool:
        with self._at(path) as local:
            return os.path.exists(local)

    def open(self, path: str, mode: str = "rb") -> IO[Any]:
        with self._at(path) as local:
            return open(local, mode)

    def pipe_file(self, path: str, data: IO[bytes]) -> None:
        with self._at(path) as local:
            Path(local).write_bytes(data.read())

    def put(
        self,
        local: str,
        remote: str,
        *,
        recursive: bool = False,
        preserve: bool = False,
        threads: int = 1,
        progress: Advance | None = None,
    ) -> None:
        with self._at(remote) as to:
            _copy(local, to, recursive=recursive, progress=progress)

    def get(
        self,
        remote: str,
        local: str,
        *,
        recursive: bool = False,
        preserve: bool = False,
        threads: int = 1,
        progress: Advance | None = None,
    ) -> None:
        with self._at(remote) as source:
            _copy(source, local, recursive=recursive, progress=progress)

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        with self._at(path) as local:
            os.mkdir(local, mode)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        with self._at(path) as local:
            os.makedirs(local, exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        with self._at(path) as local:
            os.rmdir(local)

    def mv(self, source: str, to: str, *, exclusive: bool = False) -> None:
        with self._at(source, to) as local:
            if exclusive and os.path.lexists(f"{self.root}/{to}"):
                raise FileExistsError(errno.EEXIST, "")
            os.rename(local, f"{self.root}/{to}")

    def cp_file(self, source: str, to: str) -> None:
        with self._at(source, to) as local:
            shutil.copy(local, f"{self.root}/{to}")

    def copy(self, source: str, to: str, *, recursive: bool = False) -> None:
        with self._at(source, to) as local:
            _copy(local, f"{self.root}/{to}", recursive=recursive, progress=None)

    def rm(self, path: str, recursive: bool = False) -> None:
        with self._at(path) as local:
            if recursive and os.path.isdir(local) and not os.path.islink(local):
                shutil.rmtree(local)
            else:
                os.unlink(local)

    def touch(self, path: str) -> None:
        with self._at(path) as local:
            Path(local).touch()

    def chmod(self, path: str, mode: int) -> None:
        with self._at(path) as local:
            os.chmod(local, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        before = self.info(path, follow=True)
        self.owners[path] = (before["uid"] if uid == -1 else uid, before["gid"] if gid == -1 else gid)

    def symlink(self, target: str, path: str) -> None:
        try:
            with self._at(path) as local:
                os.symlink(target, local)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), target, None, path) from None

    def link(self, source: str, path: str) -> None:
        with self._at(source, path) as local:
            os.link(local, f"{self.root}/{path}")

    def readlink(self, path: str) -> str:
        with self._at(path) as local:
            return os.readlink(local)

    def checksum(self, path: str) -> str:
        with self._at(path) as local:
            return hashlib.sha256(Path(local).read_bytes()).hexdigest()

    def statvfs(self) -> SimpleNamespace:
        return SimpleNamespace(capacity=3 << 30, free=2 << 30, inodes=7, replication=3, min_replicas=2)


def _copy(source: str, to: str, *, recursive: bool, progress: Advance | None) -> None:
    if os.path.isdir(source):
        if not recursive:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), source)
        shutil.copytree(source, to, symlinks=True, dirs_exist_ok=True)
        return
    shutil.copyfile(source, to)
    if progress is not None:
        progress(os.path.getsize(to))
