"""What can go wrong, as one tree. Everything is an OSError, so that `except OSError` and errno work.

    OSError
    └── CairnError                 an errno, and one clear line that says what to do
        ├── Refused                the namenode's answer to an operation: ENOENT, EACCES, …
        ├── ClusterUnavailable     no namenode leads within the time given              ETIMEDOUT
        ├── WrongCluster           the address belongs to another cluster               EINVAL
        ├── ProtocolError          the other side does not speak this protocol          EPROTO
        ├── SessionExpired         the namenode has given the session up                ESTALE
        ├── NotEnoughDatanodes     fewer live datanodes than min_replicas               EHOSTDOWN
        ├── NoSpace                no datanode, or not the local disk, has room         ENOSPC
        ├── ReplicaUnavailable     no replica of a block can be read now                EIO
        ├── CorruptData            a checksum does not fit, and no replica is left      EIO
        └── BadConfig              a configuration file or address cannot be used       EINVAL

Users of the client library meet an operation's refusal as the builtin class of its errno
(FileNotFoundError, PermissionError, …), as `os` raises it.
"""

import errno
import os


class CairnError(OSError):
    """The base of all errors of CairnFS; `code` is the errno of the class."""

    code = errno.EIO

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(self.code if code is None else code, message)

    def __str__(self) -> str:
        return str(self.strerror)


class Refused(CairnError):
    """An operation cannot be done as asked; `errno` is POSIX's for the case."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message or os.strerror(code), code=code)


class ClusterUnavailable(CairnError, TimeoutError):
    """No namenode leads, or none answers, within the time given; also the builtin TimeoutError."""

    code = errno.ETIMEDOUT


class WrongCluster(CairnError):
    """The other side belongs to another cluster."""

    code = errno.EINVAL


class ProtocolError(CairnError):
    """The other side does not speak this protocol, or not this version of it."""

    code = errno.EPROTO


class SessionExpired(CairnError):
    """The namenode has given the session up: what it held open is gone."""

    code = errno.ESTALE


class NotEnoughDatanodes(CairnError):
    """Fewer datanodes are alive than min_replicas asks for."""

    code = errno.EHOSTDOWN


class NoSpace(CairnError):
    """No room is left where the bytes should go."""

    code = errno.ENOSPC


class ReplicaUnavailable(CairnError):
    """No replica of a block can be read at present."""

    code = errno.EIO


class CorruptData(CairnError):
    """Bytes do not fit their checksum."""

    code = errno.EIO


class BadConfig(CairnError):
    """A configuration file or an address cannot be used."""

    code = errno.EINVAL
