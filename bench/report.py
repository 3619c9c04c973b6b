"""The figures as tables, and as the page RESULTS.md."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.claims import claims
from bench.contenders import BY_NAME
from bench.environments import ROOT, place, versions
from bench.figures import Figures, Run
from bench.load import size
from bench.measure import Footprint
from bench.models import MODELS

WAYS = {"nginx": "behind nginx", "bare": "bare", "–": "–"}


def number(value: float | None) -> str:
    """Three digits, or the whole of a larger number."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: Sequence[float]) -> str:
    """The median, and the least and the most."""
    if not values:
        return "–"
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}–{number(max(values))})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], words: bool = False) -> str:
    """A table of Markdown that is one for the eye, too. words: to the left, where figures go to the right."""
    whole = [list(head), *map(list, rows)]
    widths = [max(len(row[place]) for row in whole) for place in range(len(head))]
    right = [place > 0 and not words for place in range(len(head))]
    lines = []
    for row in whole:
        cells = (cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in zip(row, widths, right))
        lines.append(f"| {' | '.join(cells)} |")
    rule = "|".join("-" * (width + 1) + (":" if to_right else "-") for width, to_right in zip(widths, right))
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def speed(figures: Figures, work: str, model: str, connections: int, way: str) -> str:
    """One table: everybody on one kind of work."""
    wanted = {"work": work, "model": model, "connections": connections, "way": way}
    rows = []
    cost = {name: figures.median("cpu", name=name, **wanted) for name in figures.names(**wanted)}
    for name in sorted(cost, key=lambda name: cost[name] or float("inf")):
        mine, every = figures.shown(name=name, **wanted), figures.of(name=name, **wanted)
        rows.append(
            [
                name,
                spread([one.cpu for one in mine]),
                number(figures.ratio(name, "hello", **wanted)),
                number(figures.ratio(name, "seed", **wanted)),
                spread([one.rate for one in mine]),
                spread([one.p50 for one in mine]),
                spread([one.p99 for one in mine]),
                f"{sum(one.errors for one in every):,} of {sum(one.requests for one in every):,}",
            ]
        )
    return table(["", "CPU µs/request", "× hello", "× seed", "requests/s", "p50 ms", "p99 ms", "errors"], rows)


def bulk(figures: Figures, work: str, model: str) -> str:
    """The table of one large request at a time."""
    rows_of_one = int(re.sub(r"\D", "", work))
    rows = []
    took = {name: figures.median("p50", work=work, model=model, name=name) for name in figures.names(work=work, model=model)}
    for name in sorted(took, key=lambda name: took[name] or float("inf")):
        mine, every = (which(work=work, model=model, name=name) for which in (figures.shown, figures.of))
        rows.append(
            [
                name,
                spread([rows_of_one * one.rate for one in mine]),
                spread([one.p50 for one in mine]),
                spread([one.cpu / rows_of_one for one in mine]),
                f"{sum(one.errors for one in every)} of {sum(one.requests for one in every)}",
            ]
        )
    return table(["", "rows/s", "ms", "CPU µs/row", "errors"], rows)


def feet(found: dict[str, Footprint]) -> str:
    """The table of starts and memory."""
    workers = sorted({count for one in found.values() for count in one.memory})
    rows = []
    for name, one in found.items():
        contender = BY_NAME[name]
        folder = place(contender.requirements)
        rows.append(
            [
                name,
                spread(one.start),
                *(number(one.memory.get(count)) for count in workers),
                number(one.door),
                number(one.idle),
                number(size(folder)),
            ]
        )
    head = [
        "",
        "s to the first answer",
        *(f"MiB, {count} workers" for count in workers),
        "its nginx",
        "idle CPU ms/s",
        "installed MiB",
    ]
    return table(head, rows)


def page(run: Run) -> str:
    """The whole of it as Markdown."""
    figures = Figures(run.samples)
    parts = ["# Results", f"`{run.command}`, {run.day}. {machine()} [README.md](README.md) says what is measured, and how."]
    parts += ["What is claimed of Tepal:", table(["claim", "bar", "measured", "holds"], judged(figures, run))]
    parts += ["## Who", who(run)]
    for work, model in dict.fromkeys((one.work, one.model) for one in run.samples):
        parts += [f"## {model}, {work}", f"{MODELS[model].says}."]
        if work.startswith("100,000"):
            parts += ["One request at a time, behind nginx.", bulk(figures, work, model)]
            continue
        for connections, way in dict.fromkeys((one.connections, one.way) for one in figures.of(work=work, model=model)):
            title = f"{connections} connection{'s' * (connections > 1)}, {WAYS[way]}:"
            parts += [title, speed(figures, work, model, connections, way)]
    if run.feet:
        parts += ["## Start, memory, size", "Iris, without nginx. PSS when idle, after some load.", feet(run.feet), image()]
    return "\n\n".join(parts) + "\n"


def judged(figures: Figures, run: Run) -> Iterable[list[str]]:
    """The rows of the table of claims."""
    for claim in claims(figures, run):
        yield [claim.says, claim.bar, number(claim.value), {None: "–", True: "yes", False: "**no**"}[claim.holds]]


def who(run: Run) -> str:
    """The table of everybody, those that could not be measured too."""
    rows = []
    for name in (contender for contender in BY_NAME if contender in {*run.checked, *run.refused, *run.feet}):
        contender = BY_NAME[name]
        python = place(contender.requirements) / "bin" / "python"
        reason = f"not measured: {run.refused[name]}" if name in run.refused else ""
        told = "; ".join(filter(None, [versions(python, contender.shows) if python.exists() else "", reason]))
        rows.append([name, contender.says, told, str(run.checked.get(name, "–"))])
    return table(["", "what it is", "versions", "wrong answers"], rows, words=True)


def machine() -> str:
    """The machine in a sentence or two."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr.strip().rpartition("/")[2]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    ).stdout.strip()
    cpu = found[1] if found else platform.machine()
    return (
        f"Commit {commit}, on {os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, Linux {platform.release().split('-')[0]}, "
        f"nginx {nginx}; the load comes from the same machine, and takes a core of it."
    )


def image() -> str:
    """The size of the image, where Docker is there and it was built."""
    command = ["docker", "image", "inspect", "tepal", "tepal-nginx", "--format", "{{index .RepoTags 0}} {{.Size}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "No Docker here, so no size of an image."
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    sizes = [f"`{tag.split(':')[0]}` {int(bytes_) / 1e6:.0f} MB" for tag, bytes_ in lines]
    return f"Images: {', '.join(sizes)}." if sizes else "The images were not built here: `docker compose build`."
