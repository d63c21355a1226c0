"""What one run of the command line was told, and what it found out on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Settings:
    """`command` is the one that runs; `connect` stands in for the library's in tests."""

    connect: Callable[..., Any] | None = None
    command: str = ""
    cluster: str | None = None
    timeout_s: float | None = None
