"""What a terminal shows a person: colour where it may be, text that fits its width, and a request's line of the log."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import Any

# Columns that everyone has.
WIDTH = 80

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_PIECE = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+,?|,')
_HIDDEN = ("time", "request_id", "method", "route", "status", "duration_ms", "level", "message", "exception", "pid")


def is_one(descriptor: int) -> bool:
    """Whether a person watches this descriptor."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def has_colour(descriptor: int, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether colour is welcome there: https://no-color.org."""
    return is_one(descriptor) and not environ.get("NO_COLOR") and environ.get("TERM") not in (None, "dumb")


def paint(text: str, style: str, colour: bool) -> str:
    """The text in a style, where there is colour."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colour and text else text


def width(descriptor: int) -> int:
    """Columns of the terminal; 80 where it is none."""
    try:
        return max(40, os.get_terminal_size(descriptor).columns)
    except OSError:
        return WIDTH


def wrapped(text: str, columns: int, first: str, rest: str) -> str:
    """Text in lines of at most so many columns. first, rest: what the first line and the others begin with."""
    return textwrap.fill(text, columns, initial_indent=first, subsequent_indent=rest, break_long_words=False)


def folded(json: str, columns: int, indent: str = "") -> str:
    """JSON in lines of at most so many columns, broken after commas, where it means the same; the first is not indented."""
    lines = [""]
    for piece in _PIECE.findall(json):
        if lines[-1] and len(lines[-1]) + len(piece) > columns:
            lines.append(indent)
        lines[-1] += piece
    return "\n".join(lines)


def line(fields: Mapping[str, Any], colour: bool) -> str:
    """A line of the log as a person reads it. What could move a cursor is escaped."""
    clock = paint(datetime.now().astimezone().strftime("%H:%M:%S"), "dim", colour)
    shown = _of_request(fields, colour) if "status" in fields else _of_event(fields, colour)
    others = [f"{key} {value}" for key, value in fields.items() if key not in _HIDDEN and value is not None]
    text = f"  {clock}  {shown}{paint('  ' + _safe(', '.join(others)), 'dim', colour) if others else ''}"
    trace = [f"      {_safe(part)}" for part in str(fields.get("exception", "")).splitlines()]
    return "\n".join([text.rstrip(), *trace])


def _of_request(fields: Mapping[str, Any], colour: bool) -> str:
    status = fields["status"]
    style = "green" if status < 400 else "yellow" if status < 500 else "red"
    asked = _safe(f"{fields.get('method') or '?'} {fields.get('route') or '(no such path)'}")
    return f"{paint(str(status), style, colour)}  {asked}  {fields['duration_ms']:.1f} ms"


def _of_event(fields: Mapping[str, Any], colour: bool) -> str:
    level = str(fields.get("level", "info"))
    style = {"info": "dim", "warning": "yellow"}.get(level, "red")
    said = fields.get("message") or ("a request failed" if "exception" in fields else "")
    identity = f" (request {fields['request_id']})" if "request_id" in fields else ""
    return f"{paint(_safe(level), style, colour)}  {_safe(f'{said}{identity}')}"


def _safe(text: str) -> str:
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
