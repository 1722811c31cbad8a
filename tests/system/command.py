"""The real command in a process of its own, and a module of pipelines for it to run."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "piko_flow.cli.main"]
IGNORING_SIGINT = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")  # as shells start jobs in the background
PATIENCE = 240.0  # seconds until a command that should have ended is taken for hanging

FLOWS = '''
import asyncio
import sys
import time

from piko_flow import CpuMap, Filter, On, Route, Sink, Source, Transform
from piko_flow.connectors.files import JsonLinesSink

STARTED = []


def say_once(item):
    """Tell on standard output that items flow; used to send signals at the right moment."""
    if not STARTED:
        STARTED.append(item)
        print("started", flush=True)


def numbers():
    return range(1_000)


def check(number: int) -> int:
    if number == 77:
        raise KeyError("no such number")
    return number


def square(number: int) -> int:
    return number * number


def write(item: object) -> None:
    pass


async def pace(item: int) -> int:
    await asyncio.sleep(0.001)
    return item


async def pace_and_stop(item: int) -> int:
    if item >= 100:
        await asyncio.Event().wait()
    return item


class TellingSink(JsonLinesSink):
    """Says when it has written the first lines; by then there are a file and workers that could be left behind."""

    async def write(self, items, /):
        await super().write(items)
        say_once(items)


def squares(pace):
    return (
        Source(range(10**9))
        >> Transform(pace, concurrency=4)
        >> CpuMap(square, workers=2)
        >> Sink(TellingSink("squares.jsonl"), batch=5)
    )


def interrupt(item: int) -> int:
    raise KeyboardInterrupt


async def interrupt_async(item: int) -> int:
    await asyncio.sleep(0)
    raise KeyboardInterrupt


class GivenUp(BaseException):
    pass


def give_up(item: int) -> int:
    raise GivenUp("enough")


def talk(item: int) -> int:
    print("said by a stage")
    return item


def talk_away(item: int) -> int:
    print("said by a worker")
    return item


def chatty():
    print("said while composing")
    return Source(range(3)) >> Transform(talk) >> CpuMap(talk_away, workers=1) >> Sink(print)


def stuck(item: int) -> int:
    say_once(item)
    while True:
        time.sleep(0.01)


orders = Source(numbers) >> CpuMap(square, workers=2) >> Sink(write)
failing = Source(numbers) >> Transform(check) >> Sink(write)
failing_away = Source(numbers) >> CpuMap(check, workers=1) >> Sink(write)
lenient = Source(numbers) >> Transform(check, on_error="dead_letter") >> Sink(write)
endless = squares(pace)
hanging = squares(pace_and_stop)
into_a_stream = Source(numbers) >> Sink(sys.stderr)
interrupting = Source(numbers) >> Transform(interrupt) >> Sink(write)
interrupting_async = Source(numbers) >> Transform(interrupt_async, concurrency=3) >> Sink(write)
giving_up = Source(numbers) >> Transform(give_up) >> Sink(write)
blocking = Source(numbers) >> Transform(stuck) >> Sink(write)
into_a_file = Source(numbers) >> Sink(JsonLinesSink("numbers.jsonl"))
open_end = Source(numbers) >> Transform(square)


def made():
    return orders


def needs_a_path(path):
    return orders


def raises():
    raise RuntimeError("not today")


def broken_splits():
    raise ValueError("no splits")


planned = Source(lambda split: [split], splits=broken_splits) >> Sink(write)
answer = 42
'''


def environment(**extra: str) -> dict[str, str]:
    """The environment of the command: this checkout, no colours asked for, 80 columns."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
    }
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"} | extra


def piko(*arguments: str, folder: Path, **extra: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end in a folder."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def piko_json(*arguments: str, folder: Path) -> Any:
    """What the command, given --json, wrote to standard output; fails unless it exits with 0."""
    done = piko(*arguments, "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Started:
    """A command in progress, in a session of its own so that what it leaves behind can be found."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def stop(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def wait_for(self, words: str, stream: IO[str]) -> str:
        """Read lines until one has the words; gives that line."""
        for line in stream:
            if words in line:
                return line
        raise AssertionError(f"the command ended without saying {words!r}")

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: exit code, and the rest of what it wrote."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def session(self) -> list[int]:
        """The processes of the command's session that live; one that has no memory any more has ended."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.cmdline():
                    found.append(process.pid)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found


@contextmanager
def started(*arguments: str, folder: Path, behind: Sequence[str] = ()) -> Iterator[Started]:
    """Start the command, `behind` another one; whatever of it still lives when the block ends is killed."""
    process = subprocess.Popen(
        [*behind, *COMMAND, *arguments],
        cwd=folder,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    command = Started(process)
    try:
        yield command
    finally:
        for pid in command.session():
            with suppress(ProcessLookupError):  # it has ended with those before it
                os.kill(pid, signal.SIGKILL)
        process.communicate()
