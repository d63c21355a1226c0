"""Block tokens: the right to read or write one block, which the namenode gives and a datanode checks.

Token, version 1, 32 bytes: version u8 · right u8 (r or w) · reserved u16 · generation u32 · expiry_s u64,
then the first 16 bytes of HMAC-SHA256(key, header + block u64). A token for writing also reads.
"""

import hmac
import struct

_HEADER = struct.Struct("<BBHIQ")
_MAC_BYTES = 16
_VERSION = 1
TOKEN_LIFETIME_S = 24 * 3600


def make_token(key: bytes, block: int, generation: int, *, writable: bool, now_s: int) -> bytes:
    """A token for `block`, valid for TOKEN_LIFETIME_S from `now_s` (seconds since the epoch)."""
    right = ord("w") if writable else ord("r")
    header = _HEADER.pack(_VERSION, right, 0, generation, now_s + TOKEN_LIFETIME_S)
    return header + _mac(key, header, block)


def is_valid(key: bytes, token: bytes, block: int, generation: int, *, writing: bool, now_s: int) -> bool:
    """Whether `token` allows what is asked of `block`: writes fit one generation exactly, reads any."""
    if len(token) != _HEADER.size + _MAC_BYTES:
        return False
    header = token[: _HEADER.size]
    if not hmac.compare_digest(token[_HEADER.size :], _mac(key, header, block)):
        return False
    version, right, _, token_generation, expiry_s = _HEADER.unpack(header)
    if version != _VERSION or now_s > expiry_s:
        return False
    return not writing or (right == ord("w") and token_generation == generation)


def _mac(key: bytes, header: bytes, block: int) -> bytes:
    return hmac.digest(key, header + block.to_bytes(8, "little"), "sha256")[:_MAC_BYTES]
