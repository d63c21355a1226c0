"""What a piece store refuses, besides what common/errors.py has.

CairnError
├── StaleGeneration     the replica, or its writer, is of a newer generation         ESTALE
├── ReplicaMissing      no copy of the block is here                                 ENOENT
├── BadRange            offset or length do not fit the replica                      EINVAL
├── VolumeFailed        the volume has stopped after an I/O error                    EIO
└── VolumeLocked        another process has the volume                               EBUSY
"""

import errno

from cairnfs.common.errors import CairnError


class StaleGeneration(CairnError):
    """The replica, or the writer in possession of it, is of a newer generation."""

    code = errno.ESTALE


class ReplicaMissing(CairnError):
    """No copy of the block is here."""

    code = errno.ENOENT


class BadRange(CairnError):
    """An offset or a length does not fit the replica."""

    code = errno.EINVAL


class VolumeFailed(CairnError):
    """The volume has stopped after an I/O error; the process must be restarted, or the disk replaced."""

    code = errno.EIO


class VolumeLocked(CairnError):
    """Another process has the volume open."""

    code = errno.EBUSY
