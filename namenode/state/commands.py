"""What an entry of the log contains: a batch of items, each a client's mutation or an internal command.

    LogBatch   version · time_ns · items
    Item       session · sequence · answered_through · credentials · body (an encoded command)

The leader writes the batch, fills in time and placement, and every namenode applies it alike.
Internal commands come from the leader itself, in items of session 0, and are not deduplicated:
each of them may be applied again without harm.
"""

from typing import Final

import msgspec

from cairnfs.common.operations import AnyMutation, Credentials, Operation

BATCH_VERSION: Final = 1
ROOT_CREDENTIALS: Final = Credentials(0, 0)


class Item(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One command of a batch; `body` is an encoded AnyMutation, or AnyInternal with session 0."""

    session: int
    sequence: int
    answered_through: int
    credentials: Credentials
    body: bytes


class LogBatch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The content of one log entry; `time_ns` is the leader's clock when it proposed."""

    version: int
    time_ns: int
    items: list[Item]


class Internal(Operation, frozen=True, array_like=True, tag=True, gc=False):
    """A command of the leader itself."""


class InitializeCluster(Internal, frozen=True, array_like=True, tag=True, gc=False):
    """The first command ever: settings, and an empty root folder. EEXIST where another cluster was set up. → Done"""

    cluster_id: str
    token_key: bytes
    replication: int
    min_replicas: int
    inline_max: int
    block_size: int


class OpenSession(Internal, frozen=True, array_like=True, tag=True, gc=False):
    """A session for a client; the same nonce answers the same session while that lives. → SessionOpened"""

    nonce: bytes
    client_name: str


class CloseSession(Internal, frozen=True, array_like=True, tag=True, gc=False):
    """End a session, as asked or as its lease ran out: its open blocks are sealed, its replies forgotten. → Done"""

    session: int


class RegisterDatanode(Internal, frozen=True, array_like=True, tag=True, gc=False):
    """Give a datanode its number, permanent for its uuid, and note its address. → NodeRegistered"""

    uuid: str
    address: str


class UpdateReplicas(Internal, frozen=True, array_like=True, tag=True, gc=False):
    """Reconcile the block map with what `node` holds. → Done

    `added` are (block, generation, length) that it holds, `removed` are blocks that it does not.
    """

    node: int
    added: list[tuple[int, int, int]]
    removed: list[int]


class ConfirmDeletions(Internal, frozen=True, array_like=True, tag=True, gc=False):
    """`node` has deleted its copies (block, generation). → Done"""

    node: int
    blocks: list[tuple[int, int]]


class ReapOrphans(Internal, frozen=True, array_like=True, tag=True, gc=False):
    """Free inodes that have no name and that no session holds. → Done

    What is no longer an orphan is left alone. A file of very many extents is freed a part at a
    time and stays an orphan until the last: the leader asks again.
    """

    inodes: list[int]


class SessionOpened(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The number of the session."""

    session: int


class NodeRegistered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The number of the datanode."""

    node: int


AnyInternal = (
    InitializeCluster | OpenSession | CloseSession | RegisterDatanode | UpdateReplicas | ConfirmDeletions | ReapOrphans
)

_encoder = msgspec.msgpack.Encoder()
_batch_decoder = msgspec.msgpack.Decoder(LogBatch)
_mutation_decoder: msgspec.msgpack.Decoder[AnyMutation] = msgspec.msgpack.Decoder(AnyMutation)
_internal_decoder: msgspec.msgpack.Decoder[AnyInternal] = msgspec.msgpack.Decoder(AnyInternal)

decode_mutation = _mutation_decoder.decode
decode_internal = _internal_decoder.decode
decode_session_opened = msgspec.msgpack.Decoder(SessionOpened).decode
decode_node_registered = msgspec.msgpack.Decoder(NodeRegistered).decode


def encode_batch(batch: LogBatch) -> bytes:
    """The log entry of a batch."""
    return _encoder.encode(batch)


def decode_batch(data: bytes) -> LogBatch:
    """The batch in a log entry; msgspec.DecodeError or ValidationError where it is none."""
    return _batch_decoder.decode(data)


def encode_internal(command: AnyInternal) -> bytes:
    """The body of an item that carries an internal command."""
    return _encoder.encode(command)


def internal_item(command: AnyInternal) -> Item:
    """The item that carries an internal command."""
    return Item(0, 0, 0, ROOT_CREDENTIALS, _encoder.encode(command))
