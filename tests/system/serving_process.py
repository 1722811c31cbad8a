"""`python app.py` and ASGI servers as processes of their own, with their probes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds for anything on a busy machine
QUICK = {
    "PIKO_POLL_S": "0.1",
    "PIKO_LEADER_LEASE_S": "3",
    "PIKO_LEADER_RENEW_INTERVAL_S": "1",
    "PIKO_DRAIN_S": "10",
}


class Process:
    """A server that was started, what it said, and how to ask it."""

    def __init__(self, command: Sequence[str], folder: Path, **variables: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIKO_")}
        environment |= {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), **QUICK, **variables}
        self.popen = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._reader = Thread(target=self._read, name="reader")
        self._reader.start()
        self.address = ""

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line.rstrip())

    @property
    def said(self) -> str:
        """All that it has written."""
        return "\n".join(self.lines)

    def until_said(self, pattern: str) -> re.Match[str]:
        """The first match in what it writes; fails when it ends or takes too long."""
        deadline = monotonic() + PATIENCE
        while (found := re.search(pattern, self.said)) is None:
            waits = self.popen.poll() is None and monotonic() < deadline
            assert waits, f"{pattern!r} never came:\n{self.said}"
            sleep(0.02)
        return found

    def get(self, path: str) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        if not self.address:
            self.address = self.until_said(r"(http://127\.0\.0\.1:\d+)").group(1)
        try:
            with urllib.request.urlopen(self.address + path, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    def until_answered(self, path: str, status: int, wanted: Any = None) -> Any:
        """The JSON of the first answer of this status (and with this content); fails when it takes too long."""
        deadline = monotonic() + PATIENCE
        while monotonic() < deadline:
            try:
                found, answer = self.get(path)
            except OSError:  # it does not listen yet
                found, answer = 0, None
            if found == status and wanted in (None, answer):
                return answer
            sleep(0.05)
        raise AssertionError(f"{path} never answered {status}:\n{self.said}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit code."""
        self.popen.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """The exit code, when it has ended."""
        code = self.popen.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def close(self) -> None:
        """End it, however it is."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.wait()
        assert self.popen.stdout is not None
        self.popen.stdout.close()


@contextmanager
def started(command: Sequence[str], folder: Path, **variables: str) -> Iterator[Process]:
    """A process that is gone after the block."""
    process = Process([sys.executable, *command], folder, **variables)
    try:
        yield process
    finally:
        process.close()
