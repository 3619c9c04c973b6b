"""The head of a large body, looked at first, so that to refuse rows that are bad throughout costs little.

Where a body of more than ``HEAD`` bytes has more bad cells in its head than an answer lists, the rest is not looked
at: the answer says so, and its total counts what is in the head. Anything else is read to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import AnyStr

from tepal.errors import MAX_LISTED, Invalid

HEAD = 64 * 1024


def of_lines(body: AnyStr, newline: AnyStr) -> Iterator[AnyStr]:
    """The whole lines at the start of a long body; nothing for a short one."""
    end = body.rfind(newline, 0, HEAD) + 1 if len(body) > HEAD else 0
    if end:
        yield body[:end]


def of_list(body: bytes, at_most: int = HEAD) -> Iterator[bytes]:
    """The first items of a long JSON list of lists or objects, as a list; nothing for another body.

    Cut inside of an item or a text, what it yields is no JSON: one more bracket closes nothing else.
    """
    if len(body) > HEAD and body[:1] == b"[":
        end = max(body.rfind(b"],", 0, at_most), body.rfind(b"},", 0, at_most))
        if end > 0:
            yield body[: end + 1] + b"]"


def refuse_early(error: Invalid, looked_at: str = f"{HEAD // 1024} KiB", every: bool = False) -> None:
    """Raise what was found in a head where the rest would add nothing to the list, or (``every``) to the count."""
    if error.total > MAX_LISTED:
        raise Invalid(f"{error} (only the first {looked_at} were looked at)", error.details, error.total) from None
    if every or not error.total:
        raise error
