"""The command line, `cairn`: each command is a short program over the client library.

    __init__   main(): runs a command, turns what went wrong into one line and an exit code
    group      the table of commands; loads one when it is run, so that `cairn --help` loads none
    cluster    finds the cluster that a command talks to
    display    names, sizes, modes and times as text
    failures   errors as one line, and the exit code of each kind

What a command needs is imported when it runs: start-up time is part of the interface.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None, connect: Callable[..., Any] | None = None) -> int:
    """Run one command and return its exit code; `connect` stands in for the library's in tests."""
    from cairnfs.client.cli.failures import run
    from cairnfs.client.cli.group import cairn
    from cairnfs.client.cli.settings import Settings

    settings = Settings(connect)
    words = list(sys.argv[1:] if arguments is None else arguments)

    def program() -> None:
        with cairn.make_context("cairn", words, obj=settings) as context:
            cairn.invoke(context)

    return run(program, settings)
