"""How log lines look: text at a terminal, JSON for whatever collects them."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def set_up_logging(level: str, style: Literal["auto", "text", "json"]) -> None:
    """Send log lines to standard error."""
    if style == "auto":
        style = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    handler.setLevel(level.upper())  # also of loggers that have a level of their own
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class TextFormatter(logging.Formatter):
    """Writes `time level logger: message  key=value ...`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        extras = "  ".join(f"{key}={value}" for key, value in _extras(record).items())
        line = super().format(record)
        return f"{line}  {extras}" if extras else line


class JsonFormatter(logging.Formatter):
    """Writes one JSON object per line, with everything from `extra=`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        body = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            body["exception"] = self.formatException(record.exc_info)
        return json.dumps(body, default=str)


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {k: v for k, v in vars(record).items() if k not in _STANDARD}
