"""Bad disks, full disks, noise on every port, and users who change their mind: a clear error, and nothing lost."""

import contextlib
import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cairnfs.client import connect
from cairnfs.common.address import split_host_port
from cairnfs.common.errors import NoSpace, ProtocolError, WrongCluster
from tests.cluster.conftest import MakeCluster
from tests.cluster.harness import Cluster

CAIRN = [sys.executable, "-m", "cairnfs.client.cli"]


def flip_in_file(path: Path, content: bytes) -> int:
    """Flip a bit in every place of a file where `content` lies; how many places there were."""
    data = path.read_bytes()
    places = 0
    start = data.find(content)
    with path.open("r+b") as file:
        while start >= 0:
            file.seek(start)
            file.write(bytes([content[0] ^ 1]))
            places += 1
            start = data.find(content, start + 1)
    return places


def volume_files(cluster: Cluster, name: str) -> Iterator[Path]:
    """The data files of a datanode."""
    yield from (cluster.directory / name).rglob("data.mdb")


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_replica_is_never_read(cluster: Cluster, damaged: int) -> None:
    """Bits that rot on one or two of three disks: readers get the right bytes from another replica."""
    content = random.Random(3).randbytes(3_000_000)
    with connect(cluster.address) as fs:
        fs.pipe_file("/precious", content)
    names = [f"datanode-{number}" for number in range(1, damaged + 1)]
    cluster.kill(*names)
    for name in names:
        assert sum(flip_in_file(path, content[1_500_000:1_500_064]) for path in volume_files(cluster, name)) > 0
    cluster.up()
    for _ in range(3):  # whichever replica is tried first
        with connect(cluster.address) as fs:
            assert fs.cat_file("/precious") == content


def test_when_every_replica_is_damaged_the_read_fails_and_gives_no_wrong_byte(cluster: Cluster) -> None:
    """EIO, not garbage; bytes that are whole can still be had."""
    content = random.Random(4).randbytes(3_000_000)
    with connect(cluster.address, datanode_timeout_s=3) as fs:
        fs.pipe_file("/lost", content)
        names = [name for name in cluster.running() if name.startswith("datanode")]
        cluster.kill(*names)
        for name in names:
            assert sum(flip_in_file(path, content[2_500_000:2_500_064]) for path in volume_files(cluster, name)) > 0
        cluster.up()
        with pytest.raises(OSError, match=r"checksum|corrupt|replica") as caught:
            fs.cat_file("/lost")
        assert caught.value.errno == 5
        assert fs.cat_file("/lost", 0, 1_000_000) == content[:1_000_000]


def test_full_datanodes_are_avoided_and_a_full_cluster_says_so(make_cluster: MakeCluster) -> None:
    """A put that finds no room fails with ENOSPC and leaves nothing; deleting makes room again."""
    cluster = make_cluster(serve=False)
    cluster.stop()
    for name in ("datanode-1", "datanode-2", "datanode-3"):
        path = cluster.directory / name / "datanode.toml"
        path.write_text(f"capacity_bytes = {200_000_000 if name == 'datanode-1' else 300_000_000}\n" + path.read_text())
    cluster.up()
    first = random.Random(5).randbytes(150_000_000)
    with connect(cluster.address, datanode_timeout_s=3) as fs:
        fs.pipe_file("/first", first)
        with pytest.raises(OSError, match=r"room|space|full") as caught:
            fs.pipe_file("/second", random.Random(6).randbytes(250_000_000))
        assert caught.value.errno == 28
        assert not fs.exists("/second")
        assert hashlib.sha256(fs.cat_file("/first")).digest() == hashlib.sha256(first).digest()
        fs.pipe_file("/small", b"x" * 1000)
        fs.rm("/first")

        pause = threading.Event()
        for _ in range(60):
            with contextlib.suppress(NoSpace):  # the deletion has not reached the disks yet
                fs.pipe_file("/third", first[:50_000_000])
                break
            pause.wait(0.5)
        assert fs.cat_file("/third") == first[:50_000_000]


