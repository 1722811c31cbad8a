"""Interpreters that work for a run: how many there may be, how one is started, and how it ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from piko_flow.counting import whole_number
from piko_flow.dataflow.graph.origin import caller
from piko_flow.errors import PipelineError


def check_count(what: str, option: str, value: object, advice: str = "") -> None:
    """Refuse, with PipelineError at the caller's line, what is not a number of processes or of units."""

    def refuse(rule: str, got: str) -> NoReturn:
        raise PipelineError(what=what, where=str(caller()), rule=rule, got=got, advice=advice)

    whole_number(option, value, refuse)


@dataclass(frozen=True, slots=True)
class Death:
    """A worker ended before it answered. `code` is minus the signal's number, or its exit code.

    `at` is the index of the item it was on, or LOADING, UNPACKING or PACKING; None if it had not begun.
    `fault` is what went wrong on this side, when it was ended because its reply could not be received.
    `late` says that it was ended because one item took longer than its timeout.
    """

    code: int
    at: int | None
    fault: OSError | None = None
    late: bool = False

    @property
    def cause(self) -> str:
        """How it ended, for people."""
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            return f"signal {-self.code} ({signal.Signals(-self.code).name})"
        except ValueError:
            return f"signal {-self.code}"


def launch(*arguments: str, inherits: Sequence[int], own_group: bool = False) -> subprocess.Popen[bytes]:
    """Start an interpreter like this one with these arguments, which inherits these files and has no input.

    With `own_group` what its functions start can be ended with it. Raises OSError when the system has no room.
    """
    # Blocked until the program ignores it, or a Ctrl-C in its first milliseconds would print a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        return subprocess.Popen(
            [sys.executable, *_interpreter_options(), "-P", *arguments],
            pass_fds=inherits,
            stdin=subprocess.DEVNULL,
            process_group=0 if own_group else None,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interpreter_options() -> list[str]:
    """What this interpreter was started with, where it changes what code does."""
    options = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    if sys.flags.dont_write_bytecode:
        options.append("-B")
    if sys.flags.dev_mode:
        options += ["-X", "dev"]
    if sys.flags.utf8_mode:
        options += ["-X", "utf8"]
    return options + [f"-W{option}" for option in sys.warnoptions]
