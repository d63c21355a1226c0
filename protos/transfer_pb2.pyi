from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OK: _ClassVar[Status]
    BAD_REQUEST: _ClassVar[Status]
    WRONG_CLUSTER: _ClassVar[Status]
    BAD_TOKEN: _ClassVar[Status]
    NOT_FOUND: _ClassVar[Status]
    STALE_GENERATION: _ClassVar[Status]
    NO_SPACE: _ClassVar[Status]
    CORRUPT: _ClassVar[Status]
    IO_ERROR: _ClassVar[Status]
    DOWNSTREAM_FAILED: _ClassVar[Status]
    BUSY: _ClassVar[Status]
OK: Status
BAD_REQUEST: Status
WRONG_CLUSTER: Status
BAD_TOKEN: Status
NOT_FOUND: Status
STALE_GENERATION: Status
NO_SPACE: Status
CORRUPT: Status
IO_ERROR: Status
DOWNSTREAM_FAILED: Status
BUSY: Status

class Request(_message.Message):
    __slots__ = ("protocol_version", "cluster_id", "write", "read")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    WRITE_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    cluster_id: str
    write: WriteBlock
    read: ReadBlock
    def __init__(self, protocol_version: _Optional[int] = ..., cluster_id: _Optional[str] = ..., write: _Optional[_Union[WriteBlock, _Mapping]] = ..., read: _Optional[_Union[ReadBlock, _Mapping]] = ...) -> None: ...

class WriteBlock(_message.Message):
    __slots__ = ("block", "generation", "offset", "token", "chain", "timeout_ms")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    block: int
    generation: int
    offset: int
    token: bytes
    chain: _containers.RepeatedScalarFieldContainer[str]
    timeout_ms: int
    def __init__(self, block: _Optional[int] = ..., generation: _Optional[int] = ..., offset: _Optional[int] = ..., token: _Optional[bytes] = ..., chain: _Optional[_Iterable[str]] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class ReadBlock(_message.Message):
    __slots__ = ("block", "generation", "offset", "length", "token")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    block: int
    generation: int
    offset: int
    length: int
    token: bytes
    def __init__(self, block: _Optional[int] = ..., generation: _Optional[int] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ..., token: _Optional[bytes] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("statuses", "message")
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedScalarFieldContainer[Status]
    message: str
    def __init__(self, statuses: _Optional[_Iterable[_Union[Status, str]]] = ..., message: _Optional[str] = ...) -> None: ...

class Packet(_message.Message):
    __slots__ = ("offset", "length", "checksums", "last")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    CHECKSUMS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    offset: int
    length: int
    checksums: bytes
    last: bool
    def __init__(self, offset: _Optional[int] = ..., length: _Optional[int] = ..., checksums: _Optional[bytes] = ..., last: _Optional[bool] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("offset", "statuses", "message")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    offset: int
    statuses: _containers.RepeatedScalarFieldContainer[Status]
    message: str
    def __init__(self, offset: _Optional[int] = ..., statuses: _Optional[_Iterable[_Union[Status, str]]] = ..., message: _Optional[str] = ...) -> None: ...
