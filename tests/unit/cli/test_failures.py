"""Errors: one line on standard error, and an exit code that tells the kind."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cairnfs.client.cli import main
from cairnfs.client.cli.group import COMMANDS
from cairnfs.client.cli.group import cairn as group
from cairnfs.common.errors import BadConfig, ClusterUnavailable, CorruptData, NoSpace, NotEnoughDatanodes, WrongCluster
from tests.unit.cli.conftest import Cairn


def failing(error: BaseException) -> Callable[..., Any]:
    def connect(address: str, **_: float) -> Any:
        raise error

    return connect


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (FileNotFoundError(2, "No such file or directory", "/x"), 1, "cairn: ls: /x: No such file or directory\n"),
        (FileNotFoundError(2, "No such file", b"/\xff\n"), 1, "cairn: ls: /\\xff\\n: No such file\n"),
        (OSError(18, "Cross-device", "/a", None, "/b"), 1, "cairn: ls: /a -> /b: Cross-device\n"),
        (CorruptData("block 7: no good replica"), 1, "cairn: ls: block 7: no good replica\n"),
        (NoSpace("no datanode has room"), 1, "cairn: ls: no datanode has room\n"),
        (BadConfig("'x' is not an address"), 2, "cairn: ls: 'x' is not an address\n"),
        (WrongCluster("belongs to another"), 2, "cairn: ls: belongs to another\n"),
        (ClusterUnavailable("no namenode leads\nyet"), 3, "cairn: ls: no namenode leads yet\n"),
        (NotEnoughDatanodes("1 of 2 datanodes"), 3, "cairn: ls: 1 of 2 datanodes\n"),
        (TimeoutError(110, "Connection timed out"), 3, "cairn: ls: Connection timed out\n"),
        (KeyboardInterrupt(), 130, ""),
        (KeyError("bug"), 1, "cairn: ls: internal error: KeyError('bug') (set CAIRN_DEBUG=1 to see where)\n"),
    ],
)  # fmt: skip
def test_every_error_is_one_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong is told in one line without a traceback, and the exit code tells its kind."""
    monkeypatch.delenv("CAIRN_DEBUG", raising=False)
    assert main(["ls", "--cluster", "cairn://h:1", "/"], connect=failing(error)) == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lss"], "there is no command 'lss'; did you mean ls?"),
        (["ls", "--colour"], "--colour"),
        (["put", "one"], "Missing argument"),
        (["ls", ""], "a path must not be empty"),
        (["head", "-c", "much", "/x"], "'much' is not a size"),
    ],
)
def test_misuse(words: list[str], message: str, cairn: Cairn) -> None:
    """Misuse is one line that names the mistake and where help is, with exit code 2."""
    run = cairn(*words)
    assert run.code == 2
    assert message in run.error
    assert run.error.count("\n") == 1
    assert "--help" in run.error


def test_without_a_cluster_the_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no cluster is named and none runs here, the line names all three ways out."""
    monkeypatch.delenv("CAIRN_CLUSTER", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["ls", "/"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for way in ("--cluster", "CAIRN_CLUSTER", "cairn up"):
        assert way in error


def test_cluster_and_timeout_stand_before_or_after_the_command(tmp_path: Path) -> None:
    """`--cluster` and `--timeout` reach connect() from both places; the later one wins."""
    seen: list[tuple[str, dict[str, float]]] = []

    def connect(address: str, **timeouts: float) -> Any:
        seen.append((address, timeouts))
        raise ClusterUnavailable("no")

    main(["--cluster", "a:1", "--timeout", "3", "ls", "/"], connect=connect)
    main(["--cluster", "a:1", "ls", "--cluster", "b:1", "/"], connect=connect)
    assert seen[0] == ("a:1", {"connect_timeout_s": 3.0, "operation_timeout_s": 3.0})
    assert seen[1] == ("b:1", {})


def test_help_lists_every_command_without_loading_one(capsys: pytest.CaptureFixture[str]) -> None:
    """`cairn --help` names all commands, exits with 0, and imports neither gRPC nor rich."""
    loaded = set(sys.modules)
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert not {name for name in set(sys.modules) - loaded if name.partition(".")[0] in ("grpc", "rich")}


@pytest.mark.parametrize("name", COMMANDS)
def test_summaries_are_those_of_the_commands(name: str) -> None:
    """The table's line of help is how the command's own help starts."""
    command = group.get_command(group.make_context("cairn", ["ls"], resilient_parsing=True), name)
    assert command is not None
    assert command.help is not None
    start = " ".join(command.help.split())
    assert start.startswith(COMMANDS[name][1].rstrip(".…").rstrip(", "))
    assert "cairn " + name in start
