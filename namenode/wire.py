"""Raft messages as bytes: one byte for the kind, then the message's fields in MessagePack.

The numbers are part of the wire format. Field names travel along, so that a field can be added.
"""

import msgspec

from cairnfs.common.errors import ProtocolError
from cairnfs.namenode.raft import (
    Append,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    TimeoutNow,
    Vote,
    VoteReply,
)

_KINDS: dict[int, type[Message]] = {
    1: Append,
    2: AppendReply,
    3: Heartbeat,
    4: HeartbeatReply,
    5: Vote,
    6: VoteReply,
    7: InstallSnapshot,
    8: TimeoutNow,
}
_PREFIXES = {kind: bytes([number]) for number, kind in _KINDS.items()}
_DECODERS = {number: msgspec.msgpack.Decoder(kind) for number, kind in _KINDS.items()}
_encode = msgspec.msgpack.Encoder().encode


def encode_message(message: Message) -> bytes:
    """The bytes of a Raft message."""
    return _PREFIXES[type(message)] + _encode(message)


def decode_message(body: bytes) -> Message:
    """The Raft message in `body`; ProtocolError where it is none."""
    try:
        return _DECODERS[body[0]].decode(memoryview(body)[1:])
    except (IndexError, KeyError, msgspec.MsgspecError) as error:
        raise ProtocolError(f"not a Raft message: {error}") from None
