"""gunicorn's own messages, in the format of every other line of the log."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from gunicorn.glogging import Logger

from api import observe


class Lines(logging.Handler):
    """Writes each record as one JSON line."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"level": record.levelname.lower(), "message": record.getMessage(), "pid": record.process}
        if record.exc_info and record.exc_info[1]:
            fields["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        observe.log(**fields)


class Log(Logger):  # type: ignore[misc]
    """The logger class for ``logger_class``."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers = [Lines()]
