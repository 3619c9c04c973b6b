"""cloud-init.yaml, run by the real cloud-init in a container, over this machine's Docker.

Not run: the installation of Ubuntu's packages, which a container of Debian does not have, and the boot of an instance.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import tepal
from tests import servers
from tests.parts import need_docker
from tests.servers import ROOT
from tests.stack import containers
from tests.stack.containers import run
from train import iris

FILE = ROOT / "deploy" / "ec2" / "cloud-init.yaml"
USER_DATA = "/var/lib/cloud/seed/nocloud/user-data"
DOCKERFILE = """
FROM python:3.13-slim
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates cloud-init curl git
RUN printf '%s\\n' 'datasource_list: [NoCloud]' 'network: {config: disabled}' 'cloud_init_modules: [write_files]' \
 'cloud_config_modules: [runcmd]' 'cloud_final_modules: [scripts_user]' > /etc/cloud/cloud.cfg
RUN mkdir -p /var/lib/cloud/seed/nocloud && echo 'instance-id: test' > /var/lib/cloud/seed/nocloud/meta-data
RUN git config --system --add safe.directory '*'
"""
# The four stages of a boot, in which the configuration above keeps the modules that this file is about.
FIRST_START = "cloud-init init --local && cloud-init init && cloud-init modules -m config && cloud-init modules -m final"


class Instance(NamedTuple):
    """The container that stands for the instance. port: where Tepal answers, on this machine."""

    identity: str
    port: int

    def __call__(self, *command: str) -> str:
        return run("docker", "exec", self.identity, *command)

    def curl(self, path: str, *options: str) -> str:
        return run("curl", "--silent", "--show-error", f"http://127.0.0.1:{self.port}{path}", *options)


@pytest.fixture(scope="module", name="image")
def _image():
    """Debian with cloud-init: the machine itself is better left without it."""
    need_docker()
    run("docker", "build", "--quiet", "--tag", "test-tepal-cloud-init", "-", input=DOCKERFILE)
    return "test-tepal-cloud-init"


@pytest.fixture(scope="module", name="project")
def _project(tmp_path_factory):
    """A repository as a user has it, without a model."""
    folder = containers.checkout(tmp_path_factory.mktemp("project"))
    run("git", "init", "--quiet", "--initial-branch", "main", cwd=folder)
    commit(folder, "all of it")
    return folder


@pytest.fixture(scope="module", name="cloning")
def _cloning(image, project, tmp_path_factory):
    """An instance that is told a repository; nothing has run yet."""
    with instance(image, project, tmp_path_factory.mktemp("seed"), REPOSITORY="file:///project") as cloning:
        yield cloning


@contextlib.contextmanager
def instance(image: str, project: Path, seed: Path, **values: str) -> Iterator[Instance]:
    """A container with cloud-init, the file as its user data, and this machine's Docker; values: other settings in it."""
    port, stack = servers.free_port(), f"tepal-test-{uuid.uuid4().hex[:8]}"
    values = {"BIND": "127.0.0.1", "PUBLISHED_PORT": str(port), "COMPOSE_PROJECT_NAME": stack, **values}
    user_data = seed / "user-data"
    user_data.write_text(with_values(FILE.read_text(), values))
    mounts = {"/var/run/docker.sock": "/var/run/docker.sock", str(project): "/project", str(user_data): USER_DATA}
    mounts[run("which", "docker")] = "/usr/local/bin/docker"
    for plugin in json.loads(run("docker", "info", "--format", "{{json .ClientInfo.Plugins}}")):
        mounts[plugin["Path"]] = f"/usr/local/lib/docker/cli-plugins/{Path(plugin['Path']).name}"
    options = [option for source, target in mounts.items() for option in ("--volume", f"{source}:{target}")]
    with containers.container(image, "--network", "host", *options, command=["sleep", "infinity"]) as identity:
        try:
            yield Instance(identity, port)
        finally:
            run("docker", "compose", "--project-name", stack, "down", "--volumes", "--timeout", "12", cwd=project)


def commit(folder: Path, message: str) -> None:
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    run("git", *author, "add", "--all", cwd=folder)
    run("git", *author, "commit", "--quiet", "--message", message, cwd=folder)


