"""How names, sizes and modes look."""

import pytest

from cairnfs.client.cli.display import align, human, parse_size, show
from cairnfs.client.cli.modes import change_mode


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name.txt", "plain name.txt"),
        ("größe", "größe"),
        ("a\nb", "a\\nb"),
        ("a\tb\rc\x1b[31m", "a\\tb\\rc\\x1b[31m"),
        (b"caf\xe9", "caf\\xe9"),
        ("back\\slash", "back\\\\slash"),
        ("\u202egnp.exe", "\\xe2\\x80\\xaegnp.exe"),
    ],
)
def test_a_name_takes_one_line_and_moves_no_cursor(name: str | bytes, shown: str) -> None:
    """Whatever bytes a name has, it is shown on one line, without control characters, and unambiguously."""
    assert show(name) == shown


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0"), (1023, "1023"), (1024, "1.0K"), (10_189, "10K"), (1023 * 1024 + 600, "1.0M"), (64 << 20, "64M")],
)  # fmt: skip
def test_human_sizes_are_those_of_ls(size: int, text: str) -> None:
    """Sizes have at most four characters, and never read 1024K."""
    assert human(size) == text


@pytest.mark.parametrize(
    ("text", "size"), [("10", 10), ("64K", 65536), ("1.5M", 1572864), ("2g", 2 << 30), ("1KB", 1024)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    """Sizes may have a unit, and a fraction."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "K", "-1", "1Q", "1e5", "inf", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """What is no size is refused with an example of one."""
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


def test_columns_stand_below_each_other() -> None:
    """Cells are padded to the widest of their column, and the last column is not."""
    assert align([["a", "10", "x"], ["bbb", "9", "yy"]], right=[1]) == ["a   10 x", "bbb  9 yy"]


@pytest.mark.parametrize(
    ("text", "mode", "is_directory", "result"),
    [
        ("644", 0o777, False, 0o644),
        ("4755", 0, False, 0o4755),
        ("u+x", 0o644, False, 0o744),
        ("go-r", 0o644, False, 0o600),
        ("a=r", 0o777, False, 0o444),
        ("+w", 0o444, False, 0o644),
        ("=r", 0o777, False, 0o444),
        ("u=rwx,g=rx,o=", 0o000, False, 0o750),
        ("g=u", 0o740, False, 0o770),
        ("o=", 0o777, False, 0o770),
        ("a+X", 0o644, False, 0o644),
        ("a+X", 0o744, False, 0o755),
        ("a+X", 0o644, True, 0o755),
        ("u+s,g+s", 0o755, False, 0o6755),
        ("+t", 0o777, True, 0o1777),
        ("u=rwx", 0o4755, False, 0o755),
        ("u=rwx", 0o4755, True, 0o4755),
        ("u-w+x", 0o644, False, 0o544),
    ],
)
def test_modes_change_as_chmod_changes_them(text: str, mode: int, is_directory: bool, result: int) -> None:
    """Octal and symbolic modes give what chmod gives under umask 022 (POSIX chmod, GNU on folders' set-id bits)."""
    assert change_mode(text, mode, is_directory=is_directory, umask=0o022) == result


@pytest.mark.parametrize("text", ["", "9", "77777", "u", "u+z", "x+u", "u+rg", "a,b"])
def test_what_is_no_mode_is_refused(text: str) -> None:
    """What is no mode is refused with examples."""
    with pytest.raises(ValueError, match="is not a mode"):
        change_mode(text, 0, is_directory=False, umask=0)
