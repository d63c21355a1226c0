from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION: _ClassVar[Level]
    LINEARIZABLE: _ClassVar[Level]
    BOUNDED: _ClassVar[Level]
    EVENTUAL: _ClassVar[Level]
SESSION: Level
LINEARIZABLE: Level
BOUNDED: Level
EVENTUAL: Level

class ClientFrame(_message.Message):
    __slots__ = ("hello", "batch", "goodbye")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    batch: Batch
    goodbye: Goodbye
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("welcome", "replies", "redirect", "refusal")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    replies: Replies
    redirect: Redirect
    refusal: Refusal
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., replies: _Optional[_Union[Replies, _Mapping]] = ..., redirect: _Optional[_Union[Redirect, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_version", "cluster_id", "session_id", "nonce", "client_name", "held_inodes")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
    HELD_INODES_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    cluster_id: str
    session_id: int
    nonce: bytes
    client_name: str
    held_inodes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, protocol_version: _Optional[int] = ..., cluster_id: _Optional[str] = ..., session_id: _Optional[int] = ..., nonce: _Optional[bytes] = ..., client_name: _Optional[str] = ..., held_inodes: _Optional[_Iterable[int]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("cluster_id", "session_id", "lease_timeout_ms", "applied_index", "namenodes")
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    NAMENODES_FIELD_NUMBER: _ClassVar[int]
    cluster_id: str
    session_id: int
    lease_timeout_ms: int
    applied_index: int
    namenodes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cluster_id: _Optional[str] = ..., session_id: _Optional[int] = ..., lease_timeout_ms: _Optional[int] = ..., applied_index: _Optional[int] = ..., namenodes: _Optional[_Iterable[str]] = ...) -> None: ...

class Redirect(_message.Message):
    __slots__ = ("leader",)
    LEADER_FIELD_NUMBER: _ClassVar[int]
    leader: str
    def __init__(self, leader: _Optional[str] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "message")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Refusal.Reason]
        WRONG_CLUSTER: _ClassVar[Refusal.Reason]
        WRONG_VERSION: _ClassVar[Refusal.Reason]
        SESSION_EXPIRED: _ClassVar[Refusal.Reason]
        MALFORMED: _ClassVar[Refusal.Reason]
    UNKNOWN: Refusal.Reason
    WRONG_CLUSTER: Refusal.Reason
    WRONG_VERSION: Refusal.Reason
    SESSION_EXPIRED: Refusal.Reason
    MALFORMED: Refusal.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: Refusal.Reason
    message: str
    def __init__(self, reason: _Optional[_Union[Refusal.Reason, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Credentials(_message.Message):
    __slots__ = ("uid", "gid", "groups")
    UID_FIELD_NUMBER: _ClassVar[int]
    GID_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    uid: int
    gid: int
    groups: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, uid: _Optional[int] = ..., gid: _Optional[int] = ..., groups: _Optional[_Iterable[int]] = ...) -> None: ...

class Operation(_message.Message):
    __slots__ = ("sequence", "body", "credentials", "level", "max_staleness_ms")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_MS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    body: bytes
    credentials: int
    level: Level
    max_staleness_ms: int
    def __init__(self, sequence: _Optional[int] = ..., body: _Optional[bytes] = ..., credentials: _Optional[int] = ..., level: _Optional[_Union[Level, str]] = ..., max_staleness_ms: _Optional[int] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("credentials", "operations", "answered_through", "seen_index")
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    SEEN_INDEX_FIELD_NUMBER: _ClassVar[int]
    credentials: _containers.RepeatedCompositeFieldContainer[Credentials]
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    answered_through: int
    seen_index: int
    def __init__(self, credentials: _Optional[_Iterable[_Union[Credentials, _Mapping]]] = ..., operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ..., answered_through: _Optional[int] = ..., seen_index: _Optional[int] = ...) -> None: ...

class Reply(_message.Message):
    __slots__ = ("sequence", "body", "errno", "message")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    ERRNO_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    body: bytes
    errno: int
    message: str
    def __init__(self, sequence: _Optional[int] = ..., body: _Optional[bytes] = ..., errno: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class Replies(_message.Message):
    __slots__ = ("applied_index", "replies")
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    applied_index: int
    replies: _containers.RepeatedCompositeFieldContainer[Reply]
    def __init__(self, applied_index: _Optional[int] = ..., replies: _Optional[_Iterable[_Union[Reply, _Mapping]]] = ...) -> None: ...
