"""Real replicas: processes of `piko-flow serve` on one database, and how a test starts, kills and asks them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.architecture.checkout import ROOT
from tests.databases.server import bound_to_us
from tests.system.running_app import DEADLINE, eventually

SERVES = re.compile(r"serves at (http://\S+) as (\S+)")
SERVE = ("piko_flow.cli.main", "serve", "tests.faults.control_flows", "--port", "0")
QUICK = {
    "leader_lease_s": "5",
    "leader_renew_interval_s": "0.5",
    "replica_lease_s": "5",
    "poll_s": "0.2",
    "poll_interval_s": "0.3",
    "poll_jitter_s": "0",
    "cpu_workers": "1",
}
"""Settings by which everything happens soon, with leases that a busy machine does not let run out."""
LEASE = timedelta(seconds=float(QUICK["leader_lease_s"]))


class Replica:
    """One process; it ends at the latest with the test."""

    def __init__(
        self, folder: Path, number: int, database: str, program: Sequence[str], settings: dict[str, str]
    ) -> None:
        self._log = folder / f"replica-{number}.log"
        environment = {name: text for name, text in os.environ.items() if not name.startswith("PIKO_")}
        environment |= {f"PIKO_{name.upper()}": text for name, text in settings.items()}
        environment |= {"PYTHONPATH": str(ROOT), "PIKO_DATABASE": database}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*bound_to_us("KILL"), sys.executable, "-m", *program],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(errors="replace")

    @property
    def id(self) -> str:
        """Its id as a replica; empty before it serves."""
        return found[2] if (found := SERVES.search(self.log)) else ""

    async def serving(self) -> None:
        """Return when it serves. Raises AssertionError with its log when it ends instead."""

        async def told() -> bool:
            assert self.alive, self.log
            return bool(self.id)

        await eventually(told)

    async def probe(self, path: str) -> tuple[int, dict[str, Any]]:
        """What a probe answers."""
        found = SERVES.search(self.log)
        assert found is not None, self.log
        async with httpx.AsyncClient(trust_env=False, timeout=DEADLINE) as client:
            answer = await client.get(found[1] + path)
        return answer.status_code, answer.json()

    async def says(self, expected: Callable[[int, dict[str, Any]], bool]) -> dict[str, Any]:
        """What /readyz answers, as soon as code and answer are as expected."""

        async def found() -> dict[str, Any] | None:
            code, answer = await self.probe("/readyz")
            return answer if expected(code, answer) else None

        answer = await eventually(found)
        assert answer is not None
        return answer

    async def logged(self, words: str, count: int = 1) -> None:
        """Return when it has logged these words so many times."""

        async def told() -> bool:
            return self.log.count(words) >= count

        await eventually(told)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it without a word; returns when it has ended."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """Let it stand still, until `thaw`."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if nothing had been."""
        self.signal(signal.SIGCONT)

    async def ended(self) -> int:
        """Its exit code, when it has ended by itself."""

        async def over() -> bool:
            return not self.alive

        await eventually(over)
        return self._process.wait()

    def discard(self) -> None:
        """End it in whatever state it is."""
        if self.alive:
            self.kill()
