"""The command that removes a version."""

from __future__ import annotations

import click

from tepal import artifact, repository
from tepal.errors import ArtifactError
from tepal.publish import store_from_environ


@click.command("remove", epilog="Example: tepal remove iris 3")
@click.argument("name")
@click.argument("version")
def remove_command(name: str, version: str) -> None:
    """Remove a version of a model for good, without asking.

    With its last version the model is gone. The number is not given to another version while the model has any.
    A running service goes on with what it has loaded.
    """
    store = store_from_environ()
    repository.numbers_of(store, name, version)
    try:
        left = artifact.remove(store / name, version)
    except OSError as error:
        raise ArtifactError(f"{store / name / version} cannot be removed: {error.strerror or error}") from None
    rest = f"version{'s' * (len(left) > 1)} {', '.join(left)} stay{'s' * (len(left) == 1)}" if left else "the model is gone"
    click.echo(f"Removed {name} version {version}; {rest}.")
