"""What a client says of formats: the type of its body, and the type of answer that it wants."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from werkzeug.http import parse_options_header

from api.errors import UnsupportedMediaType
from api.message import JSON

TEXT = "text/plain"
CSV = "text/csv"
JSON_LINES = "application/jsonlines"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"

# Types that say nothing about the body: what curl -d and other clients send unless told otherwise.
_UNSAID = ("", "application/x-www-form-urlencoded", TEXT, "application/octet-stream")
_FORMATS = {
    JSON: "json",
    CSV: "csv",
    "application/csv": "csv",
    JSON_LINES: "jsonlines",
    "application/jsonl": "jsonlines",
    "application/x-jsonlines": "jsonlines",
    "application/x-ndjson": "jsonlines",
    NPY: "npy",
    ARROW: "arrow",
    PARQUET: "parquet",
}
_READ = f"{JSON}, {CSV}, {JSON_LINES} or {NPY}"


@lru_cache(maxsize=256)
def body_type(content_type: str) -> str | None:
    """The format of a body by its header, as ``tepal.wire.formats`` names it; None where the bytes must tell.

    Raises UnsupportedMediaType for any that is not read here.
    """
    media, parameters = parse_options_header(content_type)
    media = media.lower()
    charset = parameters.get("charset", "utf-8")
    if charset.lower().replace("_", "-") not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(f"charset {charset[:60]!r} is not read here; send UTF-8")
    if media in _UNSAID:
        return None
    if media in _FORMATS:
        return _FORMATS[media]
    if media.startswith("application/") and media.endswith("+json"):
        return "json"
    raise UnsupportedMediaType(f"Content-Type {media[:60]!r} is not read here; send {_READ}")


@lru_cache(maxsize=256)
def answer_type(accept: str, offered: Sequence[str]) -> str:
    """The best of the ``offered`` media types for an Accept header; the first of them where none fits.

    Weights count, and among equals the type that the client lists first.
    """
    ranges = []
    for item in accept.split(","):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        ranges.append((media, _weight(parameters)))
    best, best_weight, best_place = offered[0], 0.0, len(ranges)
    for type_ in offered:
        fitting = [(_precision(media), weight, place) for place, (media, weight) in enumerate(ranges) if _fits(type_, media)]
        if not fitting:
            continue
        _, weight, place = max(fitting, key=lambda found: (found[0], -found[2]))  # the most precise range speaks for a type
        if weight > best_weight or (weight == best_weight > 0 and place < best_place):
            best, best_weight, best_place = type_, weight, place
    return best


def _precision(media: str) -> int:
    return 2 - media.count("*")


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _fits(type_: str, media: str) -> bool:
    return media in (type_, "*/*", f"{type_.partition('/')[0]}/*")
