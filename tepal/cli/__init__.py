"""The command line: ``tepal``, or ``python -m tepal``; each file beside this one holds commands of one kind.

Exit codes: 0 done, 1 refused (the reason is one sentence on standard error), 2 wrong usage.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any

import click

from tepal import TepalError, __version__

# Which file holds a command: only the file of the one that runs is imported.
COMMANDS = {
    "publish": "publish",
    "list": "look",
    "show": "look",
    "verify": "look",
    "remove": "remove",
    "predict": "predict",
    "requirements": "requirements",
    "promote": "traffic",
    "rollback": "traffic",
    "split": "traffic",
    "shadow": "traffic",
    "rollout": "rollout",
}


class Commands(click.Group):
    """The commands of COMMANDS. Shows an error of ours as its sentence, and leaves with 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"tepal.cli.{COMMANDS[name]}"), f"{name}_command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal of few characters gets those that it can show
        try:
            return super().invoke(ctx)
        except TepalError as error:
            reason = str(error)
        except PermissionError as error:
            reason = f"{error.filename}: {error.strerror}"
        click.echo(f"Error: {reason}", err=True)
        return ctx.exit(1)


@click.group(cls=Commands)
@click.version_option(__version__, prog_name="tepal")
def main() -> None:
    """Publish models, look into the model repository (the folder that MODEL_STORE names, or model/), ask them.

    Example: tepal list
    """
