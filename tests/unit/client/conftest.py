"""A file system whose namenode and datanodes live in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cairnfs.client.caller import Caller
from cairnfs.client.filesystem import FileSystem
from cairnfs.client.services import Services
from tests.unit.client.memory_blocks import MemoryBlocks
from tests.unit.client.memory_namenode import MemoryNamenode
from tests.unit.state.driver import ROOT


@pytest.fixture
def blocks() -> MemoryBlocks:
    return MemoryBlocks()


@pytest.fixture
def namenode(tmp_path: Path, blocks: MemoryBlocks) -> Iterator[MemoryNamenode]:
    namenode = MemoryNamenode(tmp_path / "namenode", blocks)
    yield namenode
    namenode.driver.machine.close()


@pytest.fixture
def services(namenode: MemoryNamenode, blocks: MemoryBlocks) -> Iterator[Services]:
    services = Services(Caller(namenode, ROOT), blocks, datanode_timeout_s=0.2)
    yield services
    services.close()


@pytest.fixture
def fs(services: Services) -> Iterator[FileSystem]:
    with FileSystem(services, umask=0o022) as fs:
        yield fs
