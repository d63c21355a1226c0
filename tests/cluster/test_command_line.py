"""The command line as users run it: processes, pipes, signals, against a real cluster."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cairnfs.client import connect
from cairnfs.client.filesystem import FileSystem
from tests.cluster.harness import Cluster
from tests.unit.cli.folder import FolderFileSystem

CAIRN = [sys.executable, "-m", "cairnfs.client.cli"]
Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One namenode and two datanodes, shared by the tests of this module, which keep to folders of their own."""
    with Cluster(tmp_path_factory.mktemp("shared") / "c") as cluster:
        cluster.up(namenodes=1, datanodes=2)
        yield cluster


@pytest.fixture
def cairn(small: Cluster) -> Run:
    def run(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*CAIRN, *words],
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, "CAIRN_CLUSTER": small.address},
            **options,
        )

    return run


def test_a_tree_goes_there_and_back(cairn: Run, tmp_path: Path) -> None:
    """put -r and get -r bring back every byte, permission and link, of names of any bytes."""
    source = tmp_path / "tree"
    (source / "sub").mkdir(parents=True)
    (source / "empty").touch()
    (source / os.fsdecode(b"caf\xe9\n")).write_bytes(b"odd name")
    (source / "sub" / "big").write_bytes(os.urandom(3_000_000))
    (source / "sub" / "tool").write_text("#!/bin/sh\n")
    (source / "sub" / "tool").chmod(0o755)
    os.symlink("../empty", source / "sub" / "link")
    assert cairn("put", "-r", str(source), "/tree").returncode == 0
    assert cairn("get", "-r", "/tree", str(tmp_path / "back")).returncode == 0
    assert subprocess.run(["diff", "-r", "--no-dereference", source, tmp_path / "back"], check=False).returncode == 0
    assert os.access(tmp_path / "back" / "sub" / "tool", os.X_OK)


def test_pipes_and_checksums(cairn: Run) -> None:
    """Bytes go through standard input and output unchanged, and checksum prints what sha256sum would."""
    content = os.urandom(2_500_000)
    assert cairn("put", "-", "/piped", input=content).returncode == 0
    assert cairn("get", "/piped", "-").stdout == content
    assert cairn("tail", "-c", "1K", "/piped").stdout == content[-1024:]
    assert cairn("checksum", "/piped").stdout == f"{hashlib.sha256(content).hexdigest()}  /piped\n".encode()