def with_values(text: str, values: dict[str, str]) -> str:
    """The file with other values in its settings; one that it does not have comes after them."""
    for name, value in values.items():
        line, found = rf"(?m)^(      ){name}=.*$", f"\\g<1>{name}={value}"
        if not re.search(line, text):
            line, found = r"(?m)^(      )(PUBLISHED_PORT=.*)$", f"\\g<1>\\g<2>\n\\g<1>{name}={value}"
        text = re.sub(line, found, text)
    return text


def test_the_file_is_what_cloud_init_takes(image):
    """Its own check of the schema, as the file is."""
    mount = f"{FILE}:/cloud-init.yaml:ro"

    said = run(
        "docker", "run", "--rm", "--volume", mount, image, "cloud-init", "schema", "--config-file", "/cloud-init.yaml"
    )

    assert "Valid schema" in said


def test_there_is_one_value_to_set():
    """No repository is public yet, so none is named; the rest is as it should be on an instance."""
    settings = dict(re.findall(r"^ {6}([A-Z_]+)=(.*)$", FILE.read_text(), re.MULTILINE))

    assert settings == {"REPOSITORY": "", "BIND": "0.0.0.0", "PUBLISHED_PORT": "8080"}


def test_its_script_is_sound():
    """As ShellCheck sees it; the file that it reads is not there."""
    script = FILE.read_text().split('permissions: "0755"\n    content: |\n')[1].split("\n\n#")[0]
    shellcheck = str(Path(sys.executable).with_name("shellcheck"))

    run(shellcheck, "--exclude=SC1091", "-", input=textwrap.dedent(script))


def test_what_is_copied_to_an_instance_without_a_repository_is_started(image, project, tmp_path):
    """As the page does it in its fifth step, models of one's own included; before that, it says what it waits for."""
    iris.run("svm", iris.ALGORITHMS["svm"], tmp_path / "model")
    copy = "docker exec --interactive $IDENTITY tar -x -C /opt/tepal"

    with instance(image, project, tmp_path) as copied:
        environ = {**os.environ, "IDENTITY": copied.identity}
        waits = copied("sh", "-c", FIRST_START)
        run("sh", "-c", f"git archive HEAD | {copy}", cwd=project, env=environ)
        run("sh", "-c", f"tar -c model | {copy}", cwd=tmp_path, env=environ)
        said = copied("tepal-up")

        assert "tepal: /opt/tepal is empty; copy the project there, then: sudo tepal-up" in waits
        assert f"tepal: ready on port {copied.port}" in said
        assert json.loads(copied.curl("/readyz"))["models"] == {"iris": "1"}


def test_the_first_start_clones_builds_and_waits_until_it_answers(cloning):
    """cloud-init itself reads the file, writes what it names, and runs its commands."""
    said = cloning("sh", "-c", FIRST_START)

    assert f"tepal: ready on port {cloning.port}" in said
    records = '[{"sepal_length":6.3,"sepal_width":2.3,"petal_length":4.4,"petal_width":1.3}]'
    assert json.loads(cloning.curl("/predict", "-d", records))["predictions"] == ["versicolor"]
    assert json.loads(cloning.curl("/predict", "-d", "[5.9,3.0,5.1,1.8]"))["predictions"] == ["virginica"]


def test_again_it_updates(cloning, project):
    """What was committed since is fetched, built and served, and what did not change is not."""
    version = project / "tepal" / "_version.py"
    version.write_text(version.read_text().replace(tepal.__version__, "9.9.9"))
    commit(project, "a new version")

    said = cloning("tepal-up")

    assert f"tepal: ready on port {cloning.port}" in said
    assert cloning.curl("/version").strip() == "9.9.9"


def test_what_was_started_starts_again_with_docker(cloning):
    """An instance that is stopped and started, or whose Docker is updated, needs nobody."""
    identities = cloning("sh", "-c", "cd /opt/tepal && docker compose ps --quiet").split()

    policies = {run("docker", "inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", one) for one in identities}
    assert policies == {"unless-stopped"}


def test_a_service_that_does_not_become_ready_is_an_error_with_its_reason(cloning):
    """The reason is shown, because nobody watched it."""
    cloning("sh", "-c", "echo DEFAULT_MODEL=nobody >> /etc/tepal.env")
    impatient = "sed -i 's/--retry 60/--retry 2/' /usr/local/sbin/tepal-up && tepal-up"

    done = subprocess.run(
        ["docker", "exec", cloning.identity, "sh", "-c", impatient], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "the default model 'nobody' is not in the model repository" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("tepal: not ready after two minutes")
