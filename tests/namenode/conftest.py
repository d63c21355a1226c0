"""One namenode group for the tests of a module, which leave it working."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cairnfs.common.operations import MakeDirectory
from tests.namenode.group import NamenodeGroup
from tests.namenode.raw_session import RawSession


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamenodeGroup]:
    """Three members, all running; a test that stops one starts it again. All end with equal digests."""
    servers = NamenodeGroup(tmp_path_factory.mktemp("group"))
    try:
        servers.leader()
        yield servers
        servers.assert_equal_digests()
    finally:
        servers.close()


@pytest.fixture
def session(group: NamenodeGroup) -> Iterator[RawSession]:
    """A session of root's, connected to the leader."""
    raw = RawSession().connect(group.addresses)
    try:
        yield raw
    finally:
        raw.disconnect()


@pytest.fixture
def folder(session: RawSession, request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    """A new folder in the root, by its path."""
    name = f"{request.node.name}-{tmp_path.name}".encode()[:200].replace(b"/", b"_")
    session.do(MakeDirectory(1, name, 0o755))
    return name
