"""A replica in a process of its own, which says when it leads: `python -m tests.benchmarks.control_leader URL`."""

from __future__ import annotations

import asyncio
import sys

from tests.benchmarks.control_service import registry_of, serving


async def lead(url: str) -> None:
    """Say "leads" when it does, and go on until killed."""
    async with serving(url, registry_of(["one"])):
        print("leads", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(lead(sys.argv[1]))
