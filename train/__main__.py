"""``python -m train`` lists the trainers; ``python -m train NAME`` runs one."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

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
        try:
            command: click.Command = importlib.import_module(f"train.{name}").main
        except ModuleNotFoundError as missing:
            raise click.ClickException(
                f"the trainer '{name}' needs {missing.name}: pip install -r requirements-train.txt"
            ) from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Trainers"):
            formatter.write_dl([(name, _about(name)) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
        except TepalError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1)


def _about(name: str) -> str:
    """The first line of a trainer's help, read and not run: a list needs no package that a trainer needs."""
    tree = ast.parse(Path(train.__file__).with_name(f"{name}.py").read_text(encoding="utf-8"))
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    return (ast.get_docstring(main) or "").partition("\n")[0]


@click.group(cls=Trainers, invoke_without_command=True, no_args_is_help=False, subcommand_metavar="NAME [OPTIONS]")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Train an example model and publish it into the model repository.

    Example: python -m train iris --algorithm svm
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


if __name__ == "__main__":
    main(prog_name="python -m train")
