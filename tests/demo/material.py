"""What the demo copies, and how copies are compared."""

import hashlib
import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

CHUNK_BYTES = 8 << 20
NOT_STANDARD = ("__pycache__", "site-packages", "dist-packages")


def copy_standard_library(to: Path) -> tuple[int, int]:
    """A copy of this Python's standard library that stands still meanwhile; returns its files and bytes."""
    source = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(source, to, symlinks=True, ignore=shutil.ignore_patterns(*NOT_STANDARD))
    sizes = [path.stat().st_size for path in to.rglob("*") if path.is_file() and not path.is_symlink()]
    return len(sizes), sum(sizes)


def make_random_file(path: Path, size: int) -> str:
    """A file that cannot be compressed; returns its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(size // CHUNK_BYTES):
            chunk = os.urandom(CHUNK_BYTES)
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_tree(root: Path) -> dict[str, str]:
    """Relative path → what is there: a folder, where a link points, or a file's SHA-256."""
    return dict(_describe(root, root))


def _describe(root: Path, folder: Path) -> Iterator[tuple[str, str]]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        path = Path(entry.path)
        name = str(path.relative_to(root))
        if entry.is_symlink():
            yield name, "link to " + os.readlink(path)
        elif entry.is_dir():
            yield name, "folder"
            yield from _describe(root, path)
        else:
            yield name, sha256(path)


def compare(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """One line for each difference."""
    return [
        f"{name}: {found.get(name, 'missing')}, not {wanted.get(name, 'there at all')}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]
