from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("cluster_id", "node_id", "role", "term", "leader_id", "leader", "commit_index", "applied_index", "first_log_index", "last_log_index", "inodes", "blocks", "sessions", "serving", "datanodes", "members")
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LEADER_ID_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    COMMIT_INDEX_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    FIRST_LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    INODES_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    DATANODES_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    cluster_id: str
    node_id: int
    role: str
    term: int
    leader_id: int
    leader: str
    commit_index: int
    applied_index: int
    first_log_index: int
    last_log_index: int
    inodes: int
    blocks: int
    sessions: int
    serving: bool
    datanodes: _containers.RepeatedCompositeFieldContainer[DatanodeStatus]
    members: _containers.RepeatedCompositeFieldContainer[MemberStatus]
    def __init__(self, cluster_id: _Optional[str] = ..., node_id: _Optional[int] = ..., role: _Optional[str] = ..., term: _Optional[int] = ..., leader_id: _Optional[int] = ..., leader: _Optional[str] = ..., commit_index: _Optional[int] = ..., applied_index: _Optional[int] = ..., first_log_index: _Optional[int] = ..., last_log_index: _Optional[int] = ..., inodes: _Optional[int] = ..., blocks: _Optional[int] = ..., sessions: _Optional[int] = ..., serving: _Optional[bool] = ..., datanodes: _Optional[_Iterable[_Union[DatanodeStatus, _Mapping]]] = ..., members: _Optional[_Iterable[_Union[MemberStatus, _Mapping]]] = ...) -> None: ...

class DatanodeStatus(_message.Message):
    __slots__ = ("node_id", "uuid", "address", "alive", "capacity_bytes", "free_bytes", "blocks", "heartbeat_age_ms")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    node_id: int
    uuid: str
    address: str
    alive: bool
    capacity_bytes: int
    free_bytes: int
    blocks: int
    heartbeat_age_ms: int
    def __init__(self, node_id: _Optional[int] = ..., uuid: _Optional[str] = ..., address: _Optional[str] = ..., alive: _Optional[bool] = ..., capacity_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ..., blocks: _Optional[int] = ..., heartbeat_age_ms: _Optional[int] = ...) -> None: ...

class MemberStatus(_message.Message):
    __slots__ = ("node_id", "address", "match_index", "is_active")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MATCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    node_id: int
    address: str
    match_index: int
    is_active: bool
    def __init__(self, node_id: _Optional[int] = ..., address: _Optional[str] = ..., match_index: _Optional[int] = ..., is_active: _Optional[bool] = ...) -> None: ...

class DigestRequest(_message.Message):
    __slots__ = ("at_index", "timeout_ms")
    AT_INDEX_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    at_index: int
    timeout_ms: int
    def __init__(self, at_index: _Optional[int] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class DigestReply(_message.Message):
    __slots__ = ("applied_index", "digest")
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    applied_index: int
    digest: bytes
    def __init__(self, applied_index: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class TransferRequest(_message.Message):
    __slots__ = ("to",)
    TO_FIELD_NUMBER: _ClassVar[int]
    to: int
    def __init__(self, to: _Optional[int] = ...) -> None: ...

class TransferReply(_message.Message):
    __slots__ = ("error",)
    ERROR_FIELD_NUMBER: _ClassVar[int]
    error: str
    def __init__(self, error: _Optional[str] = ...) -> None: ...
