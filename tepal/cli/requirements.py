"""The command that says what to install: requirements."""

from __future__ import annotations

import os

import click
import msgspec

from tepal import artifact, requirements
from tepal.publish import store_from_environ


@click.command("requirements")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a script to read.")
def requirements_command(as_json: bool) -> None:
    """Print the exact packages that the models need, as a file for pip. The build of the image installs them.

    The version of each model counts that was chosen to answer, all of a split and the shadow too; else the newest.
    MODELS, a comma list, limits it to the named models.

    Example: tepal requirements > r.txt && pip install -r r.txt
    """
    named = [name.strip() for name in os.environ.get("MODELS", "").split(",")]
    needed = requirements.read(store_from_environ(), [name for name in named if name])
    for note in needed.notes:
        click.echo(f"Note: {note}", err=True)
    if as_json:
        shown = {"python": needed.python, "packages": needed.packages, "needed_by": needed.needed_by}
        click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
    elif needed.python is not None:
        click.echo(f"# Made on Python {needed.python}; as an image: {artifact.build_command(needed.python)}")
        for package, version in needed.packages.items():
            click.echo(f"{package}=={version}  # {', '.join(needed.needed_by[package])}")
