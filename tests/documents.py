"""The pages of the project: README, docs/, and the rest that git knows, as what tests can compare and run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.servers import ROOT


class Page(NamedTuple):
    """One Markdown file. name: its path from the project's root."""

    name: str
    text: str

    def section(self, title: str) -> str:
        """What stands under a second-level heading."""
        return self.text.split(f"\n## {title}\n")[1].split("\n## ")[0]

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks of one language, whatever their indentation."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)

    def shown(self) -> list[tuple[str, str]]:
        """Each command of the console blocks with the output beneath it."""
        return [
            (command, output)
            for block in self.blocks("console")
            for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
        ]

    def links(self) -> list[str]:
        """The targets that are not on the web."""
        return re.findall(r"\]\((?!https?:)([^)]+)\)", self.text)

    def anchors(self) -> set[str]:
        """The anchors that GitHub makes of the headings."""
        prose = re.sub(r"^```.*?^```$", "", self.text, flags=re.DOTALL | re.MULTILINE)
        headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tables(text: str) -> list[list[list[str]]]:
    """Each table as its rows of cells, the head first."""
    found = re.findall(r"^((?:\|.*\|\n)+)", f"{text}\n", re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines() if not row.startswith("|--")]
        for table in found
    ]


def page(name: str) -> Page:
    """A page by its path from the root."""
    return Page(name, (ROOT / name).read_text())


def pages() -> list[Page]:
    """Every page that git knows, or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [page(name) for name in sorted(names) if Path(ROOT / name).exists()]
