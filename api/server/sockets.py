"""What a worker asks of a client's socket, beyond reading and writing."""

from __future__ import annotations

import contextlib
import errno
import select
import socket

# Seconds for which a client may read nothing of an answer that is on its way to it.
READER = 10.0

# Linux's event for a peer that closed its side, behind whatever is still to be read.
GONE = getattr(select, "POLLRDHUP", 0)


def send(client: socket.socket, data: bytes) -> None:
    """All of it, to a client that reads, however slowly. Raises BrokenPipeError where it reads nothing for a while."""
    view = memoryview(data)
    with contextlib.suppress(BlockingIOError):
        view = view[client.send(view, socket.MSG_DONTWAIT) :]
    if not view:
        return
    client.settimeout(READER)
    try:
        while view:
            view = view[client.send(view) :]
    except TimeoutError:
        raise BrokenPipeError(errno.EPIPE, "the client does not read its answer") from None
    finally:
        client.settimeout(None)


def readable(client: socket.socket) -> bool:
    """Whether there is anything to read, be it an end or an error."""
    try:
        client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def has_left(client: socket.socket) -> bool:
    """Whether the client closed its side, whatever it sent before. Unknown, and so false, where there is no such event."""
    poll = select.poll()
    poll.register(client, GONE)
    return bool(poll.poll(0))
