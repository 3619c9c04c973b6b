"""How a worker ends when it is told to quit."""

from __future__ import annotations

import signal
import subprocess
import sys

QUITS = """
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from api.server.worker import Worker

worker = Worker.__new__(Worker)
worker._watch, worker.tpool = SimpleNamespace(busy=False), ThreadPoolExecutor()
with worker.tpool._shutdown_lock:
    worker.handle_quit({sign}, None)
raise SystemExit("it went on")
"""


def test_a_second_signal_in_the_middle_of_the_first_ends_it_all_the_same():
    """Ctrl-C comes twice: from the terminal, and from the master. The first may hold the locks of the thread pool."""
    done = subprocess.run([sys.executable, "-c", QUITS.format(sign=int(signal.SIGQUIT))], timeout=20, check=False)

    assert done.returncode == 0
