"""The command that removes a version."""

from __future__ import annotations

import click

from tepal import artifact, choice, repository
from tepal.errors import ArtifactError, RepositoryError
from tepal.publish import store_from_environ

_FIRST = {
    "pinned": "is pinned; first let another answer: tepal promote {name} latest",
    "split": "is in the split; first end that: tepal promote {name} latest",
    "shadow": "is the shadow; first end that: tepal shadow {name} off",
}


@click.command("remove", epilog="Example: tepal remove iris 3")
@click.argument("name")
@click.argument("version")
def remove_command(name: str, version: str) -> None:
    """Remove a version of a model for good, without asking.

    With its last version the model is gone. The number is not given to another version while the model has any.
    A running service drops it within a second. One that was chosen to answer, or as the shadow, is not removed.
    """
    store = store_from_environ()
    repository.numbers_of(store, name, version)

    def check() -> None:
        for use in choice.uses(choice.read(store / name), version):
            raise RepositoryError(f"version {version} of '{name}' {_FIRST[use].format(name=name)}")

    try:
        left = artifact.remove(store / name, version, check)
    except OSError as error:
        raise ArtifactError(f"{store / name / version} cannot be removed: {error.strerror or error}") from None
    rest = f"version{'s' * (len(left) > 1)} {', '.join(left)} stay{'s' * (len(left) == 1)}" if left else "the model is gone"
    click.echo(f"Removed {name} version {version}; {rest}.")
