"""A model that harms its process harms its own requests alone, most of all where it has replicas of its own."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from api.settings import SETTINGS, SettingError, Settings
from tests import servers
from tests.models import Stall
from tests.stack.load import RATE, ROUND, UNMOVED, Load, Question, endure, slowed
from tests.stack.refusals import ask, check, stall
from tests.transports import over_http
from tests.wire import request

POISONS = (
    stall(0, Stall.DIES),
    b"GET /models/stall/predict?x0=0&x1=%d HTTP/1.1\r\nHost: tepal\r\n\r\n" % Stall.DIES,
)


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_row_that_ends_its_process_ends_two_and_costs_nobody_else_anything(store, replicas):
    """Each second, in a body or in a path, beside requests that take long enough to be there when their process ends."""
    slow = {"path": "/models/stall/predict", "questions": (Question([0.01, Stall.SLEEPS], 0.01),)}
    rows = 0
    with contextlib.ExitStack() as stack:
        apis = [stack.enter_context(servers.gunicorn(store, DEFAULT_MODEL="iris")) for _ in range(replicas)]
        door = stack.enter_context(servers.nginx([f"127.0.0.1:{api.port}" for api in apis]))

        def send() -> None:
            nonlocal rows
            check(ask(door.port, POISONS[rows % 2]), 500, "model_error")
            rows += 1

        with Load(door.port, rate=60, **slow) as beside:
            endure(Load(door.port, rate=RATE), send, 1)
        deaths = sum(api.log.read_text().count("SIGSEGV") for api in apis)

    print(f"{rows} rows, {deaths} workers died; beside them: {beside}")
    assert beside.failures == []
    assert rows <= deaths <= 2 * rows


class Rooms(NamedTuple):
    """nginx before all models but one, and before that one's own replica."""

    door: servers.Server
    main: servers.Server
    room: servers.Server


@contextlib.contextmanager
def rooms(store: Path, model: str = "stall", **environ: str) -> Iterator[Rooms]:
    """environ: of all three."""
    place = f"127.0.0.1:{servers.free_port()}"
    told = {"DEFAULT_MODEL": "iris", **environ, "ROOMS": f"{model}={place}"}
    own = {**told, "PORT": place.rpartition(":")[2], "MODELS": model, "DEFAULT_MODEL": "", "WEB_CONCURRENCY": "1"}
    with (
        servers.gunicorn(store, **told) as main,
        servers.gunicorn(store, **own) as room,
        servers.nginx([f"127.0.0.1:{main.port}"], **told) as door,
    ):
        yield Rooms(door, main, room)


@pytest.fixture(scope="module", name="parts")
def _parts(store):
    with rooms(store) as parts:
        yield parts


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        ("POST", "/models/stall/predict", "room", 200),
        ("GET", "/models/stall/predict?x0=0&x1=0", "room", 200),
        ("POST", "/models/stall/versions/1/predict", "room", 200),
        ("POST", "/models/%73tall/predict", "room", 200),
        ("GET", "/models/stall", "room", 200),
        ("GET", "/models/stall/versions/1", "room", 200),
        ("GET", "/v2/models/stall", "room", 200),
        ("GET", "/v2/models/stall/versions/1/ready", "room", 200),
        ("POST", "/v2/models/stall/infer", "room", 400),
        ("GET", "/v1/models/stall", "room", 200),
        ("POST", "/v1/models/stall:predict", "room", 400),
        ("POST", "/v1/models/stall/versions/1:predict", "room", 400),
        ("GET", "/v2/models", "main", 200),
        ("GET", "/v2/models/stall2", "main", 404),
        ("POST", "/v1/models/stall2:predict", "main", 404),
        ("POST", "/invocations", "main", 400),
        ("POST", "/models/iris/predict", "main", 422),
        ("POST", "/predict", "main", 422),
        ("GET", "/models", "main", 200),
        ("GET", "/models/stall2", "main", 404),
        ("GET", "/models/my/stall", "main", 404),
        ("GET", "/v3/models/stall", "main", 404),
    ],
)
def test_a_model_s_paths_go_to_its_own_replicas_and_all_others_do_not(parts, method, path, who, status):
    """In every protocol, however they are written."""
    identity = f"{method}-{path.replace('%', '-').replace('?', '-').replace('&', '-')}"

    received = over_http(parts.door.port)(
        request(method, path, "[0,0]" if method == "POST" else None, x_request_id=identity)
    )

    assert received.status == status, received.body
    logs = {name: getattr(parts, name).log.read_text() for name in ("main", "room")}
    assert [name for name, log in logs.items() if f'"request_id":"{identity}"' in log] == [who]


