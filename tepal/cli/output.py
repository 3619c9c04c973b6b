"""What several commands print, and the option that they share."""

from __future__ import annotations

from typing import Any

import click
import msgspec

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a script to read.")


def print_json(value: Any) -> None:
    """Any value that msgspec encodes, as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def count(many: int, noun: str) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{many:,} {noun}" if many == 1 else f"{many:,} {noun}s"
