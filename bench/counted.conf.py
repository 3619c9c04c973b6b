"""A configuration of gunicorn whose workers count the steps of Python that they take; what it runs is said by cost.py."""

import mmap
import os
import sys
import threading
from pathlib import Path

from api.server import baton, queue

PLACES = 64  # threads of a worker, at most

if own := os.environ.get("COUNTED_CONFIG"):
    exec(compile(Path(own).read_text(), own, "exec"))


def post_fork(server, worker):
    """Each thread counts in a place of its own: bytecode instructions, then calls of what is not Python."""
    with Path(os.environ["COUNTED_FILE"]).open("r+b") as file:
        cells = memoryview(mmap.mmap(file.fileno(), 16 * PLACES)).cast("Q")
    free = iter(range(PLACES))

    def counters():
        place = 2 * next(free)

        def instructions(frame, event, argument):
            if event == "opcode":
                cells[place] += 1
            return instructions

        def enter(frame, event, argument):
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            return instructions

        def calls(frame, event, argument):
            if event == "c_call":
                cells[place + 1] += 1

        return enter, calls

    def begin(install, which):
        # Called with a thread's first event: from now on it has counters of its own.
        def first(frame, event, argument):
            own = mine.__dict__.setdefault("counters", None) or counters()
            mine.counters = own
            install(own[which])
            return own[which](frame, event, argument)

        return first

    # Whoever counts is slow; what is quick without that is answered as it is then.
    queue.QUICK, baton.RELIEF = 10.0, 10.0
    mine = threading.local()
    threading.settrace(begin(sys.settrace, 0))
    threading.setprofile(begin(sys.setprofile, 1))
    enter, calls = counters()
    sys.settrace(enter)
    sys.setprofile(calls)