def test_the_others_list_the_model_and_where_it_stands(parts):
    """They are ready without it, and have not loaded it."""
    main, room = over_http(parts.main.port), over_http(parts.room.port)

    listed = {model["name"]: model for model in main(request("GET", "/models")).json["models"]}
    assert (listed["stall"]["status"], listed["stall"]["versions"]) == ("elsewhere", ["1"])
    assert {model["status"] for name, model in listed.items() if name != "stall"} == {"ready"}
    assert "stall" in main(request("GET", "/")).json["models"]
    assert "stall" not in main(request("GET", "/readyz")).json["models"]
    assert 'model="stall"' not in main(request("GET", "/metrics")).body.decode()
    assert room(request("GET", "/readyz")).json["models"] == {"stall": "1"}
    assert [model["name"] for model in room(request("GET", "/models")).json["models"]] == ["stall"]


@pytest.mark.parametrize(
    "path",
    ["/models/stall", "/models/stall/versions/1", "/models/stall/predict", "/v1/models/stall", "/v2/models/stall",
     "/v2/models/stall/versions/1/ready", "/v1/models/stall:predict"],
)  # fmt: skip
def test_a_request_that_comes_to_the_others_all_the_same_is_told_why(parts, path):
    """nginx may not know yet."""
    method, body = ("POST", "[0,0]") if path.endswith("predict") else ("GET", "")

    received = over_http(parts.main.port)(request(method, path, body))

    assert (received.status, received.json["code"]) == (503, "not_ready")
    assert "ROOMS" in received.json["error"]


def test_the_default_model_may_have_a_room(store):
    """Then `/predict` and `/invocations` go there too."""
    with rooms(store, DEFAULT_MODEL="stall") as parts:
        answer = over_http(parts.door.port)(request("POST", "/predict", "[0,0]")).json
        assert (answer["model"], answer["predictions"]) == ("stall", [0.0])
        assert over_http(parts.main.port)(request("GET", "/readyz")).status == 200
        assert over_http(parts.main.port)(request("POST", "/predict", "[0,0]")).status == 503
        assert over_http(parts.door.port)(request("POST", "/invocations", "[[0,0]]")).json == {"predictions": [0.0]}


def test_a_room_that_is_empty_is_nobody_else_s_trouble(store):
    """503 on the paths of its model; a replica that comes is asked."""
    place = servers.free_port()
    told = {"ROOMS": f"stall=127.0.0.1:{place}"}
    with servers.gunicorn(store, **told) as main, servers.nginx([f"127.0.0.1:{main.port}"], **told) as door:
        check(ask(door.port, stall(0, Stall.SLEEPS)), 503, "not_ready")
        assert over_http(door.port)(request("POST", "/models/iris/predict", "[5.9,3.0,5.1,1.8]")).status == 200
        with servers.gunicorn(store, MODELS="stall", PORT=str(place)):
            assert ask(door.port, stall(0, Stall.SLEEPS)).status == 200


def test_a_model_that_hangs_in_its_own_replica_slows_no_other(store):
    """p99 of the others as a ratio, beside as many that hang as their replica has threads, and more."""
    statuses: set[int] = set()

    def many_hang() -> None:
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            end = time.monotonic() + ROUND
            for hanging in [pool.submit(hang, parts.door.port, end) for _ in range(12)]:
                statuses.update(hanging.result())

    with rooms(store, TIMEOUT="2") as parts:
        assert slowed(parts.door.port, many_hang) <= UNMOVED
        assert statuses <= {503, 504}
        assert 504 in statuses
        assert parts.main.log.read_text().count("WORKER TIMEOUT") == 0


def hang(port: int, end: float) -> set[int]:
    """Ask for what never returns, one after the other, so long. The statuses that came."""
    statuses = set()
    while time.monotonic() < end:
        statuses.add(ask(port, stall(60, Stall.HOLDS if len(statuses) % 2 else Stall.SLEEPS)).status)
        time.sleep(0.05)
    return statuses


@pytest.mark.parametrize(
    "value",
    [
        "stall",
        "stall=:1",
        "stall=a",
        "Stall=a:1",
        "a..b=a:1",
        "a=a:1,b=b:1",
        "a=a:1\tb=b:1",
        "a=a:1\nb=b:1",
        "a=a:1 b=b:2 a=c:3",
        "a=$host:1",
        "a=a:1;",
        "a=a:1b=b:1",
    ],
)
def test_rooms_that_cannot_be_made_end_the_start_of_nginx(tmp_path, value):
    """And with the same sentence that of the API."""
    started = servers.start_nginx(tmp_path, ROOMS=value)

    (takes,) = [setting.takes for setting in SETTINGS if setting.variable == "ROOMS"]
    assert (started.returncode, started.stdout) == (3, "")
    assert started.stderr == f"tepal-nginx: ROOMS is '{value}'; it takes {takes}\n"
    with pytest.raises(SettingError):
        Settings.from_environ({"ROOMS": value})


@pytest.mark.parametrize("value", ["", " ", "a=a:1", "a=a:1  b.c-d_0=10.0.0.7:65535 "])
def test_rooms_that_can_be_made_are(tmp_path, value):
    """As the API understands them."""
    assert servers.start_nginx(tmp_path, ROOMS=value).returncode == 0

    made = set(re.findall(r"upstream room-(\S+) ", (tmp_path / "nginx.conf").read_text()))
    assert made == set(Settings.from_environ({"ROOMS": value}).rooms)