def test_noise_on_every_port_is_survived(cluster: Cluster) -> None:
    """HTTP, TLS, zeros and random bytes on each port of each process: connections close, everything serves on."""
    chance = random.Random(7)
    noises = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", bytes(10_000)]
    noises += [chance.randbytes(size) for size in (1, 100, 10_000)]
    addresses = [*cluster.plan.namenodes, *cluster.plan.datanodes.values()]
    for address in addresses:
        for noise in noises:
            with socket.create_connection(split_host_port(address), timeout=20) as connection:
                try:
                    connection.sendall(noise)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass
                except ConnectionError:
                    pass  # closed in the middle of the noise, as it should be
    assert len(cluster.running()) == 6
    with connect(cluster.address) as fs:
        fs.pipe_file("/after", b"x" * 100_000)
        assert fs.cat_file("/after") == b"x" * 100_000


def test_a_wrong_address_is_told_at_once(cluster: Cluster) -> None:
    """Another cluster's id, a datanode's port and a port without a listener each have their own clear line."""
    with pytest.raises(WrongCluster, match="not some-other"):
        connect(cluster.address + "?cluster=some-other")
    datanode = cluster.plan.datanodes["datanode-1"]
    with pytest.raises((ProtocolError, TimeoutError), match=re.escape(datanode)):
        connect(f"cairn://{datanode}", connect_timeout_s=2)
    with pytest.raises(TimeoutError, match="refuses connections"):
        connect("cairn://127.0.0.1:1", connect_timeout_s=2)


def test_ctrl_c_in_a_put_leaves_no_half_file(cluster: Cluster, tmp_path: Path) -> None:
    """SIGINT in the middle: exit code 130, no traceback, nothing under the final name, and the space comes back."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1 << 20) * 700)
    put = subprocess.Popen(
        [*CAIRN, "--cluster", cluster.address, "put", str(source), "/final"], stderr=subprocess.PIPE, text=True
    )
    process = psutil.Process(put.pid)
    pause = threading.Event()
    while process.io_counters().read_chars < 100 << 20:  # it is well in the middle then
        assert put.poll() is None, "the put ended before it could be interrupted"
        pause.wait(0.005)
    put.send_signal(signal.SIGINT)
    _, stderr = put.communicate(timeout=30)
    assert put.returncode == 130
    assert "Traceback" not in stderr
    with connect(cluster.address) as fs:
        assert not fs.exists("/final")
        assert fs.ls("/") == []
    address = cluster.namenode_address(cluster.leader())
    for _ in range(400):
        if cluster.admin.status(address).blocks == 0:
            break
        pause.wait(0.05)
    assert cluster.admin.status(address).blocks == 0, "what was put is freed"


def test_put_over_a_folder_and_get_of_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """A put over a folder is refused; a get of a missing file leaves no empty local file."""
    with connect(cluster.address) as fs:
        fs.mkdir("/folder")
        local = tmp_path / "local"
        local.write_bytes(b"x" * 100_000)
        with pytest.raises(IsADirectoryError):
            fs.put(local, "/folder")
        with pytest.raises(FileNotFoundError):
            fs.get("/missing", tmp_path / "back")
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["local"]
        with pytest.raises(OSError, match=r"itself|Invalid"):
            fs.mv("/folder", "/folder/inside")


def test_a_local_disk_that_fills_during_a_get_is_told(cluster: Cluster, tmp_path: Path) -> None:
    """ENOSPC with the local path, and no part of the file is left behind."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("a small disk can only be made by root")
    try:
        with connect(cluster.address) as fs:
            fs.pipe_file("/big", os.urandom(20_000_000))
            with pytest.raises(OSError, match=re.escape(str(small))) as caught:
                fs.get("/big", small / "copy")
            assert caught.value.errno == 28
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
