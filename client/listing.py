"""Folders page by page: the next page is on its way while the last one is decoded."""

import sys
from array import array
from collections.abc import Iterator

import msgspec

from cairnfs.client.caller import Caller, Later
from cairnfs.client.paths import Path
from cairnfs.common.operations import ListDirectory, Listing

PAGE_ENTRIES = 10_000

KIND_DIRECTORY = 4  # S_IFDIR >> 12
KIND_LINK = 10  # S_IFLNK >> 12


class Page(msgspec.Struct, frozen=True):
    """Some entries of a folder: names, inode numbers and kinds (S_IFMT >> 12) in step, and their attribute records if
    they were asked for."""

    names: list[bytes]
    inodes: "array[int]"
    kinds: bytes
    records: bytes

    def text_names(self) -> list[str]:
        """The names as str."""
        return b"/".join(self.names).decode("utf-8", "surrogateescape").split("/") if self.names else []


class FolderPages:
    """The pages of one folder. The first is asked for at once, so several folders can be under way."""

    def __init__(self, caller: Caller, at: int, path: bytes, shown: Path, *, with_attributes: bool) -> None:
        self._caller = caller
        self._at = at
        self._path = path
        self._shown = shown
        self._with_attributes = with_attributes
        self._next: Later[Listing] | None = self._ask(b"")

    def __iter__(self) -> Iterator[Page]:
        """The pages, each once."""
        while self._next is not None:
            listing = self._next.result()
            names = listing.names.split(b"/") if listing.names else []
            self._next = None if listing.is_last or not names else self._ask(names[-1])
            yield Page(names, _numbers(listing.inodes), listing.kinds, listing.records)

    def _ask(self, after: bytes) -> Later[Listing]:
        return self._caller.submit(
            ListDirectory(self._at, self._path, after, PAGE_ENTRIES, self._with_attributes), Listing, self._shown
        )


def _numbers(little_endian: bytes) -> "array[int]":
    numbers = array("Q", little_endian)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