def test_ctrl_c_in_a_put_leaves_nothing(small: Cluster, cairn: Run) -> None:
    """Ctrl-C in the middle of a put ends it with 130, without a traceback, and no file under its name."""
    put = subprocess.Popen(
        [*CAIRN, "put", "--cluster", small.address, "-", "/half"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert put.stdin is not None
    put.stdin.write(bytes(5 << 20))  # more than the pipe and the reader's buffer hold: the put is in the middle
    put.stdin.flush()
    put.send_signal(signal.SIGINT)
    _, error = put.communicate(timeout=30)
    assert (put.returncode, error) == (130, b"")
    assert cairn("stat", "/half").returncode == 1


def test_a_reader_that_leaves_is_no_error(cairn: Run, small: Cluster) -> None:
    """A closed pipe ends the command quietly, with 141, as a signal would."""
    assert cairn("put", "-", "/long", input=bytes(8 << 20)).returncode == 0
    cat = subprocess.Popen(
        [*CAIRN, "cat", "--cluster", small.address, "/long"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert cat.stdout is not None
    assert cat.stdout.read(10) == bytes(10)
    cat.stdout.close()
    assert cat.stderr is not None
    with cat.stderr:
        assert cat.stderr.read() == b""
    assert cat.wait(30) == 141


def test_a_full_local_disk_is_told(cairn: Run, small: Cluster) -> None:
    """A write error of standard output is one line, and exit code 1."""
    assert cairn("put", "-", "/f", input=b"x" * 100_000).returncode == 0
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            [*CAIRN, "cat", "--cluster", small.address, "/f"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert run.returncode == 1
    assert run.stderr == b"cairn: cat: /f: No space left on device\n"


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        ("nonsense", 2, b"is not an address"),
        ("127.0.0.1:1", 3, b"leads within"),
        ("{address}?cluster=other", 2, b"belongs to another cluster"),
    ],
)
def test_wrong_addresses_end_soon(cairn: Run, small: Cluster, address: str, code: int, message: bytes) -> None:
    """An address that cannot be used, where nobody is, or of another cluster: one line each, within the timeout."""
    start = time.monotonic()
    run = cairn("--timeout", "2", "ls", "--cluster", address.format(address=small.address), "/")
    assert run.returncode == code
    assert message in run.stderr
    assert run.stderr.count(b"\n") == 1
    assert time.monotonic() - start < 10


def test_the_default_cluster_is_that_of_up(small: Cluster, tmp_path: Path) -> None:
    """Without an address, the cluster of the default folder is used, if it is up."""
    (tmp_path / ".cairn").symlink_to(small.directory)
    env = {**os.environ, "HOME": str(tmp_path)}
    run = subprocess.run([*CAIRN, "status", "--json"], env=env, capture_output=True, check=False)
    assert json.loads(run.stdout)["cluster_id"] == small.plan.cluster_id


def test_a_process_is_run_in_place(tmp_path: Path) -> None:
    """`cairn namenode` becomes the namenode, whose refusal of a bad configuration comes through."""
    missing = subprocess.run([*CAIRN, "namenode", "--config", str(tmp_path / "no")], capture_output=True, check=False)
    assert (missing.returncode, missing.stderr.count(b"\n")) == (2, 1)
    config = tmp_path / "bad.toml"
    config.write_text("nonsense = 1\n")
    for role in ("namenode", "datanode"):
        bad = subprocess.run([*CAIRN, role, "--config", str(config)], capture_output=True, check=False)
        assert bad.returncode == 2
        assert str(config).encode() in bad.stderr
        assert bad.stderr.count(b"\n") == 1


VERBS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("mkdir", ("/v",), {}),
    ("mkdir", ("/v",), {}),
    ("mkdir", ("/v/no/such",), {}),
    ("makedirs", ("/v/a/b",), {"exist_ok": True}),
    ("makedirs", ("/v/a/b",), {"exist_ok": True}),
    ("makedirs", ("/v/a/b",), {}),
    ("touch", ("/v/f",), {}),
    ("mkdir", ("/v/f/under",), {}),
    ("makedirs", ("/v/f",), {"exist_ok": True}),
    ("rmdir", ("/v/a",), {}),
    ("rmdir", ("/v/f",), {}),
    ("rm", ("/v/none",), {}),
    ("rm", ("/v/a",), {"recursive": False}),
    ("symlink", ("f", "/v/l"), {}),
    ("symlink", ("f", "/v/l"), {}),
    ("symlink", ("nowhere", "/v/broken"), {}),
    ("link", ("/v/f", "/v/h"), {}),
    ("link", ("/v/none", "/v/h2"), {}),
    ("readlink", ("/v/l",), {}),
    ("readlink", ("/v/f",), {}),
    ("exists", ("/v/l",), {}),
    ("exists", ("/v/broken",), {}),
    ("chmod", ("/v/f", 0o640), {}),
    ("chmod", ("/v/none", 0o640), {}),
    ("cp_file", ("/v/f", "/v/copy"), {}),
    ("cp_file", ("/v/none", "/v/copy"), {}),
    ("mv", ("/v/copy", "/v/moved"), {}),
    ("mv", ("/v/none", "/v/moved"), {}),
    ("mv", ("/v/f", "/v/moved"), {"exclusive": True}),
    ("copy", ("/v/a", "/v/a2"), {"recursive": True}),
    ("checksum", ("/v/f",), {}),
    ("checksum", ("/v/none",), {}),
    ("open", ("/v/none", "rb"), {}),
    ("open", ("/v/a", "rb"), {}),
    ("info", ("/v/none",), {}),
    ("info", ("/v/l",), {}),
    ("info", ("/v/l",), {"follow": True}),
    ("info", ("/v/broken",), {"follow": True}),
    ("ls", ("/v",), {}),
    ("ls", ("/v/f",), {}),
    ("ls", ("/v/none",), {}),
    ("ls", ("/v",), {"detail": True}),
    ("rm", ("/v",), {"recursive": True}),
]
SEEN = ("name", "size", "type", "mode", "nlink")


def _seen(value: Any) -> Any:
    if isinstance(value, dict):
        is_folder = value["type"] == "directory"
        return {key: value[key] for key in SEEN if not (is_folder and key in ("size", "nlink"))}
    return sorted(map(_seen, value), key=str) if isinstance(value, list) else value


def _outcome(fs: FileSystem | FolderFileSystem, verb: str, words: tuple[Any, ...], options: dict[str, Any]) -> Any:
    try:
        return _seen(getattr(fs, verb)(*words, **options))
    except OSError as error:
        return type(error), error.errno, error.filename, error.filename2


def test_the_stand_in_behaves_as_the_library(small: Cluster, tmp_path: Path) -> None:
    """What the commands' unit tests run against gives the same results and errors as the real thing, verb for verb."""
    stand_in = FolderFileSystem(tmp_path)
    with connect(small.address) as fs:
        expected = [_outcome(fs, *call) for call in VERBS]
        found = [_outcome(stand_in, *call) for call in VERBS]
    differences = [
        f"{verb}{words} {options}: library {wanted}, stand-in {got}"
        for (verb, words, options), wanted, got in zip(VERBS, expected, found, strict=True)
        if wanted != got
    ]
    assert not differences, "\n".join(differences)
