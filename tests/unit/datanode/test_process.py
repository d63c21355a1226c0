"""The datanode as a process: starts, serves, stops, and says in one line why it cannot."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from cairnfs.client.block_reader import BlockReader
from cairnfs.client.block_writer import BlockWriter
from cairnfs.common.operations import LocatedBlock, Replica
from cairnfs.common.tokens import make_token
from tests.unit.datanode.fake_registry_service import FakeRegistry

KEY = b"p" * 32
CLUSTER = "registry"
WAIT_S = 20


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def registry(stack: ExitStack) -> FakeRegistry:
    made = stack.enter_context(closing(FakeRegistry(KEY)))
    made.become(is_leader=True, term=1)
    return made


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def configure(folder: Path, registry: FakeRegistry, port: int, *, cluster_id: str = CLUSTER, more: str = "") -> Path:
    file = folder / f"{cluster_id}-{port}.toml"
    file.write_text(
        f'cluster_id = "{cluster_id}"\nlisten = "127.0.0.1:{port}"\nnamenodes = ["{registry.address}"]\n'
        f'volumes = ["{folder / cluster_id}"]\n{more}'
    )
    return file


class Process:
    """A running `python -m cairnfs.datanode`."""

    def __init__(self, config: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cairnfs.datanode", "--config", str(config)],
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            text=True,
        )

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def finish(self) -> tuple[int, list[str]]:
        _, errors = self._process.communicate(timeout=WAIT_S)
        return self._process.returncode, errors.splitlines()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        elif self._process.stderr is not None:
            self._process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_stops_clean(tmp_path: Path, stack: ExitStack, registry: FakeRegistry, number: int) -> None:
    """It registers, takes a block, stops on a signal with exit code 0, a write still open; then the block is there."""
    port = free_port()
    config = configure(tmp_path, registry, port)
    process = stack.enter_context(closing(Process(config)))
    registry.wait(lambda one: one.heartbeats, WAIT_S)
    token = make_token(KEY, 1, 1, writable=True, now_s=2_000_000_000)
    located = LocatedBlock(1, 1, 4, (Replica(7, f"127.0.0.1:{port}"),), token)
    writer = stack.enter_context(closing(BlockWriter(located, CLUSTER, timeout_s=WAIT_S)))
    writer.send(b"data")
    writer.flush()
    process.signal(number)
    code, lines = process.finish()
    assert code == 0
    assert lines[-1].endswith("datanode stopped")
    assert not any("traceback" in line.lower() for line in lines)
    again = stack.enter_context(closing(Process(config)))
    registry.wait_for_heartbeats(2)
    reader = stack.enter_context(closing(BlockReader(CLUSTER)))
    into = memoryview(bytearray(4))
    reader.read_into(located, located.replicas[0], 0, into)
    assert bytes(into) == b"data"
    again.signal(signal.SIGTERM)
    assert again.finish()[0] == 0


def test_bad_starts_exit_with_2_and_one_line(tmp_path: Path, stack: ExitStack, registry: FakeRegistry) -> None:
    """A missing or bad file, a volume or port in use, the wrong cluster: exit code 2, the reason on the last line."""
    port = free_port()
    config = configure(tmp_path, registry, port)
    stack.enter_context(closing(Process(config)))
    registry.wait(lambda one: one.heartbeats, WAIT_S)
    cases = {
        tmp_path / "missing.toml": "no such configuration file",
        configure(tmp_path, registry, free_port(), more="colour = 1\n"): "unknown field `colour`",
        configure(tmp_path, registry, free_port()): "is in use by another datanode",
        configure(tmp_path, registry, port, cluster_id="elsewhere"): f"cannot listen on 127.0.0.1:{port}",
        configure(tmp_path, registry, free_port(), cluster_id="other"): "refuses this datanode for good",
    }
    for path, message in cases.items():
        process = stack.enter_context(closing(Process(path)))
        code, lines = process.finish()
        assert code == 2, lines
        assert lines[-1].startswith("cairn datanode: ")
        assert message in lines[-1]
        assert not any("Traceback" in line for line in lines)
