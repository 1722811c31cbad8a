"""A program that does pieces of work in processes of their own, as told on its input; see killing.py.

`python -m tests.faults.killed MODULE` imports the module once and forks for each piece, so a piece begins within
milliseconds and can be killed many times.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import traceback
from types import ModuleType
from typing import Any

from tests.faults.dying import die_at


def answer(told: dict[str, Any]) -> None:
    """One line of output."""
    print(json.dumps(told), flush=True)


def begin(module: ModuleType, call: str, arguments: dict[str, Any], step: int | None) -> int:
    """Fork a process that awaits `module.call(**arguments)` and ends with 0, or with 1 and a traceback; or dies at a step."""
    child = os.fork()
    if child:
        return child
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)  # output is the parent's way to answer
        if step is not None:
            die_at(step)
        asyncio.run(getattr(module, call)(**arguments))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Answer `{"pid"}` when a piece of work has begun and `{"code"}` when it has ended, negative for a signal."""
    module = importlib.import_module(sys.argv[1])
    answer({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        child = begin(module, asked["call"], asked["arguments"], asked["step"])
        answer({"pid": child})
        answer({"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})


if __name__ == "__main__":
    main()
