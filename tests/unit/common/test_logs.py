"""One event is one line, whatever is in its fields."""

import io
import logging
from collections.abc import Iterator

import pytest

from cairnfs.common.logs import EventLogger, set_up_logging


@pytest.fixture
def sink() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    set_up_logging("info", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_fields_follow_the_event(sink: io.StringIO) -> None:
    """Plain values stand as they are, bytes in hex, what would be ambiguous in quotes."""
    EventLogger("test").info("block_deleted", block=7, key=b"\x01\xff", path="a b", empty="")
    line = sink.getvalue()
    assert line.endswith(' info test block_deleted block=7 key=01ff path="a b" empty=""\n')


def test_line_breaks_do_not_break_the_line(sink: io.StringIO) -> None:
    """A traceback or a hostile name stays within its line."""
    EventLogger("test").error("failed", trace="one\ntwo\r\x1b[31m", name='x="y"')
    assert sink.getvalue().count("\n") == 1
    assert "\x1b" not in sink.getvalue()


def test_lower_levels_are_left_out(sink: io.StringIO) -> None:
    """Debug events cost nothing where they are not wanted."""
    EventLogger("test").debug("noise")
    assert sink.getvalue() == ""
