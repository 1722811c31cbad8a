"""Functions that fail, in a module that worker processes and interpreters of units can import."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


def halved(item: int) -> int:
    """Half of it; of 3 there is none."""
    if item == 3:
        raise ValueError(f"{item} has no half")
    return item // 2


def priced(order: dict[str, Any]) -> dict[str, Any]:
    """The order, which has no price."""
    raise LookupError(f"no price for card {order['card']}")


@asynccontextmanager
async def closed_shop() -> AsyncIterator[None]:
    """A resource that cannot be opened."""
    raise ConnectionError("the shop at postgresql://shop:geheim@db/shop is closed")
    yield
