"""The LMDB environment of the state: its tables and transactions. Nothing else here imports lmdb.

The environment is synced at every commit but for the last meta page (`metasync=False`): a power
cut leaves it whole and may undo the last transaction, which the log then replays.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb

from cairnfs.common.errors import CairnError
from cairnfs.namenode.state.schema import FORMAT, META_COUNTERS, META_FORMAT, TABLE_NAMES, U32, Counters

Handle = Any  # an open table: lmdb's own type is private
Row = tuple[bytes, bytes]

_READERS_MAX = 512


class BadState(CairnError):
    """The state on disk cannot be used: it is incomplete, or of another format."""


class Tables:
    """The handles of the tables, by the names in schema.py."""

    __slots__ = TABLE_NAMES

    inodes: Handle
    dentries: Handle
    contents: Handle
    extents: Handle
    xattrs: Handle
    orphans: Handle
    blocks: Handle
    replicas: Handle
    deletions: Handle
    writers: Handle
    sessions: Handle
    nonces: Handle
    replies: Handle
    datanodes: Handle
    uuids: Handle
    meta: Handle

    def __init__(self, open_table: Callable[[bytes], Handle]) -> None:
        for name in TABLE_NAMES:
            setattr(self, name, open_table(name.encode()))

    def in_order(self) -> list[Handle]:
        """All handles, in the order of TABLE_NAMES."""
        return [getattr(self, name) for name in TABLE_NAMES]


class Rows:
    """One transaction. `get(key, None, table)` is LMDB's own, for speed."""

    __slots__ = ("_txn", "get", "tables")

    def __init__(self, txn: "lmdb.Transaction[bytes]", tables: Tables) -> None:
        self._txn = txn
        self.get: Callable[[bytes, None, Handle], bytes | None] = txn.get
        self.tables = tables

    def put(self, table: Handle, key: bytes, value: bytes) -> None:
        """Write a row, over an older one of that key."""
        self._txn.put(key, value, True, True, False, table)

    def delete(self, table: Handle, key: bytes) -> bool:
        """Delete a row; whether there was one."""
        return self._txn.delete(key, b"", table)

    def commit(self) -> None:
        """End the transaction, and keep what it wrote."""
        self._txn.commit()

    def abort(self) -> None:
        """End the transaction, and forget what it wrote."""
        self._txn.abort()

    def count(self, table: Handle) -> int:
        """How many rows the table has."""
        return int(self._txn.stat(table)["entries"])

    def getter(self, table: Handle) -> Callable[[bytes], bytes]:
        """A function that reads rows which are known to exist, the quickest there is."""
        get: Callable[[bytes], bytes] = self._txn.cursor(table).get  # type: ignore[assignment]
        return get

    def scan(self, table: Handle, start: bytes, prefix: bytes = b"") -> Iterator[Row]:
        """The rows with keys from `start` on that begin with `prefix`. Not to be used across writes."""
        cursor = self._txn.cursor(table)
        if cursor.set_range(start):
            for row in cursor.iternext():
                if not row[0].startswith(prefix):
                    return
                yield row

    def page(self, table: Handle, start: bytes, limit: int) -> list[Row]:
        """At most `limit` rows with keys from `start` on, whatever they begin with."""
        cursor = self._txn.cursor(table)
        return list(islice(cursor.iternext(), limit)) if cursor.set_range(start) else []

    def before(self, table: Handle, key: bytes) -> Row | None:
        """The last row with a key less than `key`."""
        cursor = self._txn.cursor(table)
        has_row = cursor.prev() if cursor.set_range(key) else cursor.last()
        return cursor.item() if has_row else None

    def delete_range(self, table: Handle, first: bytes, last: bytes) -> None:
        """Delete the rows with keys from `first` to `last`, both included."""
        cursor = self._txn.cursor(table)
        found = cursor.set_range(first)
        while found and cursor.key() <= last:
            cursor.delete()
            found = bool(cursor.key())

    def append(self, table: Handle, rows: list[Row]) -> None:
        """Write rows whose keys rise and are greater than all in the table."""
        self._txn.cursor(table).putmulti(rows, append=True)


class Store:
    """The environment at `directory`, which must exist; one writer at a time, any number of readers."""

    def __init__(self, directory: Path, *, map_size_bytes: int) -> None:
        self._environment = lmdb.open(
            str(directory),
            map_size=map_size_bytes,
            max_dbs=len(TABLE_NAMES),
            max_readers=_READERS_MAX,
            max_spare_txns=16,
            metasync=False,
            meminit=False,
        )
        self._environment.reader_check()
        self.tables = Tables(self._environment.open_db)

    def prepare(self) -> None:
        """Check the format, and write it where the environment is new; BadState where it cannot be used."""
        with self.reading() as rows:
            record = rows.get(META_FORMAT, None, self.tables.meta)
            is_empty = not any(rows.count(table) for table in self.tables.in_order())
        if record is None:
            if not is_empty:
                raise BadState(
                    f"{self._environment.path()} is incomplete: remove it, and it comes back from a snapshot"
                )
            with self.writing() as rows:
                rows.put(self.tables.meta, META_FORMAT, U32.pack(FORMAT))
                rows.put(self.tables.meta, META_COUNTERS, Counters().pack())
        elif U32.unpack(record) != (FORMAT,):
            raise BadState(f"{self._environment.path()} has state format {U32.unpack(record)[0]}, not {FORMAT}")

    @contextmanager
    def reading(self) -> Iterator[Rows]:
        """A read transaction; bytes read in it are copies and stay good."""
        with self._environment.begin() as txn:
            yield Rows(txn, self.tables)

    @contextmanager
    def writing(self) -> Iterator[Rows]:
        """A write transaction: committed at the end, undone by any exception."""
        with self._environment.begin(write=True) as txn:
            yield Rows(txn, self.tables)

    def begin(self, *, write: bool = True) -> Rows:
        """A transaction that its owner ends: one that writes on this very thread, one that reads on any."""
        return Rows(self._environment.begin(write=write), self.tables)

    def append_all(self, rows: Iterable[tuple[int, list[Row]]]) -> None:
        """Write runs of (table's place, rows in order), each in a transaction of its own."""
        handles = self.tables.in_order()
        for place, run in rows:
            with self.writing() as transaction:
                transaction.append(handles[place], run)

    def sync(self) -> None:
        """Everything committed is on disk when this returns, the last meta page included."""
        self._environment.sync(True)

    def close(self) -> None:
        """Close the environment; no transaction may be open."""
        self._environment.close()
