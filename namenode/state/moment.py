"""One committed moment of the state, which stays readable while the state goes on."""

from collections.abc import Iterator

from cairnfs.namenode.state import snapshot
from cairnfs.namenode.state.digest import digest_rows
from cairnfs.namenode.state.tables.store import Rows
from cairnfs.namenode.state.tables.view import View


class Moment:
    """A read transaction. It may be used from one thread at a time, whichever; it must be closed, and soon.

    While it is open, pages that the state gives up cannot be used again, so the file grows.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._counters = View(rows).counters()

    @property
    def index(self) -> int:
        """The last entry applied in it."""
        return self._counters.applied_index

    @property
    def term(self) -> int:
        """The term of that entry."""
        return self._counters.applied_term

    def digest(self) -> bytes:
        """BLAKE2b over every row of every table."""
        return digest_rows(self._rows)

    def dump(self) -> Iterator[bytes]:
        """Every row, as a stream in chunks of about 1 MiB."""
        return snapshot.dump(self._rows, self._counters)

    def close(self) -> None:
        """End the read transaction."""
        self._rows.abort()

    def __enter__(self) -> "Moment":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
