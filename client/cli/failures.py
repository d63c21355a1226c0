"""What goes wrong, as one line on standard error and an exit code.

0    done
1    an operation failed: no such file, permission denied, no space left, …
2    the command or its configuration is wrong: an unknown option, a bad address
3    the cluster is unavailable: no leader, too few datanodes
130  interrupted with Ctrl-C
141  whoever read standard output has gone
"""

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from cairnfs.client.cli.display import show, warn
from cairnfs.client.cli.settings import Settings
from cairnfs.common.errors import (
    BadConfig,
    CairnError,
    ClusterUnavailable,
    NotEnoughDatanodes,
    ProtocolError,
    WrongCluster,
)

DONE = 0
FAILED = 1
MISUSED = 2
UNAVAILABLE = 3
INTERRUPTED = 130
NO_READER = 141

Operand = TypeVar("Operand")


class OperandsFailed(Exception):
    """Some operands failed; each has had its line. `code` is the highest exit code among them."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def run(program: Callable[[], Any], settings: Settings) -> int:
    """Run `program`, report what it raises in one line, and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        program()
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # What is left in the buffer cannot be written: without this, Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    except OperandsFailed as failed:
        return failed.code
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except Exception as error:  # noqa: BLE001 - the one place where errors become exit codes
        return report(error, settings)
    return DONE


def each(operands: Iterable[Operand], action: Callable[[Operand], None]) -> None:
    """Run `action` for every operand, go on after one that fails, and fail at the end if any did."""
    settings = click.get_current_context().find_object(Settings)
    assert settings is not None
    worst = DONE
    for operand in operands:
        try:
            action(operand)
        except BrokenPipeError:
            raise
        except (OSError, ValueError) as error:
            worst = max(worst, report(error, settings, operand if isinstance(operand, str) else ""))
            if worst == UNAVAILABLE:
                break
    if worst:
        raise OperandsFailed(worst)


def report(error: Exception, settings: Settings, operand: str = "") -> int:
    """Write the one line of `error`, and return its exit code."""
    where = f"cairn: {settings.command}" if settings.command else "cairn"
    warn(f"{where}: {' '.join(describe(error, operand).split())}")
    if os.environ.get("CAIRN_DEBUG"):
        traceback.print_exception(error)
    return exit_code(error)


def exit_code(error: Exception) -> int:
    """The exit code of one kind of error."""
    if isinstance(error, click.UsageError | BadConfig | WrongCluster | ProtocolError):
        return MISUSED
    if isinstance(error, ClusterUnavailable | NotEnoughDatanodes):
        return UNAVAILABLE
    if isinstance(error, OSError) and error.errno in (errno.ETIMEDOUT, errno.EHOSTDOWN):
        return UNAVAILABLE
    return FAILED


def describe(error: Exception, operand: str = "") -> str:
    """What went wrong, in words: `/x: No such file or directory`."""
    if isinstance(error, click.ClickException):
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "cairn"
        return f"{error.format_message()} (see {command} --help)"
    if isinstance(error, OSError):
        names = [show(str(name) if isinstance(name, int) else os.fsdecode(name)) for name in _names(error)]
        if not names and operand and not isinstance(error, CairnError):
            names = [show(operand)]
        text = str(error) if isinstance(error, CairnError) else (error.strerror or str(error))
        return ": ".join([" -> ".join(names), text]) if names else text
    if isinstance(error, ValueError):
        return f"{show(operand)}: {error}" if operand else str(error)
    return f"internal error: {error!r} (set CAIRN_DEBUG=1 to see where)"


def _names(error: OSError) -> list[Any]:
    return [name for name in (error.filename, error.filename2) if name is not None]
