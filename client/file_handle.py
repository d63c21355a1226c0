"""An open file: reads and writes by offset, with what was written and not yet committed in view.

    write ──► WriteBuffer (memory) ──► BlockStream (blocks) ──► commit
                    └── small, near the file's start ──► Write (kept in the namespace, DESIGN §6)
    read  ◄── WriteBuffer, over what the namenode's map says; what lies in uncommitted blocks is committed first

`flush` makes everything durable and visible, as fsync. With `append` the place of the bytes is
decided when they are committed. What a failed write or flush could not save is lost, and every later
call says so. After a fork() the child has the parent's sockets, and may use none of them.
"""

import errno
import os
import threading

from cairnfs.client.block_stream import BlockStream
from cairnfs.client.caller import Later
from cairnfs.client.content_reader import ContentReader
from cairnfs.client.read_ahead import ReadAhead
from cairnfs.client.services import Services
from cairnfs.client.write_buffer import WriteBuffer
from cairnfs.common.attributes import Attributes
from cairnfs.common.blocks import PIECE_BYTES_MAX
from cairnfs.common.errors import CairnError, SessionExpired
from cairnfs.common.operations import READ, Appended, FileMap, GetMap, Node, OpenFile, SetAttributes, Write

RUNS_PER_COMMIT = 4096


