"""Structured logs: one line an event, as `time level logger event key=value …` (logfmt)."""

import json
import logging
import sys
import time
from typing import IO

_FIELDS = "cairn_fields"


class EventLogger:
    """Logs events by name with fields: `log.info("replica_deleted", block=7)`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: object) -> None:
        """What only a developer wants to know."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """What an operator may want to know."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something went wrong and was coped with."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Something is wrong and needs an operator."""
        self._log(logging.ERROR, event, fields)

    def _log(self, level: int, event: str, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={_FIELDS: fields})


class LineFormatter(logging.Formatter):
    """One line a record, whatever its fields contain; a traceback goes into the field `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = dict(getattr(record, _FIELDS, {}))
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        head = f"{stamp}.{int(record.msecs):03d}Z {record.levelname.lower()} {record.name} "
        event = record.getMessage()
        return head + " ".join([_plain(event), *(f"{key}={_plain(value)}" for key, value in fields.items())])


def _plain(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    is_plain = text.isprintable() and text and not any(c in text for c in ' "=')
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def set_up_logging(level: str = "info", stream: IO[str] | None = None) -> None:
    """Send events of this process to `stream` (standard error), those below `level` left out."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
