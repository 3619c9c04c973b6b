"""What happens to whole containers, under load and through the real stack: no answer is lost, wrong or late."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sys
import threading
import time

import cloudpickle
import pytest

from tests import models, servers
from tests.models import Stall
from tests.stack import containers
from tests.stack.containers import logs, run, wait_until
from tests.stack.load import RATE, Load, endure
from tests.stack.refusals import HEAD, ask, check, stall

TIMEOUT = int(os.environ.get("TIMEOUT", "4"))
IN_TIME = TIMEOUT + 0.5
TRIES = 2  # workers that one request can end
PREDICT = HEAD + b"Content-Length: 17\r\n\r\n[5.9,3.0,5.1,1.8]"


@pytest.fixture(scope="module", name="stack")
def _stack(store, tmp_path_factory):
    """A stack that serves iris and stall, whose code goes with it, for this very Python."""
    folder = containers.checkout(tmp_path_factory.mktemp("checkout"), "faults")
    shutil.copytree(store / "iris", folder / "model" / "iris")
    cloudpickle.register_pickle_by_value(models)
    models.publish_stall(folder / "model")
    cloudpickle.unregister_pickle_by_value(models)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    settings = {"TIMEOUT": str(TIMEOUT), "WEB_CONCURRENCY": "2", "PYTHON": python}
    with containers.stack(["docker", "compose"], folder, servers.free_port(), **settings) as stack:
        yield stack


@pytest.fixture(name="make_load")
def _make_load(stack):
    """Makes loads on a stack of two replicas. What the log says of their requests that failed is shown."""
    stack.scale(2)
    loads = []

    def make(**options):
        loads.append(Load(stack.port, rate=RATE, in_time=IN_TIME, **options))
        return loads[-1]

    yield make
    failed = [f'"{failure.partition(":")[0]}"' for load in loads for failure in load.failures]
    if failed:
        print(*(line for line in stack("logs", "--no-color").splitlines() if any(one in line for one in failed)), sep="\n")


def signal(identity, name, children="/proc/1/task/1/children"):
    """Send a signal to what a container's init runs. (docker kill counts as a stop that is meant, whatever it sends.)"""
    run("docker", "exec", identity, "sh", "-c", f"kill -{name} $(cat {children})")


def is_asked(replica, load, since):
    """Whether a replica got requests of this load since then, a ``time.time()``."""
    return load.prefix in run("docker", "logs", "--since", f"{since:.6f}", replica)


def killed(stack, replica):
    """Docker does not start it again by itself: it was meant."""
    run("docker", "kill", replica)
    time.sleep(2)
    run("docker", "start", replica)


def died(stack, replica):
    """As where memory runs out. Docker starts it again."""
    signal(replica, "KILL")
    time.sleep(2)


def stopped(stack, replica):
    """Gracefully, and within the time that it has."""
    run("docker", "stop", "--time", "10", replica)
    assert exit_code(replica) == 0
    run("docker", "start", replica)


def unplugged(stack, replica):
    """Without a word."""
    network = f"{stack.name}_default"
    run("docker", "network", "disconnect", "--force", network, replica)
    time.sleep(3)
    run("docker", "network", "connect", "--alias", "api", network, replica)


def paused(stack, replica):
    """For longer than a request may take."""
    run("docker", "pause", replica)
    time.sleep(TIMEOUT + 1)
    run("docker", "unpause", replica)


def hung_up(stack, replica):
    """gunicorn replaces its workers."""
    signal(replica, "HUP")
    time.sleep(2)


@pytest.mark.parametrize("fault", [killed, died, stopped, unplugged, paused, hung_up], ids=lambda fault: fault.__name__)
def test_one_of_two_replicas(stack, make_load, fault):
    """Each time another, when all of them get requests."""
    load = make_load()
    since = time.time()

    def fault_and_recovery():
        nonlocal since
        replicas = stack.replicas()
        wait_until(lambda: all(is_asked(replica, load, since) for replica in replicas), lambda: stack("logs"))
        fault(stack, random.choice(replicas))
        since = time.time()

    # One fault at a time: nginx needs up to 2 s to know who is there. (One that was asked may have been asked before.)
    endure(load, fault_and_recovery, 2.5)


