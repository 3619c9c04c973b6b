"""A deployed service, asked over HTTP whether it answers as a version did when it was published."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec

from tepal import selftest
from tepal.errors import ArtifactError, RemoteError
from tepal.manifest import Answers, Manifest

Card = TypeVar("Card", bound=msgspec.Struct)

# Seconds that one answer may take, or any part of it.
TIMEOUT = 10.0
# Bytes of an answer that are read: a model card may list a thousand categories in each of many columns.
MOST = 64 * 1024 * 1024


class _Answer(msgspec.Struct):
    """What is needed of an answer to a prediction."""

    model: str
    version: str
    predictions: list[Any]
    probabilities: list[dict[str, Any]] | None = None


class _Card(msgspec.Struct):
    """What is needed of a model card."""

    status: str
    reason: str | None = None
    sha256: dict[str, str] | None = None


class Remote:
    """A service by its URL, such as ``https://models.example.org`` or ``http://127.0.0.1:8080/some/prefix``.

    Raises RemoteError where that is no such URL, and in every method where the service cannot be asked.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT):
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._connection = self._connect(url)

    def _connect(self, url: str) -> http.client.HTTPConnection:
        try:
            parts: SplitResult = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        kinds: dict[str, Callable[..., http.client.HTTPConnection]]
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        if not host or parts.scheme not in kinds or parts.query or parts.fragment or parts.username is not None:
            raise RemoteError(f"{url!r} is no address of a service; give one like http://127.0.0.1:8080")
        self._prefix = parts.path
        return kinds[parts.scheme](host, port, timeout=self._timeout)

    def close(self) -> None:
        self._connection.close()

    def verify(self, manifest: Manifest) -> None:
        """Ask for a version's golden rows, alone and together, as they were recorded.

        Raises RemoteError, one sentence, where it is not there, is another model, or answers otherwise.
        """
        path = f"/models/{manifest.name}/versions/{manifest.version}"
        card = self._get(path, _Card)
        if card.status != "ready":
            raise RemoteError(f"{self.url} has it and cannot serve it: {card.reason}")
        there, here = card.sha256 or {}, manifest.files
        if there != here:
            file = next((file for file in here if here[file] != there.get(file)), "")
            raise RemoteError(
                f"{self.url} serves another model under this name and number: the sha256 of {file or 'its files'} is "
                f"{there.get(file, 'unknown')[:12]}… there, {here.get(file, 'unknown')[:12]}… here"
            )

        def ask(rows: list[dict[str, Any]]) -> Answers:
            answer = self._get(f"{path}/predict", _Answer, msgspec.json.encode(rows))
            if (answer.model, answer.version) != (manifest.name, str(manifest.version)):
                raise RemoteError(f"{self.url} let {answer.model} version {answer.version} answer in its place")
            many = len(answer.predictions)
            if many != len(rows):
                raise RemoteError(f"{self.url} gave {many} answers to {len(rows)} rows")
            return Answers(answer.predictions, answer.probabilities)

        try:
            selftest.check(manifest.golden, ask)
        except ArtifactError as error:
            raise RemoteError(f"{self.url}: {error}") from None

    def card(self, name: str, kind: type[Card]) -> Card:
        """What is needed of the card of a model, as a ``kind``."""
        card: Card = self._get(f"/models/{name}", kind)
        return card

    def _get(self, path: str, kind: Any, body: bytes | None = None) -> Any:
        """The JSON answer to a GET, or to a POST of ``body``, as a ``kind``."""
        status, headers, answer = self._exchange(path, body)
        if status != 200:
            raise RemoteError(self._refusal(path, status, headers, answer))
        try:
            return msgspec.json.decode(answer, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise RemoteError(f"{self.url} answers {path} {_seen_as(headers)}; it is no service of Tepal") from None

    def _exchange(self, path: str, body: bytes | None) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            self._connection.request("GET" if body is None else "POST", self._prefix + path, body, headers)
            response = self._connection.getresponse()
            answer = response.read(MOST)
            if response.length:
                raise http.client.IncompleteRead(answer)
            return response.status, response.headers, answer
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise RemoteError(self._fault(error)) from None

    def _fault(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"{self.url} did not answer within {self._timeout:g} s"
        if isinstance(error, socket.gaierror):
            return f"{self.url} has a host that is not known: {error.strerror}"
        if isinstance(error, ConnectionRefusedError):
            return f"nothing listens at {self.url}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the certificate of {self.url} cannot be trusted: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return f"{self.url} does not speak HTTPS; try http://"
        if isinstance(error, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
            return f"{self.url} closed the connection without an answer"
        if isinstance(error, http.client.IncompleteRead):
            return f"{self.url} cut its answer short"
        if isinstance(error, http.client.HTTPException):
            return f"{self.url} does not speak HTTP; if it wants TLS, use https://"
        return f"{self.url} cannot be reached: {getattr(error, 'strerror', None) or error}"

    def _refusal(self, path: str, status: int, headers: http.client.HTTPMessage, answer: bytes) -> str:
        if 300 <= status < 400:
            return (
                f"{self.url} sends {path} on to {headers.get('Location', 'another place')[:200]}; give the address of that"
            )
        if status in (401, 403):
            return f"{self.url} does not let this command in ({status} {http.client.responses[status]})"
        try:
            said: dict[str, str] = msgspec.json.decode(answer, type=dict[str, Any])
            return f"{self.url} answers {status}: {said['error']}"
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
            reason = http.client.responses.get(status, "")
            return f"{self.url} answers {path} with {status} {reason}, {_seen_as(headers)}; it may be no service of Tepal"


def _seen_as(headers: http.client.HTTPMessage) -> str:
    if headers.get_content_type() == "text/html":
        return "as an HTML page"
    return f"as {headers['Content-Type'][:60]}" if headers["Content-Type"] else "as nothing that it names"
