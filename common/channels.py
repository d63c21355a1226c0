"""gRPC channels and servers, set up alike everywhere: message sizes, keepalive, reconnects."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc

MESSAGE_BYTES_MAX = 64 << 20
PROTOCOL_VERSION = 1

_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
_CLIENT_OPTIONS = (
    *_OPTIONS,
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 2_000),  # in truth how long a connection may take to come about
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
_SERVER_OPTIONS = (
    *_OPTIONS,
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
)


def open_channel(address: str) -> grpc.Channel:
    """A channel to `host:port`; it connects when it is first used, and reconnects by itself."""
    return grpc.insecure_channel(address, options=_CLIENT_OPTIONS)


def make_server(threads: int) -> grpc.Server:
    """A server with `threads` workers: a stream keeps one for as long as it lives."""
    return grpc.server(ThreadPoolExecutor(threads, thread_name_prefix="grpc"), options=_SERVER_OPTIONS)
