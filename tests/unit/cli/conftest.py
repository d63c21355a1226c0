"""`cairn(...)` runs one command in this process, against a folder."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cairnfs.client.cli import main
from tests.unit.cli.folder import FolderFileSystem


@dataclass(frozen=True)
class Run:
    """What a command left behind."""

    code: int
    out: bytes
    error: str

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()


Cairn = Callable[..., Run]


class _Bytes(io.TextIOWrapper):
    """A text stream over bytes, as sys.stdout is."""

    def __init__(self, content: bytes = b"") -> None:
        self.raw_bytes = io.BytesIO(content)
        super().__init__(self.raw_bytes, encoding="utf-8", write_through=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "cluster"
    folder.mkdir()
    return folder


@pytest.fixture
def fs(root: Path) -> FolderFileSystem:
    return FolderFileSystem(root)


@pytest.fixture
def cairn(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cairn:
    fs = FolderFileSystem(root)
    monkeypatch.setenv("CAIRN_CLUSTER", "cairn://127.0.0.1:1")
    monkeypatch.setenv("HOME", str(tmp_path))

    def connect(address: str, **_: float) -> FolderFileSystem:
        fs.is_open = True
        return fs

    def run(*words: str, stdin: bytes = b"") -> Run:
        out, error = _Bytes(), _Bytes()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", _Bytes(stdin))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", error)
            code = main(list(words), connect=connect)
        return Run(code, out.raw_bytes.getvalue(), error.raw_bytes.getvalue().decode())

    return run
