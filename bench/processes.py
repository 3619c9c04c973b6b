"""What a tree of processes costs: its CPU seconds, and its memory, as the kernel counts them in /proc."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")  # a second, in the unit of /proc/PID/stat
GRACE = 20  # seconds to end in


def tree(roots: Iterable[int]) -> set[int]:
    """These processes and all that they started, and those started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, new = set[int](), list(roots)
    while new:
        found.add(pid := new.pop())
        new.extend(children.get(pid, ()))
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of the tree so far, that of its processes that have ended included."""
    ticks = 0
    for pid in tree(roots):
        if fields := _stat(pid):
            ticks += sum(map(int, fields[11:15]))  # utime, stime, and both of the children that were waited for
    return ticks / TICK


def pss_mib(roots: Iterable[int]) -> float:
    """Memory of the tree in MiB: a page that n processes share counts as 1/n for each."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1]) if found else 0
    return total / 1024


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat that follow the program's name; None where there is no such process any more."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return None


@contextlib.contextmanager
def running(
    command: Sequence[str], environ: Mapping[str, str], log: Path, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in ``folder``, that ends with the block, and all that it started with it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environ}, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        everyone = tree([process.pid])
        process.terminate()
        end = time.monotonic() + GRACE
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        for pid in everyone:  # what is still there of it: not all programs take their children along
            with contextlib.suppress(ProcessLookupError):
                if pid == process.pid or _stat(pid):
                    os.kill(pid, signal.SIGKILL)
        process.wait()
