"""A large JSON body's head, as a smaller value that is refused for the same reasons.

What is not needed for that is skipped over, which costs a fiftieth of reading it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from tepal.errors import Invalid, Malformed
from tepal.notes import Notes
from tepal.signature import Signature
from tepal.wire import head, literals, shapes

_BLANK = b" \t\r\n"
_KEYS = 16 * 1024  # bytes of an object whose keys are looked at: names are only compared with the first ones
_FEW = 20  # records of a list that are looked at one by one, where they are large
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Malformed)

# A value to refuse the body by, and whether what is wrong with it is all that is wrong with the body.
Reduced = tuple[Any, bool] | None


class Skim:
    """Looks at the heads of JSON bodies for one signature. Its columns' names need no escaping in JSON."""

    def __init__(self, signature: Signature):
        self._signature = signature
        self._width = len(signature.names)
        self._decode = msgspec.json.Decoder(float_hook=literals.number).decode
        self._items = msgspec.json.Decoder(list[Raw]).decode
        names = dict.fromkeys((*signature.names, *shapes.WRAPPERS, "columns"))
        fields = [(f"k{i}", Raw, Raw()) for i in range(len(names))]
        self._glimpse = msgspec.json.Decoder(
            msgspec.defstruct("Glimpse", fields, rename=dict(zip((field[0] for field in fields), names)))
        ).decode
        self._keys = tuple(names)

    def refuse(self, body: bytes, strict: bool, inside: str | None = None) -> None:
        """Raise Invalid where the head of a valid JSON is reason enough to refuse it all. inside: the wrapper around it."""
        reduced: Reduced = None
        try:
            reduced = self._reduced(body.lstrip(_BLANK), inside)
            if reduced is None:
                return
            shapes.table_of(self._signature, reduced[0], Notes(), strict, inside)
        except _UNREADABLE:
            return  # whoever reads it all says why
        except Invalid as error:
            head.refuse_early(error, every=reduced is not None and reduced[1] and not strict)

    def _reduced(self, body: bytes, inside: str | None = None) -> Reduced:
        return self._of_object(body, inside) if body[:1] == b"{" else self._of_list(body)

    def _of_list(self, body: bytes, named: bool = False) -> Reduced:
        """named: the values have names of their own, so that there may be more than the model takes."""
        if len(body) <= head.HEAD:
            return self._decode(body), True
        for cut in head.of_list(body):
            try:
                return self._decode(cut), False
            except _UNREADABLE:
                continue
        if named:
            return None
        values = self._flat(body)
        if values is not None and self._width == 1:
            return values, False
        second = body[1:64].lstrip(_BLANK)
        if values is None and second[:1] == b"[":
            values = self._flat(body[body.index(b"[", 1) :])
        if values is not None and len(values) > self._width:
            raise shapes.too_wide(self._signature, len(values))
        if second[:1] == b"{" and len(items := self._items(body)) <= _FEW:
            records = [self._of_object(bytes(item)) for item in items]
            if all(record is not None and record[1] for record in records):
                return [record[0] for record in records if record], True
        return None

    def _flat(self, body: bytes) -> list[Any] | None:
        """The first values of a long list without lists and objects."""
        try:
            values = self._decode(body[: body.rindex(b",", 0, head.HEAD)] + b"]" if len(body) > head.HEAD else body)
        except (*_UNREADABLE, ValueError):
            return None
        return values if isinstance(values, list) else None

    def _of_object(self, body: bytes, inside: str | None = None) -> Reduced:
        glimpse = self._glimpse(body)
        given = {
            key: bytes(raw) for key, field in zip(self._keys, glimpse.__struct_fields__) if (raw := getattr(glimpse, field))
        }
        known = [name for name in self._signature.names if name in given]
        framed = inside == "dataframe_split" or not {"columns", "data"} & {*known}
        if {"columns", "data"} <= given.keys() and framed:
            rows = self._of_list(given["data"], named=True) if len(given["columns"]) <= head.HEAD else None
            return rows and ({"columns": self._decode(given["columns"]), "data": rows[0]}, rows[1])
        if known and all(given[name][:1] == b"[" for name in known):
            lists = [self._flat(given[name]) for name in known]
            count = min(len(values or ()) for values in lists)
            return ({name: (values or [])[:count] for name, values in zip(known, lists)}, False) if count else None
        wrappers = [name for name in shapes.WRAPPERS if name in given]
        if not known and wrappers:
            inner = self._reduced(given[wrappers[0]], wrappers[0]) if len(wrappers) == 1 else None
            return inner and ({wrappers[0]: inner[0]}, inner[1])
        first = self._first_keys(body)
        value = {**{key: 0 for key in first if key not in given}, **{name: self._decode(given[name]) for name in known}}
        return (value, True) if value else None

    def _first_keys(self, body: bytes) -> list[str]:
        try:
            keys = self._decode(body[: body.rindex(b",", 0, _KEYS)] + b"}" if len(body) > _KEYS else body)
        except (*_UNREADABLE, ValueError):
            return []
        return list(keys)
