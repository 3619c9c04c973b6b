"""``python -m tepal``."""

from tepal.cli import main

main(prog_name="tepal")
