"""Runs the scripts of `testdata/`; with CAIRNFS_REWRITE=1 it writes down what they give instead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .driver import Driver

SCRIPTS = sorted((Path(__file__).parent / "testdata").glob("*.txt"))


def _rewritten(text: str) -> str:
    """The script with the output that its commands give now.

    A script is made of comments, blank lines, and blocks: a command, `----`, its output, a blank line.
    """
    driver, lines, result = Driver(), iter(text.splitlines()), []
    for line in lines:
        result.append(line)
        if not line or line.startswith("#"):
            continue
        for old in lines:
            if not old:
                break
        result += ["----", *driver.run(line).splitlines(), ""]
    return "\n".join(result).rstrip("\n") + "\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path) -> None:
    """The script's first comment is the fact it proves."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    result = _rewritten(text)
    if os.environ.get("CAIRNFS_REWRITE") == "1":
        path.write_text(result, encoding="utf-8")
    else:
        assert result == text


def test_there_are_scripts() -> None:
    """The glob above finds the scripts."""
    assert len(SCRIPTS) >= 24
