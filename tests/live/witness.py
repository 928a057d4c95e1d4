"""Whether the machine itself stood still: then what is late is no fault of a daemon's."""

import os
import subprocess
import sys

WATCH = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
try:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(90))
except PermissionError:
    pass
while os.getppid() == int(sys.argv[2]):
    begin = time.monotonic()
    time.sleep(0.005)
    late_s = time.monotonic() - begin - 0.005
    if late_s > 0.01:
        print(time.time(), late_s, flush=True)
"""


class Witness:
    """On each processor one sleeps for 5 ms at a time, with a priority above all daemons'."""

    def __init__(self, folder):
        self._path = folder / "stalls"

    def __enter__(self):
        words = [sys.executable, "-I", "-S", "-c", WATCH]
        with self._path.open("ab") as file:
            self._watchers = [
                subprocess.Popen([*words, str(processor), str(os.getpid())], stdout=file)
                for processor in os.sched_getaffinity(0)
            ]
        return self

    def __exit__(self, *_):
        for watcher in self._watchers:
            watcher.kill()
            watcher.wait()

    def longest_s(self, since_s):
        """The longest stall that ended since this instant of the wall clock, in seconds."""
        rows = [tuple(map(float, line.split())) for line in self._path.read_text().splitlines()]
        return max((late_s for at_s, late_s in rows if at_s >= since_s), default=0.0)
