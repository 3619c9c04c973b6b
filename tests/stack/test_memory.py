"""How much memory the service has, and that it is not more and more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import tepal
from tests import servers
from tests.models import Hoard
from tests.parts import SOAK_REQUESTS as REQUESTS
from tests.parts import need
from tests.stack.containers import run, wait_until

GROWTH = 1.05  # what is no leak: the allocators' own coming and going
MIB = 1024 * 1024
TABLE = 64 * MIB  # of the large model
THREADS = 32  # more than the pools of two workers grow to
WARM = min(REQUESTS // 2, 50_000)  # requests after which a server is as large as it gets
LEAKS = min(REQUESTS, 100_000)  # requests that show a leak
OWN = 32  # MiB that a worker may have for itself


@pytest.fixture(scope="module", name="hoards")
def _hoards(tmp_path_factory):
    """A repository with a model that leaks 2 KiB a call, one that does not, and a large one."""
    store = tmp_path_factory.mktemp("store")
    X = np.array([[1.0, 2.0], [3.0, 4.0]])
    for name, model in (("tidy", Hoard()), ("leaky", Hoard(keeps=2048)), ("large", Hoard(table=TABLE))):
        tepal.publish(model.fit(X, X[:, 0]), name=name, X=X, store=store)
    return store


class Holdings(NamedTuple):
    """What a server's processes hold, all together."""

    memory: float  # PSS, in MiB: a page that n processes share counts as 1/n for each
    threads: int
    files: int

    @classmethod
    def of(cls, server: servers.Server) -> Holdings:
        processes = [Path("/proc", str(pid)) for pid in (server.process.pid, *server.workers())]
        return cls(
            sum(pss(process) for process in processes),
            sum(len(list((process / "task").iterdir())) for process in processes),
            sum(len(list((process / "fd").iterdir())) for process in processes),
        )


def pss(process):
    found = re.search(r"^Pss: +(\d+) kB", (process / "smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def blast(server, model, requests, folder):
    """So many predictions, as fast as they are answered; so few at once that none is too many."""
    script = folder / "post.lua"
    script.write_text('wrk.method = "POST"\nwrk.body = "[1,2]"\n')
    url = f"{server.url}/models/{model}/predict"
    while requests > 0:
        said = run(need("wrk"), "--threads", "1", "--connections", "2", "--duration", "2s", "--script", str(script), url)
        done = re.search(r"(\d+) requests in", said)
        assert done
        assert not re.search("Non-2xx|Socket errors", said), said
        requests -= int(done[1])


def before_and_after(store, model, requests, folder):
    """What a server holds when it is warm, and what after the soak."""
    with servers.gunicorn(store, MODELS=model) as server:
        idle = Holdings.of(server).files
        blast(server, model, WARM, folder)
        before = Holdings.of(server)
        blast(server, model, requests, folder)
        wait_until(lambda: Holdings.of(server).files <= idle, lambda: f"{idle} files, then {Holdings.of(server)}", 10)
        after = Holdings.of(server)
    print(f"{model}, {requests} requests: {before}, then {after}")
    return before, after


def test_memory_is_flat(hoards, tmp_path):
    """And neither threads nor files are left over."""
    before, after = before_and_after(hoards, "tidy", REQUESTS, tmp_path)

    assert after.memory < before.memory * GROWTH
    assert after.threads <= THREADS


def test_a_leak_would_be_seen(hoards, tmp_path):
    """2 KiB a call is more than the test above lets pass."""
    before, after = before_and_after(hoards, "leaky", LEAKS, tmp_path)

    assert after.memory > before.memory * GROWTH


def test_more_workers_share_one_model(hoards, tmp_path):
    """Models and libraries are loaded once, before the fork."""
    memory = {}
    for workers in (1, 2, 4):
        with servers.gunicorn(hoards, MODELS="large", WEB_CONCURRENCY=str(workers)) as server:
            blast(server, "large", 4000, tmp_path)
            memory[workers] = Holdings.of(server).memory
    print(f"MiB by workers: {memory}")

    assert memory[4] - memory[1] < 3 * OWN
