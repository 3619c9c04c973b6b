"""``python -m train`` lists the trainers; ``python -m train NAME`` runs one."""

from __future__ import annotations

import importlib
import pkgutil

import click

import train
from tepal import TepalError


class Trainers(click.Group):
    """One command for each file beside this one: its ``main``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name for module in pkgutil.iter_modules(train.__path__) if module.name != "__main__")

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"train.{name}").main
        return command

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
        except TepalError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1)


@click.group(cls=Trainers, invoke_without_command=True, no_args_is_help=False)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Train an example model and publish it into the model repository.

    Example: python -m train iris --algorithm svm
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


if __name__ == "__main__":
    main(prog_name="python -m train")
