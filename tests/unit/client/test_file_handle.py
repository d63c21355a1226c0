"""Open files in situations that a local file never meets: forks, and sessions that end."""

import os
from collections.abc import Callable

import pytest

from cairnfs.client.filesystem import FileSystem
from cairnfs.common.errors import ClusterUnavailable, SessionExpired
from cairnfs.common.operations import Commit
from tests.unit.client.memory_blocks import MemoryBlocks
from tests.unit.client.memory_namenode import MemoryNamenode
from tests.unit.state.driver import INLINE_MAX

DATA = bytes(range(256)) * (INLINE_MAX // 256 + 2)


def test_a_file_is_not_used_after_a_fork(
    fs: FileSystem, namenode: MemoryNamenode, blocks: MemoryBlocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a child every read and write is refused, and close leaves the parent's connections alone.

    The child has the parent's sockets: what it read or wrote there would be taken for the parent's.
    """
    with fs.open("/f", "w+b", buffering=0) as file:
        file.write(DATA)
        file.flush()
        parents_handle = file._handle  # type: ignore[attr-defined]
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: -1)
            actions: list[Callable[[], object]] = [
                lambda: file.write(b"x"),
                file.flush,
                lambda: file.truncate(1),
                lambda: (file.seek(0), file.read(1)),
            ]
            for action in actions:
                with pytest.raises(RuntimeError, match="opened before a fork"):
                    action()
            operations = len(namenode.asked)
            parents_handle.close()
            assert len(namenode.asked) == operations
            assert not any(writer.is_closed for writer in blocks.writers)
        parents_handle.is_closed = False
        file.seek(0, os.SEEK_END)
        file.write(b"more")
    assert fs.cat_file("/f") == DATA + b"more"


@pytest.mark.parametrize("data", [b"small", DATA])
def test_a_session_that_expires_takes_nothing_that_was_saved(
    fs: FileSystem, namenode: MemoryNamenode, data: bytes
) -> None:
    """After a flush, close has nothing to fear from an expired session; a write after it has."""
    file, another = fs.open("/f", "wb"), fs.open("/g", "wb")
    for each in (file, another):
        each.write(data)
        each.flush()
    namenode.expire()
    file.close()
    another.write(b"lost")
    with pytest.raises(SessionExpired):
        another.close()
    assert fs.cat_file("/f") == data


def test_a_file_may_be_closed_after_its_file_system(
    fs: FileSystem, namenode: MemoryNamenode, blocks: MemoryBlocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Close says that the bytes are lost, once, and ends the chains all the same."""
    file = fs.open("/f", "wb")
    file.write(DATA)
    file.flush()
    file.write(DATA)

    def is_over(*_: object, **__: object) -> None:
        raise ClusterUnavailable("the connection to the cluster has been closed")

    with monkeypatch.context() as closed:
        closed.setattr(namenode, "submit", is_over)
        closed.setattr(namenode, "release", lambda *_: None)
        with pytest.raises(ClusterUnavailable) as raised:
            file.close()
    assert not isinstance(raised.value.__context__, ClusterUnavailable)
    assert all(writer.is_closed for writer in blocks.writers)
    assert namenode.count(Commit) == 1
