"""bench/tools/clock.ts for the peers: time that passes, less the waits for a core that others took."""

import sys
import time


def _waited():
    """Seconds that the main thread was ready to run and had no core; 0 where nobody counts it."""
    if sys.platform != "linux":
        return 0.0
    with open("/proc/self/schedstat") as stat:
        return int(stat.read().split()[1]) / 1e9


def start_clock():
    """Starts a clock and returns what reads it: (seconds, seconds on the wall,
    seconds of CPU of all threads)."""
    waited, start, cpu = _waited(), time.perf_counter(), time.process_time()

    def read():
        wall = time.perf_counter() - start
        return wall - (_waited() - waited), wall, time.process_time() - cpu

    return read
