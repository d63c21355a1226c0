from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Volume(_message.Message):
    __slots__ = ("uuid", "capacity_bytes", "free_bytes", "blocks", "failed")
    UUID_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    capacity_bytes: int
    free_bytes: int
    blocks: int
    failed: bool
    def __init__(self, uuid: _Optional[str] = ..., capacity_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ..., blocks: _Optional[int] = ..., failed: _Optional[bool] = ...) -> None: ...

class RegisterRequest(_message.Message):
    __slots__ = ("protocol_version", "cluster_id", "uuid", "address", "volumes")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    cluster_id: str
    uuid: str
    address: str
    volumes: _containers.RepeatedCompositeFieldContainer[Volume]
    def __init__(self, protocol_version: _Optional[int] = ..., cluster_id: _Optional[str] = ..., uuid: _Optional[str] = ..., address: _Optional[str] = ..., volumes: _Optional[_Iterable[_Union[Volume, _Mapping]]] = ...) -> None: ...

class RegisterReply(_message.Message):
    __slots__ = ("result", "node_id", "token_key", "term", "leader", "message")
    class Result(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REGISTERED: _ClassVar[RegisterReply.Result]
        NOT_LEADER: _ClassVar[RegisterReply.Result]
        WRONG_CLUSTER: _ClassVar[RegisterReply.Result]
        WRONG_VERSION: _ClassVar[RegisterReply.Result]
        UNAVAILABLE: _ClassVar[RegisterReply.Result]
    REGISTERED: RegisterReply.Result
    NOT_LEADER: RegisterReply.Result
    WRONG_CLUSTER: RegisterReply.Result
    WRONG_VERSION: RegisterReply.Result
    UNAVAILABLE: RegisterReply.Result
    RESULT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_KEY_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    result: RegisterReply.Result
    node_id: int
    token_key: bytes
    term: int
    leader: str
    message: str
    def __init__(self, result: _Optional[_Union[RegisterReply.Result, str]] = ..., node_id: _Optional[int] = ..., token_key: _Optional[bytes] = ..., term: _Optional[int] = ..., leader: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("cluster_id", "node_id", "uuid", "address", "volumes", "transfers", "deleted")
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    TRANSFERS_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    cluster_id: str
    node_id: int
    uuid: str
    address: str
    volumes: _containers.RepeatedCompositeFieldContainer[Volume]
    transfers: int
    deleted: _containers.RepeatedCompositeFieldContainer[Deleted]
    def __init__(self, cluster_id: _Optional[str] = ..., node_id: _Optional[int] = ..., uuid: _Optional[str] = ..., address: _Optional[str] = ..., volumes: _Optional[_Iterable[_Union[Volume, _Mapping]]] = ..., transfers: _Optional[int] = ..., deleted: _Optional[_Iterable[_Union[Deleted, _Mapping]]] = ...) -> None: ...

class Deleted(_message.Message):
    __slots__ = ("block", "generation")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    block: int
    generation: int
    def __init__(self, block: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class HeartbeatReply(_message.Message):
    __slots__ = ("is_leader", "term", "leader", "register_first", "report_blocks", "orders")
    IS_LEADER_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    REGISTER_FIRST_FIELD_NUMBER: _ClassVar[int]
    REPORT_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    is_leader: bool
    term: int
    leader: str
    register_first: bool
    report_blocks: bool
    orders: _containers.RepeatedCompositeFieldContainer[Order]
    def __init__(self, is_leader: _Optional[bool] = ..., term: _Optional[int] = ..., leader: _Optional[str] = ..., register_first: _Optional[bool] = ..., report_blocks: _Optional[bool] = ..., orders: _Optional[_Iterable[_Union[Order, _Mapping]]] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("delete",)
    DELETE_FIELD_NUMBER: _ClassVar[int]
    delete: DeleteReplica
    def __init__(self, delete: _Optional[_Union[DeleteReplica, _Mapping]] = ...) -> None: ...

class DeleteReplica(_message.Message):
    __slots__ = ("block", "generation")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    block: int
    generation: int
    def __init__(self, block: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class BlockReport(_message.Message):
    __slots__ = ("cluster_id", "node_id", "held")
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    cluster_id: str
    node_id: int
    held: _containers.RepeatedCompositeFieldContainer[Held]
    def __init__(self, cluster_id: _Optional[str] = ..., node_id: _Optional[int] = ..., held: _Optional[_Iterable[_Union[Held, _Mapping]]] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("block", "generation", "length")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    block: int
    generation: int
    length: int
    def __init__(self, block: _Optional[int] = ..., generation: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class ReportReply(_message.Message):
    __slots__ = ("accepted", "message")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    message: str
    def __init__(self, accepted: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...
