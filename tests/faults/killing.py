"""Work that is killed at random moments, or at one step after the other, and begun again until it is done."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FIRST_SPAN = 0.2  # seconds within which the first kill comes
PATIENCE = 60.0  # seconds for work that nobody kills


class Killer:
    """Begins coroutine functions of one module in processes of their own, and kills them with -9.

    The moments are drawn from a generator with the seed that it prints, within the time that the work was seen to
    take. `kills` counts those that came while the work was going on.
    """

    def __init__(self, process: asyncio.subprocess.Process, seed: int) -> None:
        self._process, self._random = process, random.Random(seed)
        self._span = FIRST_SPAN
        self.kills = 0

    async def work(self, call: str, *, most: int, **arguments: Any) -> None:
        """Begin the work, kill it and begin it again, at most `most` times; then let it end, which it must do well."""
        for _ in range(most):
            if await self._once(call, arguments, self._random.uniform(0, self._span)):
                return
        assert await self._once(call, arguments, None), f"{call} did not end within {PATIENCE:g} seconds"

    async def dies_at(self, step: int, call: str, **arguments: Any) -> bool:
        """Begin work that dies at this step, see dying.py, and then the same again without; False if it had fewer."""
        if await self._once(call, arguments, None, step):
            return False
        assert await self._once(call, arguments, None), f"{call} did not end within {PATIENCE:g} seconds"
        return True

    async def _once(
        self, call: str, arguments: dict[str, Any], kill_after: float | None, step: int | None = None
    ) -> bool:
        """Whether the work ended by itself."""
        await self._tell({"call": call, "arguments": arguments, "step": step})
        child = (await self._answer())["pid"]
        clock = asyncio.get_running_loop()
        began, answer = clock.time(), asyncio.ensure_future(self._answer())
        done, _ = await asyncio.wait([answer], timeout=PATIENCE if kill_after is None else kill_after)
        if not done:
            with suppress(ProcessLookupError):  # it has ended in this moment, as the answer will say
                os.kill(child, signal.SIGKILL)
        assert done or step is None, f"{call} neither died nor ended within {PATIENCE:g} seconds"
        code = (await answer)["code"]
        if code == -signal.SIGKILL:
            self.kills += 1
            self._span = min(self._span * 1.1, PATIENCE)
            return False
        assert code == 0, f"{call} failed; its output tells why"
        self._span = max(clock.time() - began, 0.005)
        return True

    async def _tell(self, asked: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        await self._process.stdin.drain()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the program that begins the work has ended"
        told: dict[str, Any] = json.loads(line)
        return told


@asynccontextmanager
async def killing(module: str, *, seed: int = 0) -> AsyncIterator[Killer]:
    """A killer of the work that is defined in the module, for example "tests.faults.killed_spool".

    The seed is that of the moments which it draws.
    """
    print(f"seed {seed} of {module}")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.killed",
        module,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    killer = Killer(process, seed)
    try:
        await killer._answer()
        yield killer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # or its pipes are closed by chance, with a warning
