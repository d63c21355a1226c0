"""The namenode as one user sees it: credentials, freshness of reads, answers decoded, refusals as `os` raises them."""

import errno
import os
from typing import Any, Generic, TypeVar

import msgspec

from cairnfs.client.calls import Answer, Level, Namenode
from cairnfs.client.paths import Path
from cairnfs.common.errors import Refused
from cairnfs.common.operations import Credentials, FileSystemStatus, GetFileSystemStatus, Operation

Kind = TypeVar("Kind", bound=msgspec.Struct)

_decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {}


def decode(answer: bytes, kind: type[Kind]) -> Kind:
    """The answer, of the kind that the operation's documentation names."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    return decoder.decode(answer)  # type: ignore[no-any-return]


def os_error(refused: Refused, paths: tuple[Path, ...]) -> OSError:
    """What `os` raises in the case: the builtin class of the errno with its text and the paths; what the namenode adds
    is a note (PEP 678)."""
    code = refused.errno or errno.EIO
    text = os.strerror(code)
    names = [os.fspath(path) for path in paths]
    error = OSError(code, text, names[0], None, names[1]) if len(names) > 1 else OSError(code, text, *names)
    detail = str(refused)
    if detail and detail != text:
        error.add_note(detail)
    return error


class Later(Generic[Kind]):
    """An answer on its way."""

    __slots__ = ("_answer", "_kind", "_paths")

    def __init__(self, answer: Answer, kind: type[Kind], paths: tuple[Path, ...]) -> None:
        self._answer = answer
        self._kind = kind
        self._paths = paths

    def result(self) -> Kind:
        """Wait for it; OSError as Caller.ask."""
        try:
            return decode(self._answer.result(), self._kind)
        except Refused as refused:
            raise os_error(refused, self._paths) from None


class Caller:
    """Sends one user's operations. Safe for many threads."""

    def __init__(
        self,
        namenode: Namenode,
        credentials: Credentials,
        *,
        level: Level = Level.SESSION,
        max_staleness_ms: int = 0,
    ) -> None:
        self.namenode = namenode
        self.credentials = credentials
        self._level = level
        self._max_staleness_ms = max_staleness_ms
        self._status: FileSystemStatus | None = None

    def ask(self, operation: Operation, kind: type[Kind], *paths: Path) -> Kind:
        """Do an operation and decode its answer; an OSError that names `paths` where it is refused, CairnError else."""
        return self.submit(operation, kind, *paths).result()

    def submit(self, operation: Operation, kind: type[Kind], *paths: Path) -> Later[Kind]:
        """Send an operation and go on."""
        answer = self.namenode.submit(
            operation, self.credentials, level=self._level, max_staleness_ms=self._max_staleness_ms
        )
        return Later(answer, kind, paths)

    def settings(self) -> FileSystemStatus:
        """The cluster's sizes (inline_max, min_replicas, …), asked for once."""
        if self._status is None:
            self._status = self.ask(GetFileSystemStatus(), FileSystemStatus)
        return self._status
