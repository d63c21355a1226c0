"""Block tokens open exactly what they were made for."""

from cairnfs.common.tokens import TOKEN_LIFETIME_S, is_valid, make_token

KEY = b"k" * 32


def test_a_token_opens_its_block_only() -> None:
    """Another block, another key, or a changed byte is refused."""
    token = make_token(KEY, 7, 1, writable=False, now_s=1000)
    assert is_valid(KEY, token, 7, 1, writing=False, now_s=1000)
    assert not is_valid(KEY, token, 8, 1, writing=False, now_s=1000)
    assert not is_valid(b"x" * 32, token, 7, 1, writing=False, now_s=1000)
    for position in range(len(token)):
        forged = bytearray(token)
        forged[position] ^= 1
        assert not is_valid(KEY, bytes(forged), 7, 1, writing=False, now_s=1000)


def test_a_token_for_reading_does_not_write() -> None:
    """The right is part of what is signed."""
    token = make_token(KEY, 7, 1, writable=False, now_s=1000)
    assert not is_valid(KEY, token, 7, 1, writing=True, now_s=1000)


def test_a_token_for_writing_fits_one_generation() -> None:
    """A writer that has been fenced off cannot write with its old token."""
    token = make_token(KEY, 7, 2, writable=True, now_s=1000)
    assert is_valid(KEY, token, 7, 2, writing=True, now_s=1000)
    assert not is_valid(KEY, token, 7, 3, writing=True, now_s=1000)
    assert is_valid(KEY, token, 7, 3, writing=False, now_s=1000)


def test_a_token_expires() -> None:
    """It opens nothing after its lifetime."""
    token = make_token(KEY, 7, 1, writable=True, now_s=1000)
    assert is_valid(KEY, token, 7, 1, writing=True, now_s=1000 + TOKEN_LIFETIME_S)
    assert not is_valid(KEY, token, 7, 1, writing=True, now_s=1001 + TOKEN_LIFETIME_S)


def test_garbage_is_no_token() -> None:
    """Any length is refused quietly."""
    for length in range(64):
        assert not is_valid(KEY, bytes(length), 7, 1, writing=False, now_s=1000)
