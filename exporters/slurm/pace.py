"""When a source is asked again. Pure.

What it costs slurmctld must not grow with the cluster: a command that takes long is run less often, so that it runs a
tenth of the time at the most, and one that fails is tried after twice the time that it took, and each time later.
"""

from __future__ import annotations

SHARE = 10.0
"""Times its own duration a source rests at least."""
MOST_S = 60.0
"""Unless its interval is longer, no source that works is asked more seldom."""
MOST_AFTER_FAILURE_S = 30.0


def pause(interval: float, duration: float, failures: int) -> float:
    """Seconds from the begin of one reading to that of the next. failures: how many failed one after the other."""
    if not failures:
        return max(interval, min(SHARE * duration, MOST_S))
    return max(interval, min(max(2 * duration, interval * float(2 ** min(failures - 1, 10))), MOST_AFTER_FAILURE_S))
