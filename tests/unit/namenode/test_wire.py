"""Raft messages survive the wire, and nothing else is taken for one."""

import pytest

from cairnfs.common.errors import ProtocolError
from cairnfs.namenode.raft import (
    Append,
    AppendReply,
    Entry,
    EntryKind,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Membership,
    Message,
    SnapshotMeta,
    TimeoutNow,
    Vote,
    VoteReply,
)
from cairnfs.namenode.wire import decode_message, encode_message

MESSAGES: list[Message] = [
    Append(1, 2, 3, 4, 5, 6, (Entry(3, 5, EntryKind.NORMAL, b"\x00data"), Entry(3, 6, EntryKind.NOOP, b""))),
    AppendReply(2, 1, 3, 6, True, 4, 2),
    Heartbeat(1, 2, 3, 4, 5),
    HeartbeatReply(2, 1, 3, 5),
    Vote(1, 2, 3, 4, 5, True, False, 3, 2),
    VoteReply(2, 1, 3, True, False, 3, 2),
    InstallSnapshot(1, 2, 3, SnapshotMeta(7, 2, Membership.of((1, 2, 3), (4,)))),
    TimeoutNow(1, 2, 3),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_round_trips(message: Message) -> None:
    """What is sent is what arrives."""
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize("body", [b"", b"\x00", b"\xff\x80", b"\x01", b"\x01\xc0", b"GET / HTTP/1.1"])
def test_garbage_is_refused(body: bytes) -> None:
    """Bytes that are no message raise one clear error."""
    with pytest.raises(ProtocolError, match="not a Raft message"):
        decode_message(body)
