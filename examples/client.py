"""A client of Tepal that tries again where that is safe: copy this file, it needs nothing but Python.

A prediction changes nothing, so a request that got no answer may be sent again. From Python:

    from client import Client, Refused
    tepal = Client("http://127.0.0.1:8080", model="iris")
    tepal.predict([5.9, 3.0, 5.1, 1.8])                    # one vector, a matrix, records, or columns
    tepal.predict(frame).predictions                       # a pandas DataFrame

As a command, rows from arguments or from a file of JSON, CSV, JSON lines, .npy, Arrow or Parquet:

    python client.py http://127.0.0.1:8080 '[5.9,3.0,5.1,1.8]'
    python client.py http://127.0.0.1:8080 --model iris --file rows.csv
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

# What may be over a moment later. 503 is asked again whatever it says; the others only where they say when.
BUSY, GATEWAY = 503, (502, 504)
TYPES = {
    ".csv": "text/csv",
    ".jsonl": "application/jsonlines",
    ".ndjson": "application/jsonlines",
    ".npy": "application/x-npy",
    ".arrow": "application/vnd.apache.arrow.stream",
    ".parquet": "application/vnd.apache.parquet",
}


class Refused(Exception):
    """The service answered with an error; ``str()`` is its own sentence.

    status, code and request_id: as answered; details: the bad cells, each a dict. No answer at all: status 0.
    """

    def __init__(self, sentence: str, status: int = 0, code: str = "", request_id: str = "", details: Any = ()):
        super().__init__(sentence)
        self.status, self.code, self.request_id, self.details = status, code, request_id, list(details)


class Answer(NamedTuple):
    """One prediction a row, in order. probabilities: one dict a row, where the model has them."""

    predictions: list[Any]
    probabilities: list[Any] | None
    warnings: list[dict[str, Any]]
    model: str
    version: str


class Client:
    """Asks one model, or the default one. Threads may share it.

    timeout: seconds for each try. tries: how often one request is sent at most. wait: seconds before the second try,
    about twice as many before each further one; a ``Retry-After`` that asks for more is heeded, up to ``longest``.
    """

    def __init__(
        self, url: str, model: str | None = None, version: str | None = None, *,
        timeout: float = 10, tries: int = 5, wait: float = 0.2, longest: float = 10,
    ):  # fmt: skip
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the address starts with http:// or https://, got {url!r}")
        path = f"/models/{quote(model, safe='')}" if model else ""
        path += f"/versions/{quote(str(version), safe='')}" if model and version else ""
        self.url = f"{url.rstrip('/')}{path}/predict"
        self.timeout, self.tries, self.wait, self.longest = timeout, tries, wait, longest

    def predict(self, rows: Any, request_id: str | None = None) -> Answer:
        """The answer to rows: a vector, a matrix, a record, records, a dict of columns, an array, or a DataFrame.

        request_id: what the service's log has, the same for each try; made where none is given.
        Raises Refused with the service's sentence, or where no try got an answer.
        """
        return self.send(_json(rows), "application/json", request_id)

    def send(self, body: bytes, content_type: str, request_id: str | None = None) -> Answer:
        """As ``predict``, for a body in any format that the service reads."""
        identity = request_id or uuid.uuid4().hex
        headers = {"Content-Type": content_type, "Accept": "application/json", "X-Request-ID": identity}
        request = urllib.request.Request(self.url, body, headers, method="POST")  # noqa: S310 checked above
        for attempt in range(1, self.tries + 1):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as response:  # noqa: S310
                    return _answer(json.loads(response.read()))
            except urllib.error.HTTPError as error:
                refused, after = _refusal(error, identity)
            except (OSError, http.client.HTTPException, ValueError) as error:  # refused, cut off, too late, half an answer
                reason = getattr(error, "reason", error)
                refused, after = Refused(f"{self.url} gave no answer: {reason}", request_id=identity), 0.0
            if after is None or attempt == self.tries:
                raise refused
            pause = self.wait * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311 so that not all come at once
            time.sleep(min(max(after, pause), self.longest))
        raise AssertionError("there is at least one try")


def _refusal(error: urllib.error.HTTPError, identity: str) -> tuple[Refused, float | None]:
    """What was answered, and after how many seconds it may be asked again; None: never, it would be the same."""
    try:
        with error:
            said = json.loads(error.read())
        refused = Refused(said["error"], error.code, said["code"], said["request_id"], said.get("details", ()))
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        refused = Refused(f"{error.code} {error.reason}", error.code, request_id=identity)
    after = error.headers.get("Retry-After", "")
    seconds = float(after) if after.isascii() and after.isdecimal() else None
    if error.code == BUSY:
        return refused, seconds or 0.0
    return refused, seconds if error.code in GATEWAY else None


def _answer(said: Any) -> Answer:
    if not isinstance(said, dict) or "predictions" not in said:
        raise Refused("what answered is no Tepal: it sent no predictions")
    return Answer(said["predictions"], said.get("probabilities"), said.get("warnings", []), said["model"], said["version"])


def _json(rows: Any) -> bytes:
    """Rows as JSON. A DataFrame writes itself: its NaN are null, its dates ISO 8601, its floats exact."""
    if hasattr(rows, "to_json") and hasattr(rows, "columns"):
        split = json.loads(rows.to_json(orient="split", index=False, date_format="iso", date_unit="ns", double_precision=15))
        split = {"columns": [str(name) for name in split["columns"]], "data": _exact(rows, split["data"])}
        return json.dumps(split, allow_nan=False).encode()
    if hasattr(rows, "tolist"):  # an array of NumPy's
        rows = rows.tolist()
    return json.dumps(rows, allow_nan=False).encode()


def _exact(frame: Any, data: list[list[Any]]) -> list[list[Any]]:
    """pandas writes 15 digits of a float at most, and some need 17: those columns are taken as they are."""
    for place in range(len(frame.columns)):
        column = frame.iloc[:, place]
        if getattr(column.dtype, "kind", "O") == "f":
            for row, value in zip(data, column.tolist()):
                row[place] = value if isinstance(value, float) and value == value else None  # noqa: PLR0124 NaN
    return data


def main() -> int:
    """The command. 0: the answer is on standard output, one prediction a line. 1: what went wrong, on standard error."""
    parser = argparse.ArgumentParser(description="Ask a Tepal service, and try again where that is safe.")
    parser.add_argument("url", help="such as http://127.0.0.1:8080")
    parser.add_argument("rows", nargs="?", help="JSON: a vector, a record, a list of them, or columns")
    parser.add_argument("--file", type=Path, help="rows in a file instead; its ending tells the format")
    parser.add_argument("--model", help="the model to ask; the default one without it")
    parser.add_argument("--json", action="store_true", help="print the whole answer, probabilities and warnings too")
    options = parser.parse_intermixed_args()
    if (options.rows is None) == (options.file is None):
        parser.error("give the rows, or --file")
    try:
        body = options.rows.encode() if options.file is None else options.file.read_bytes()
        type_ = TYPES.get(options.file.suffix.lower(), "application/json") if options.file else "application/json"
        answer = Client(options.url, options.model).send(body, type_)
    except (Refused, OSError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    for warning in answer.warnings:
        print(f"Warning: {warning['message']}", file=sys.stderr)
    if options.json:
        print(json.dumps(answer._asdict()))
        return 0
    for prediction in answer.predictions:
        print(prediction if isinstance(prediction, str) else json.dumps(prediction))
    return 0


if __name__ == "__main__":
    sys.exit(main())
