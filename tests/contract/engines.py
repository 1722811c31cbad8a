"""The engines that the contract is for."""

from __future__ import annotations

from collections.abc import Callable

from piko_flow.dataflow.running.engine import Engine, LocalEngine
from piko_flow.engines.subprocess import SubprocessEngine

MakeEngine = Callable[[], Engine]

ONE_AFTER_THE_OTHER: dict[str, MakeEngine] = {
    "local": LocalEngine,
    "subprocess": lambda: SubprocessEngine(parallel=1),
}
SIDE_BY_SIDE: dict[str, MakeEngine] = {
    "local-2": lambda: LocalEngine(parallel=2),
    "subprocess-2": lambda: SubprocessEngine(parallel=2),
}
ALL = ONE_AFTER_THE_OTHER | SIDE_BY_SIDE
