"""Visiting an application that serves in another process: how long answers take, and what they cost it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import httpx

PAGE = {"accept": "text/html", "sec-fetch-site": "none", "sec-fetch-mode": "navigate"}
WARM, TIMED, COUNTED = 3, 15, 10


@dataclass(frozen=True)
class Visit:
    """What came of one address: the seconds of the first answer, the median of later ones, those that the processor
    worked for one, its statements, the longest stall of the control loop."""

    first: float
    seconds: float
    worked: float
    statements: float
    stall: float


@dataclass(frozen=True)
class Place:
    """Where an application answers, and what lets in."""

    address: str
    token: str
    links: list[str]

    def program(self) -> httpx.Client:
        """Somebody with a token."""
        return httpx.Client(
            base_url=self.address, headers={"authorization": f"Bearer {self.token}"}, timeout=60
        )

    def browser(self, number: int = 0) -> httpx.Client:
        """A browser that is logged in; each number once."""
        client = httpx.Client(base_url=self.address, headers=PAGE | {"origin": self.address}, timeout=60)
        answer = client.get(f"/login?token={self.links[number]}")
        assert answer.status_code == 303, answer.text
        return client


@contextmanager
def served(url: str, flows: int, *, ticking: bool = False) -> Iterator[Place]:
    """The application over this database, in a process of its own, until the end of the block."""
    command = [sys.executable, "-m", "tests.benchmarks.ops_server", url, str(flows)]
    command.append("ticking" if ticking else "still")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Place(**json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def measured(client: httpx.Client) -> dict[str, float]:
    """What the application says of itself; the stall is the longest since it was asked last."""
    answer = client.get("/measured")
    assert answer.status_code == 200, answer.text
    found: dict[str, float] = answer.json()
    return found


def visit(client: httpx.Client, path: str) -> Visit:
    """Ask for the path again and again, one question at a time.

    The statements are the fewest of several answers, since the application sends some of its own meanwhile.
    """
    first = _ask(client, path)
    for _ in range(WARM - 1):
        _ask(client, path)
    before = measured(client)
    seconds = median(_ask(client, path) for _ in range(TIMED))
    after = measured(client)
    worked = (after["cpu"] - before["cpu"]) / TIMED
    sent = min(_statements(client, path) for _ in range(COUNTED))
    return Visit(first, seconds, worked, sent, after["stall"])


def _ask(client: httpx.Client, path: str) -> float:
    begin = perf_counter()
    answer = client.get(path)
    seconds = perf_counter() - begin
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:1000])
    return seconds


def _statements(client: httpx.Client, path: str) -> float:
    before = measured(client)["statements"]
    _ask(client, path)
    return measured(client)["statements"] - before
