"""What an operator or a fault does to a part, under load: no answer is lost, and none is wrong or late."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import servers
from tests.stack.load import Load

RATE = 120  # requests a second
SECONDS = int(os.environ.get("FAULT_SECONDS", "30"))  # for which each fault is done again and again


class House(NamedTuple):
    """nginx before a gunicorn."""

    door: servers.Server
    api: servers.Server


@contextlib.contextmanager
def house(store: Path, **environ: str) -> Iterator[House]:
    """Both, with iris as the default model."""
    timeout = {"TIMEOUT": environ["TIMEOUT"]} if "TIMEOUT" in environ else {}
    with (
        servers.gunicorn(store, DEFAULT_MODEL="iris", **environ) as api,
        servers.nginx([f"127.0.0.1:{api.port}"], **timeout) as door,
    ):
        yield House(door, api)


def endure(load: Load, fault: Callable[[], object], every: float) -> None:
    """Do the fault again and again while the load goes on; then nothing may have failed."""
    with load:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(every)
            fault()
    print(load)
    assert load.failures == [], f"{len(load.failures)} of {load.sent}"
    assert load.sent >= RATE * SECONDS * 0.9


@pytest.mark.parametrize(("sign", "every"), [(signal.SIGKILL, 1), (signal.SIGSTOP, 9), (signal.SIGSEGV, 1)])
def test_a_worker_is_killed_or_stopped(store, sign, every):
    """A random one, again and again. One that is stopped is found by its missing heartbeat."""
    with house(store) as parts:
        endure(Load(parts.door.port, rate=RATE), lambda: os.kill(random.choice(parts.api.workers()), sign), every)


def test_the_workers_are_replaced_by_a_hangup(store):
    """HUP: new workers come before the old ones go."""
    with house(store) as parts:
        endure(Load(parts.door.port, rate=RATE), lambda: parts.api.process.send_signal(signal.SIGHUP), 3)


def test_workers_are_replaced_after_so_many_requests(store):
    """MAX_REQUESTS, for a model that leaks."""
    with house(store, MAX_REQUESTS="100") as parts:
        endure(Load(parts.door.port, rate=RATE), lambda: None, 1)

        assert len(parts.api.workers()) == 2
