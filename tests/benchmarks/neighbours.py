"""How much of the machine other processes take: a figure measured beside them says less."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOOK = 0.2  # seconds that a look at an idle machine takes
QUIET = 0.1  # of the machine; with less than this taken by others it counts as quiet


@dataclass
class Share:
    """The part of all cores that others had; 0 where the system does not tell."""

    value: float = 0.0


@contextmanager
def others(servers: Callable[[], Iterable[int]] = tuple) -> Iterator[Share]:
    """Measure, over the block, what other processes took.

    Not counted are this one, the children it has waited for, and the processes whose ids `servers` gives.
    """
    share, began, all_before, own_before = Share(), time.perf_counter(), _all_busy(), _own_busy()
    served_before = {process: _busy(process) for process in servers()}
    yield share
    available = (time.perf_counter() - began) * (os.cpu_count() or 1)
    served = sum(_busy(process) - served_before.get(process, 0.0) for process in servers())
    taken = (_all_busy() - all_before) - (_own_busy() - own_before) - served
    share.value = min(max(taken / available, 0.0), 1.0)


def wait_for_quiet(patience: float) -> None:
    """Return when others leave the machine alone, or when that does not happen within so many seconds."""
    deadline = time.perf_counter() + patience
    while time.perf_counter() < deadline:
        with others() as share:
            time.sleep(LOOK)
        if share.value < QUIET:
            return


def _all_busy() -> float:
    """Seconds that all cores together were busy since the machine started."""
    statistics = Path("/proc/stat")
    if not statistics.exists():
        return 0.0
    user, nice, system = statistics.read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def _busy(process: int) -> float:
    """Seconds that a process and those it has started and waited for were busy; 0 when it is gone."""
    try:
        statistics = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return 0.0
    fields = statistics.rpartition(")")[2].split()[11:15]
    return sum(map(int, fields)) / os.sysconf("SC_CLK_TCK")


def _own_busy() -> float:
    """Seconds that this process and the children it has waited for were busy."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
