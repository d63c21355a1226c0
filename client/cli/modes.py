"""Permissions as `chmod` reads them: 644, u+x, go-w, a=rX. Pure."""

import re

_OCTAL = re.compile(r"[0-7]{1,4}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]+|[ugo])?)+)")
_ACTION = re.compile(r"([-+=])([rwxXst]+|[ugo])?")
_REACH = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}
_COPIED_FROM = {"u": 6, "g": 3, "o": 0}
_LETTERS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}


def change_mode(text: str, mode: int, *, is_directory: bool, umask: int) -> int:
    """The permission bits that `text` makes of `mode`; ValueError where it is no mode (POSIX chmod)."""
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    mode &= 0o7777
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise ValueError(f"{text!r} is not a mode: write it like 644, u+x or go-w")
        who, actions = match.groups()
        reach = 0
        for each in who:
            reach |= _REACH[each]
        for operator, what in _ACTION.findall(actions):
            # Without u, g, o or a, all are meant, except for what the umask holds back.
            bits = _bits(what, mode, is_directory=is_directory) & (reach if who else ~umask)
            if operator == "+":
                mode |= bits
            elif operator == "-":
                mode &= ~bits
            else:
                kept = 0o6000 if is_directory and "s" not in what else 0  # as GNU: a folder keeps them unless named
                mode = mode & (kept | (~reach if who else 0)) | bits & ~kept
    return mode


def _bits(what: str, mode: int, *, is_directory: bool) -> int:
    """What the letters stand for, as if everybody were meant."""
    if what and what in _COPIED_FROM:
        return (mode >> _COPIED_FROM[what] & 7) * 0o111
    bits = 0
    for letter in what:
        bits |= _LETTERS.get(letter, 0)
    return bits | (0o111 if "X" in what and (is_directory or mode & 0o111) else 0)
