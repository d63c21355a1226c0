from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Envelope(_message.Message):
    __slots__ = ("protocol_version", "cluster_id", "sender", "recipient", "messages")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    cluster_id: str
    sender: int
    recipient: int
    messages: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, protocol_version: _Optional[int] = ..., cluster_id: _Optional[str] = ..., sender: _Optional[int] = ..., recipient: _Optional[int] = ..., messages: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Closed(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class SnapshotChunk(_message.Message):
    __slots__ = ("header", "rows", "digest")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    header: SnapshotHeader
    rows: bytes
    digest: bytes
    def __init__(self, header: _Optional[_Union[SnapshotHeader, _Mapping]] = ..., rows: _Optional[bytes] = ..., digest: _Optional[bytes] = ...) -> None: ...

class SnapshotHeader(_message.Message):
    __slots__ = ("format_version", "cluster_id", "sender", "message")
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    format_version: int
    cluster_id: str
    sender: int
    message: bytes
    def __init__(self, format_version: _Optional[int] = ..., cluster_id: _Optional[str] = ..., sender: _Optional[int] = ..., message: _Optional[bytes] = ...) -> None: ...

class SnapshotResult(_message.Message):
    __slots__ = ("installed", "reason")
    INSTALLED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    installed: bool
    reason: str
    def __init__(self, installed: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...
