"""What all open files of one file system share."""

import threading
from concurrent.futures import ThreadPoolExecutor

from cairnfs.client.block_access import Blocks
from cairnfs.client.block_stream import BlockStream
from cairnfs.client.caller import Caller
from cairnfs.client.piece_buffers import PieceBuffers
from cairnfs.client.replica_reader import ReplicaReader

READ_THREADS = 3
DATANODE_TIMEOUT_S = 20.0


class Services:
    """The namenode, the blocks, buffers and threads. Safe for many threads; `close` it once."""

    def __init__(self, caller: Caller, blocks: Blocks, *, datanode_timeout_s: float = DATANODE_TIMEOUT_S) -> None:
        self.caller = caller
        self.blocks = blocks
        self.replicas = ReplicaReader(caller, blocks)
        self.buffers = PieceBuffers()
        self.datanode_timeout_s = datanode_timeout_s
        self._lock = threading.Lock()
        self._readers: ThreadPoolExecutor | None = None

    @property
    def readers(self) -> ThreadPoolExecutor:
        """Threads that read ahead, started when they are first wanted."""
        with self._lock:
            if self._readers is None:
                self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="cairn-read")
            return self._readers

    def new_stream(self, ino: int, *, bytes_expected: int | None = None) -> BlockStream:
        """A stream of blocks for the bytes of a file."""
        return BlockStream(
            self.caller,
            self.blocks,
            ino,
            self.buffers,
            datanode_timeout_s=self.datanode_timeout_s,
            bytes_expected=bytes_expected,
        )

    def close(self) -> None:
        """Stop the threads and close idle connections."""
        with self._lock:
            readers, self._readers = self._readers, None
        if readers is not None:
            readers.shutdown(cancel_futures=True)
        self.blocks.close()