class FileHandle:
    """One open regular file, which the session holds until `close`. Safe for many threads.

    `opened` is the answer that opened it, in the session's `epoch`; `shown` is the path that errors name.
    """

    def __init__(
        self, services: Services, opened: FileMap, *, epoch: int, shown: str | bytes, append: bool = False
    ) -> None:
        self._services = services
        self._caller = services.caller
        self._epoch = epoch
        self._shown = shown
        self._append = append
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._reader = ContentReader(services.replicas, self._fetch, opened, timeout_s=services.datanode_timeout_s)
        self._ahead = ReadAhead(self._reader.read_into, lambda: services.readers)
        attributes = Attributes.unpack(opened.record)
        self.ino = attributes.ino
        self._size = attributes.size  # as the namenode has it
        self._appended = 0  # bytes that wait to be appended
        self._buffer: WriteBuffer | None = None
        self._stream: BlockStream | None = None
        self._failure: OSError | None = None
        self.is_closed = False

    @property
    def shown(self) -> str | bytes:
        """The path that errors name."""
        return self._shown

    @property
    def reader(self) -> ContentReader:
        """Reads what is committed."""
        return self._reader

    @property
    def size(self) -> int:
        """The size, with what is not committed yet."""
        with self._lock:
            if self._append:
                return self._size + self._appended
            return max(self._size, self._buffer.end if self._buffer else 0, self._stream.span[1] if self._stream else 0)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill `into` from `offset` on; how many bytes there were before the file's end."""
        self._check_process()
        with self._lock:
            self._settle_for_reading(offset, offset + len(into))
            size = self.size
            into = into[: max(0, min(len(into), size - offset))]
            if not len(into):
                return 0
            if self._buffer is not None and self._buffer.runs:
                if not self._buffer.covers(offset, offset + len(into)):
                    self._reader.read_into(offset, into)
                self._buffer.overlay(offset, into)
            else:
                self._ahead.read_into(offset, into, size)
            return max(0, min(len(into), self.size - offset))  # others may have cut it meanwhile

    def write(self, offset: int, data: memoryview) -> int:
        """Take bytes for `offset`, or for the end of the file with `append`; all of them."""
        self._check_process()
        with self._lock:
            self._check()
            if self._append:
                offset = self._appended
                self._appended += len(data)
            done = 0
            while done < len(data):
                if self._buffer is None:
                    self._buffer = WriteBuffer(self._services.buffers.take())
                done += self._buffer.put(offset + done, data[done:])
                if self._buffer.is_full:
                    self._make_room(self._buffer)
            return done

    def flush(self, *, seal: bool = False) -> None:
        """Make everything that was written durable and visible; with `seal` nothing more will be written."""
        self._check_process()
        with self._lock:
            if self._buffer is None and self._stream is None:
                return
            if self._caller.namenode.epoch != self._epoch and self._is_saved and self._failure is None:
                return  # the session has expired, and took nothing along
            self._check()
            try:
                self._commit(seal=seal)
            except OSError as error:
                self._failure = error
                raise
            except BaseException:
                self._failure = CairnError("an earlier flush of this file was interrupted: what it wrote may be lost")
                raise

    def truncate(self, size: int) -> None:
        """Set the size."""
        self._check_process()
        with self._lock:
            self.flush()
            self._check()
            operation = SetAttributes(self.ino, b"", size=size, by_handle=True)
            self._note(self._caller.ask(operation, Node, self._shown).record)

    def close(self) -> None:
        """Flush, and let the file go; raises where the flush fails, but closes all the same."""
        if os.getpid() != self._pid:
            self.is_closed = True  # the parent's file stays as it is
            return
        with self._lock:
            if self.is_closed:
                return
            self.is_closed = True
            try:
                self.flush(seal=True)
            finally:
                if self._stream is not None:
                    self._stream.abandon()
                if self._buffer is not None:
                    self._services.buffers.give(memoryview(self._buffer.arena))
                self._ahead.drop()
                self._caller.namenode.release(self.ino, self._epoch)

    # --- writing ---------------------------------------------------------------------------------

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("this file was opened before a fork: connect and open it again in the child process")

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._caller.namenode.epoch != self._epoch:
            self._failure = SessionExpired(
                "the session in which this file was opened has expired: "
                "what was not flushed before is lost, open the file again"
            )
            raise self._failure

    @property
    def _is_saved(self) -> bool:
        """Whether nothing waits to be committed."""
        has_runs = self._buffer is not None and bool(self._buffer.runs)
        return not has_runs and (self._stream is None or not self._stream.run_count)

    def _make_room(self, buffer: WriteBuffer) -> None:
        if not self._append and buffer.end <= self._caller.settings().inline_max:
            buffer.compact()
            if buffer.is_roomy:
                return
        self._spill(buffer)
        if self._stream is not None and self._stream.run_count >= RUNS_PER_COMMIT:
            self._commit(seal=False)

    def _spill(self, buffer: WriteBuffer) -> None:
        """Send what the buffer has into blocks."""
        if self._stream is None:
            self._stream = self._services.new_stream(self.ino)
        placements = buffer.placements
        if buffer.used < PIECE_BYTES_MAX // 2:
            piece = memoryview(bytes(memoryview(buffer.arena)[: buffer.used]))
            buffer.clear()
        else:
            piece = memoryview(buffer.arena)[: buffer.used]
            self._buffer = None
        self._stream.append(piece, placements)

    def _commit(self, *, seal: bool) -> None:
        buffer = self._buffer
        if buffer is not None and buffer.runs:
            is_alone = self._stream is None or self._stream.run_count == 0
            if is_alone and self._write_inline(buffer):
                buffer.clear()
                self._appended = 0
            else:
                self._spill(buffer)
        if self._stream is None:
            return
        appended = self._stream.commit(append=self._append, seal=seal)
        if appended is not None:
            self._appended = 0
            self._note(appended.record)

    def _write_inline(self, buffer: WriteBuffer) -> bool:
        """Keep what the buffer has in the namespace; False where it is too much for that."""
        base = self._size if self._append else 0
        if base + buffer.end > self._caller.settings().inline_max:
            return False
        later: list[Later[Appended]] = []
        for offset, at, length in buffer.runs:
            data = bytes(memoryview(buffer.arena)[at : at + length])
            operation = Write(self.ino, 0 if self._append else offset, data, append=self._append)
            later.append(self._caller.submit(operation, Appended, self._shown))
        try:
            for each in later:
                self._note(each.result().record)
        except OSError as error:
            if error.errno == errno.EFBIG and len(later) == 1:  # others have appended meanwhile
                return False
            raise
        return True

    # --- reading ---------------------------------------------------------------------------------

    def _settle_for_reading(self, offset: int, end: int) -> None:
        """Commit what lies in blocks, or has no place yet, where the range may need it."""
        if self._append:
            if self._appended:
                self.flush()
        elif self._stream is not None and self._stream.run_count:
            first, last = self._stream.span
            if offset < last and first < end:
                self.flush()

    def _note(self, record: bytes) -> None:
        """The namenode has told new attributes: what is known of the content is old."""
        self._reader.forget()  # first: a fetch that is under way in another thread notes an older size at its end
        self._size = Attributes.unpack(record).size
        self._ahead.drop()

    def _fetch(self, offset: int) -> FileMap:
        """A page of the map; the file is opened again where its session has expired."""
        epoch = self._caller.namenode.epoch
        if epoch == self._epoch:
            page = self._caller.ask(GetMap(self.ino, offset), FileMap, self._shown)
        else:
            page = self._caller.ask(OpenFile(self.ino, b"", READ), FileMap, self._shown)
            self._epoch = epoch
            if offset:
                page = self._caller.ask(GetMap(self.ino, offset), FileMap, self._shown)
        if offset == 0:
            self._size = Attributes.unpack(page.record).size
        return page
