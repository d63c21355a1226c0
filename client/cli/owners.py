"""Names of users and groups on this machine, for ids and back."""

import functools
import grp
import pwd


@functools.cache
def user_name(uid: int) -> str:
    """The user's name, or the id as text where this machine knows none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@functools.cache
def group_name(gid: int) -> str:
    """The group's name, or the id as text where this machine knows none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def parse_owner(text: str) -> tuple[int, int]:
    """uid and gid of `user`, `user:group`, `:group` or `user:` (the user's own group); -1 is left as it is.

    Names or numbers; ValueError where this machine knows no such name.
    """
    user, colon, group = text.partition(":")
    if not user and not group:
        raise ValueError(f"{text!r} names no owner: write user, user:group or :group")
    uid = _uid(user) if user else -1
    if group:
        return uid, _gid(group)
    if not colon:
        return uid, -1
    try:
        return uid, pwd.getpwuid(uid).pw_gid
    except KeyError:
        raise ValueError(f"user {user!r} has no group on this machine: write user:group") from None


def _uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return _number(user, "user")


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return _number(group, "group")


def _number(text: str, kind: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < 2**32 - 1:
        return int(text)
    raise ValueError(f"no {kind} is called {text!r} on this machine: write the number")
