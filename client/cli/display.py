"""How names, sizes, modes and times look as text. Knows no cluster and no terminal."""

import json
import re
import stat
import sys
import time
from collections.abc import Iterable
from typing import Any

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}
_UNITS = "KMGTPE"
_SIZE = re.compile(rf"([0-9]+(?:\.[0-9]+)?)([{_UNITS}]?)B?")


def show(name: str | bytes) -> str:
    """A name on one line: control characters, backslashes and bytes that are not UTF-8 as C escapes."""
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


def human(size_bytes: float) -> str:
    """A size as `ls -h` writes it: 532, 1.5K, 64M."""
    if size_bytes < 1024:
        return str(int(size_bytes))
    power = 1
    while size_bytes >= 1023.5 * 1024**power and power < len(_UNITS):
        power += 1
    value = size_bytes / 1024**power
    return f"{value:.1f}{_UNITS[power - 1]}" if value < 9.95 else f"{value:.0f}{_UNITS[power - 1]}"


def parse_size(text: str) -> int:
    """The bytes of `10`, `64K`, `1.5M`; ValueError where it is no size."""
    match = _SIZE.fullmatch(text.upper())
    if match is None:
        raise ValueError(f"{text!r} is not a size: write 10, 64K or 1.5M")
    number, unit = match.groups()
    factor = 1024 ** (_UNITS.index(unit) + 1) if unit else 1
    return int(number) * factor if number.isdigit() else int(float(number) * factor)


def mode_text(mode: int) -> str:
    """A mode as `ls -l` writes it: drwxr-xr-x."""
    return stat.filemode(mode)


def time_text(time_ns: int) -> str:
    """A time as `ls --time-style=long-iso` writes it, in local time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(time_ns // 1_000_000_000))


def full_time_text(time_ns: int) -> str:
    """A time as `stat` writes it, in local time, to the nanosecond."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    local = time.localtime(seconds)
    return time.strftime("%Y-%m-%d %H:%M:%S", local) + f".{nanoseconds:09d} " + time.strftime("%z", local)


def align(rows: Iterable[list[str]], right: Iterable[int] = ()) -> list[str]:
    """Lines in which the cells of all but the last column stand below each other; `right` columns end together."""
    table = list(rows)
    if not table:
        return []
    ends = set(right)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]) - 1)]
    return [
        " ".join(
            [row[i].rjust(width) if i in ends else row[i].ljust(width) for i, width in enumerate(widths)] + [row[-1]]
        )
        for row in table
    ]


def write_line(text: str = "") -> None:
    """One line on standard output."""
    sys.stdout.write(text + "\n")


def write_lines(lines: Iterable[str]) -> None:
    """Lines on standard output, in few writes however many they are."""
    sys.stdout.writelines(line + "\n" for line in lines)


def write_json(value: Any) -> None:
    """A value as JSON; bytes of names that are not UTF-8 become lone surrogates, as Python's `surrogateescape`."""
    write_line(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def warn(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(text + "\n")
