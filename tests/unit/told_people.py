"""What the tests of notices share: people who are told, and a replica's survey with the notices that go by it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from piko_flow.control.notice_options import NoticeOptions
from piko_flow.control.notices.notice_post import NotDelivered
from piko_flow.control.notices.notices import Notices
from piko_flow.control.replica.survey import Survey
from piko_flow.telemetry.figures import Figures
from piko_flow.testing.simulated import FlowWorld
from tests.unit.control_worlds import HOURLY, Flows, leader

Told = list[tuple[str, str, str]]


class People:
    """Those who are told; `away` notices in a row do not reach them."""

    def __init__(self) -> None:
        self.told: Told = []
        self.notices: list[Mapping[str, object]] = []
        self.away = 0

    async def deliver(self, notice: Mapping[str, object]) -> None:
        if self.away:
            self.away -= 1
            raise NotDelivered("the chat is away")
        self.notices.append(notice)
        self.told.append((str(notice["state"]), str(notice["kind"]), str(notice["subject"])))


class Looking:
    """A survey and the notices that go by it, step by step as a replica takes them."""

    def __init__(self, world: FlowWorld, *people: People, replica: Any = None, **options: Any) -> None:
        replica = (replica or leader(world)).replica
        self.survey = Survey(replica=replica, store=world.store, figures=Figures())
        self.notices = Notices(
            store=world.store,
            replica=replica,
            flows=world.replicas[0].replica.worker._flows,  # type: ignore[arg-type]  # a registry is a collection, too
            options=NoticeOptions(**options),
            clock=world.clock,
            places=[one.deliver for one in people],
            lease="default",
            seen=lambda: self.survey.seen,
        )

    async def step(self) -> None:
        await self.survey.step()
        await self.notices.step()


@asynccontextmanager
async def failing(flows: Flows) -> AsyncIterator[FlowWorld]:
    """A world whose flow `orders` has failed in its first hour."""
    flows.add("orders", schedule=HOURLY)
    flows.fails["orders"] = OSError("no")
    async with flows.within() as world:
        await world.advance(hours=1)
        yield world


@pytest.fixture
def flows() -> Flows:
    return Flows()


@pytest.fixture
def people() -> People:
    return People()