def test_replicas_come_and_go(stack, make_load):
    """From two to four to one: the new ones are asked within five seconds, those that go finish what they have."""
    load = make_load()

    def scale():
        replicas = stack.scale(4)
        since = time.time()
        wait_until(lambda: all(is_asked(replica, load, since) for replica in replicas), lambda: stack("logs"), seconds=5)
        stack.scale(1)

    endure(load, scale, 0.5)


def test_nginx_is_reloaded(stack, make_load):
    """Each second; not even a kept-alive connection is closed on its client's request."""
    nginx = stack("ps", "--quiet", "nginx")

    endure(make_load(), lambda: signal(nginx, "HUP"), 1)


def test_a_worker_of_nginx_is_killed(stack, make_load):
    """Its connections break, and who asks once more is answered. That is all that a client can be promised here."""
    nginx = stack("ps", "--quiet", "nginx")
    load = make_load(retry=True)

    endure(load, lambda: signal(nginx, "KILL", "/proc/$(cat /tmp/nginx.pid)/task/*/children | cut -d' ' -f1"), 2)
    assert load.broken > 0


def test_nginx_is_restarted(stack, make_load):
    """Nobody listens for a moment. A second after the container has started, every request is answered again."""
    with make_load() as load:
        time.sleep(1)
        run("docker", "restart", "--time", "12", stack("ps", "--quiet", "nginx"))
        time.sleep(1)
        recovered = len(load.failures)
        assert answers(stack.port), stack("logs")
        time.sleep(2)

    print(load)
    assert len(load.failures) == recovered
    # 503: nginx listens a moment before it knows who is there.
    assert load.statuses.keys() <= {0, 200, 503}, "where there was an answer, it was the right one, or: try again"


def answers(port):
    with contextlib.suppress(OSError):
        return ask(port, PREDICT).status == 200
    return False


def test_a_row_that_ends_its_process(stack, make_load):
    """It ends two and no more, others are answered, and no container is started again."""
    replicas = stack.replicas()
    before = [(started_at(replica), deaths(replica)) for replica in replicas]
    rows = 0

    def send():
        nonlocal rows
        check(ask(stack.port, stall(1, Stall.DIES)), 500, "model_error")
        rows += 1

    endure(make_load(), send, 1)
    after = [(started_at(replica), deaths(replica)) for replica in replicas]
    died_now = sum(then[1] for then in after) - sum(then[1] for then in before)
    print(f"{rows} rows, {died_now} workers died")
    assert rows <= died_now <= rows * TRIES
    assert [started for started, _ in after] == [started for started, _ in before]


def deaths(replica):
    return logs(replica).count("SIGSEGV")


def started_at(replica):
    return run("docker", "inspect", "--format", "{{.State.StartedAt}}", replica)


def exit_code(identity):
    return int(run("docker", "inspect", "--format", "{{.State.ExitCode}}", identity))


def test_a_container_that_is_stopped_answers_what_it_has_begun(stack):
    """A prediction of 7 s, in the 10 s that most platforms give; a container that is killed has another exit code."""
    with containers.container("test-tepal:faults", "--publish", "127.0.0.1::8080") as identity:
        port = containers.published(identity, 8080)
        wait_until(lambda: answers(port), lambda: logs(identity))
        answered = []
        client = threading.Thread(target=lambda: answered.append(ask(port, stall(7, Stall.SLEEPS)).status))
        client.start()
        time.sleep(0.5)
        run("docker", "stop", "--time", "10", identity)
        client.join()

        assert answered == [200]
        assert exit_code(identity) == 0
