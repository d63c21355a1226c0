"""`cairn up`, `down` and `status`: real processes in one folder."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cairnfs.client.local_processes import find
from cairnfs.common.errors import BadConfig, ClusterUnavailable
from tests.cluster.conftest import MakeCluster
from tests.cluster.harness import Cluster

CAIRN = [sys.executable, "-m", "cairnfs.client.cli"]


def cairn(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CAIRN, *words], capture_output=True, text=True, timeout=100, check=False)


def test_up_twice_leaves_what_is_up_and_starts_what_is_down(tmp_path: Path) -> None:
    """up is safe to run again: pids stay, the killed member returns, the last line is the address each time."""
    folder = str(tmp_path / "c")
    with Cluster(tmp_path / "c") as cluster:
        first = cairn("up", "--dir", folder, "--detach", "--namenodes", "3", "--datanodes", "2")
        assert first.returncode == 0, first.stderr
        assert first.stdout.splitlines()[-1] == cluster.address
        before = cluster.running()
        assert sorted(before) == ["datanode-1", "datanode-2", "namenode-1", "namenode-2", "namenode-3"]
        cluster.kill("datanode-2")
        cluster.kill(cluster.leader())
        second = cairn("up", "--dir", folder, "--detach", "--datanodes", "3")
        assert second.returncode == 0, second.stderr
        assert second.stdout.splitlines()[-1] == cluster.address
        after = cluster.running()
        assert len(after) == 6
        assert sum(after[name] == pid for name, pid in before.items()) == 3
        assert cairn("down", "--dir", folder).returncode == 0
        assert cluster.running() == {}
        assert cairn("down", "--dir", folder).stdout == "nothing was running\n"


def test_status_tells_members_and_liveness(cluster: Cluster) -> None:
    """status --json names every member with its role, and exactly one leader; exit code 3 without a majority."""
    report = json.loads(cairn("status", "--json", "--cluster", cluster.address).stdout)
    assert sorted(node["role"] for node in report["namenodes"]) == ["follower", "follower", "leader"]
    assert [node["alive"] for node in report["datanodes"]] == [True, True, True]
    cluster.kill("namenode-1")
    cluster.kill("namenode-2")
    assert cluster.admin.status(cluster.namenode_address("namenode-3")).node_id == 3
    run = cairn("status", "--cluster", ",".join([cluster.namenode_address("namenode-1")]))
    assert run.returncode == 3
    assert run.stderr.startswith("cairn: status: no namenode leads")
    assert run.stderr.count("\n") == 1


def test_foreground_stops_everything_on_sigterm(tmp_path: Path) -> None:
    """Without --detach, up stays until SIGTERM, then stops all members quietly and exits with 0."""
    command = [*CAIRN, "up", "--dir", str(tmp_path), "--namenodes", "1", "--datanodes", "1"]
    with (
        Cluster(tmp_path) as cluster,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up,
    ):
        assert up.stdout is not None
        assert any(line.startswith("cairn://") for line in up.stdout)
        assert len(cluster.running()) == 2
        up.send_signal(signal.SIGTERM)
        assert up.communicate(timeout=60)[1] == ""
        assert up.returncode == 0
        assert cluster.running() == {}


def test_foreground_tells_of_a_member_that_ends(tmp_path: Path) -> None:
    """Without --detach, up says which member has ended, and ends itself when none is left."""
    command = [*CAIRN, "up", "--dir", str(tmp_path), "--namenodes", "1", "--datanodes", "2"]
    with (
        Cluster(tmp_path) as cluster,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up,
    ):
        assert up.stdout is not None
        assert any(line.startswith("cairn://") for line in up.stdout)
        cluster.kill("datanode-2")
        assert up.stderr is not None
        assert up.stderr.readline().startswith("cairn: up: datanode-2 has ended")
        assert sorted(cluster.running()) == ["datanode-1", "namenode-1"]
        cluster.stop()
        assert up.wait(60) == 0


def test_members_are_seen_by_ps_with_role_and_folder(make_cluster: MakeCluster) -> None:
    """A member's command line names its role and its configuration, each leads a process group of its own."""
    cluster = make_cluster(namenodes=1, datanodes=1)
    for name, pid in cluster.running().items():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        role = name.partition("-")[0]
        assert words[1:5] == ["-m", f"cairnfs.{role}", "--config", f"{cluster.directory}/{name}/{role}.toml"]
        assert os.getpgid(pid) == pid


def test_two_at_once_start_one_cluster(tmp_path: Path) -> None:
    """Two `up` on one new folder are serialized: one cluster comes of it, and both report its address."""
    with Cluster(tmp_path / "c") as cluster:
        command = [*CAIRN, "up", "--dir", str(tmp_path / "c"), "--namenodes", "1", "--datanodes", "1", "--detach"]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        outputs = [run.communicate(timeout=100)[0] for run in runs]
        assert [run.returncode for run in runs] == [0, 0]
        assert [output.splitlines()[-1] for output in outputs] == [cluster.address] * 2
        assert len(cluster.running()) == 2
        started = "".join(outputs).count("started")
        assert started == 1


def test_another_number_of_namenodes_is_refused(make_cluster: MakeCluster) -> None:
    """The members of an existing cluster cannot be changed by up, but for more datanodes."""
    cluster = make_cluster(namenodes=1, datanodes=2)
    with pytest.raises(BadConfig, match="1 namenodes, not 3"):
        cluster.start(namenodes=3)
    with pytest.raises(BadConfig, match="cannot be taken away"):
        cluster.start(datanodes=1)


def test_a_member_that_cannot_start_is_quoted(make_cluster: MakeCluster) -> None:
    """up fails at once, with the last log line of the member that ended, not after a timeout."""
    cluster = make_cluster(namenodes=1, datanodes=1, serve=False)
    cluster.stop()
    config = cluster.programs[0].config
    config.write_text(config.read_text() + "nonsense = 1\n")
    run = cairn("up", "--dir", str(cluster.directory), "--detach")
    assert run.returncode == 3
    assert "namenode-1 has ended" in run.stderr
    assert "nonsense" in run.stderr
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_told(make_cluster: MakeCluster) -> None:
    """If another process sits on a member's port, up fails with a line about it."""
    cluster = make_cluster(namenodes=1, datanodes=1)
    cluster.stop()
    with contextlib.closing(socket.create_server(("127.0.0.1", cluster.plan.namenode_ports[0]))):
        cluster.start()
        with pytest.raises(ClusterUnavailable, match="namenode-1 has ended"):
            cluster.wait_until_serving(timeout_s=10)


def test_a_foreign_process_is_never_taken_for_a_member(make_cluster: MakeCluster) -> None:
    """A process is a member only if its whole command line says so: one with a longer command line is left alone."""
    cluster = make_cluster(namenodes=1, datanodes=1)
    program = cluster.programs[0]
    stranger = subprocess.Popen([sys.executable, "-c", "input()", *program.arguments], stdin=subprocess.PIPE)
    try:
        assert find([program])[program.name] != stranger.pid
        cluster.stop()
        assert find([program]) == {}
        assert stranger.poll() is None
    finally:
        stranger.communicate()
