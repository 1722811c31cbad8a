"""Looking up items one by one at a service, many at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from piko_flow import Retry, Sink, Source, StageFailed, Transform, run
from piko_flow.connectors.http import BadAnswer, HttpClient, HttpLookup, NoAnswer
from piko_flow.testing import CollectingSink
from tests.services.answering import Asked, Told, serving

PLACES = {"oslo": {"city": "Oslo", "people": 717_710}, "rome": {"city": "Rome", "people": 2_748_109}}


class Place(BaseModel):
    city: str
    people: int


@dataclass(frozen=True)
class Order:
    number: int
    place: dict[str, str]


def places(asked: Asked) -> Told:
    name = asked.path.rpartition("/")[2]
    return Told(PLACES[name]) if name in PLACES else Told({"error": f"no {name}"}, status=404)


async def looked_up(url: str, items: list[Any], lookup: HttpLookup[Any], **options: Any) -> list[Any]:
    stage = Transform(lookup, uses={"client": HttpClient(url)}, **options)
    return await (Source(items) >> stage).collect()


async def test_an_item_is_looked_up_by_its_fields() -> None:
    with serving(places) as service:
        by_name = HttpLookup[Any]("/places/{}")
        assert await looked_up(service.url, ["rome", "oslo"], by_name) == [PLACES["rome"], PLACES["oslo"]]
        by_field = HttpLookup("/places/{place.key}", of=Place)
        found = await looked_up(service.url, [Order(1, {"key": "rome"})], by_field)
        assert found == [Place(city="Rome", people=2_748_109)]


async def test_parameters_and_address_may_be_functions_of_the_item() -> None:
    def address(item: dict[str, Any]) -> str:
        return f"/v{item['version']}"

    def params(item: dict[str, Any]) -> dict[str, Any]:
        return {"q": item["q"], "limit": None}

    with serving(lambda asked: Told([asked.path, asked.query])) as service:
        found = await looked_up(service.url, [{"version": 2, "q": "a&b"}], HttpLookup(address, params=params))
        assert found == [["/v2", {"q": "a&b"}]]


async def test_what_is_not_there_is_none_where_that_is_asked_for() -> None:
    with serving(places) as service:
        lookup = HttpLookup("/places/{}", of=Place, absent="none")
        assert await looked_up(service.url, ["rom", "rome"], lookup) == [None, Place(**PLACES["rome"])]
        with pytest.raises(StageFailed, match=r"on item 'rom'.*status 404"):
            await looked_up(service.url, ["rom", "rome"], HttpLookup("/places/{}"))


async def test_an_answer_without_content_is_none() -> None:
    with serving(lambda asked: Told(b"", status=204)) as service:
        assert await looked_up(service.url, [1], HttpLookup("/orders/{}", method="DELETE")) == [None]
        assert service.asked[0].method == "DELETE"


async def test_an_answer_that_does_not_fit_the_model_is_told_with_its_address() -> None:
    with serving(lambda asked: Told({"city": "Oslo"})) as service, pytest.raises(StageFailed) as caught:
        await looked_up(service.url, ["oslo"], HttpLookup("/places/{}", of=Place))
    assert isinstance(caught.value.__cause__, BadAnswer)
    assert f"GET {service.url}/places/oslo: the answer does not fit: 1 validation error" in str(caught.value)


async def test_an_item_without_the_field_is_a_dead_letter_and_the_others_go_on() -> None:
    with serving(places) as service:
        stage = Transform(
            HttpLookup[Any]("/places/{key}"), uses={"client": HttpClient(service.url)}, on_error="dead_letter"
        )
        kept: CollectingSink[Any] = CollectingSink()
        report = await run(Source([{"kay": "oslo"}, {"key": "rome"}, {"key": ".."}]) >> stage >> kept)
        assert kept.items == [PLACES["rome"]]
        assert report.dead == 2
        assert [one.path for one in service.asked] == ["/places/rome"]


async def test_no_more_requests_are_under_way_than_the_concurrency() -> None:
    under_way, most = 0, 0
    full = asyncio.Event()

    async def counted(asked: Asked) -> Told:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 8:
            full.set()
        await full.wait()  # no answer before so many are asked at once
        under_way -= 1
        return Told({"path": asked.path})

    with serving(counted) as service:
        found = await looked_up(service.url, list(range(40)), HttpLookup("/{}"), concurrency=8)
    assert [one["path"] for one in found] == [f"/{number}" for number in range(40)]
    assert most == 8


async def test_a_request_may_be_asked_again_while_the_others_go_on() -> None:
    failed: set[str] = set()

    def once_busy(asked: Asked) -> Told:
        if asked.path not in failed and asked.path.endswith("3"):
            failed.add(asked.path)
            return Told(status=503)
        return Told(asked.path)

    with serving(once_busy) as service:
        lookup = HttpLookup[Any]("/{}", retry=Retry(attempts=2, first=0))
        found = await looked_up(service.url, list(range(20)), lookup, concurrency=5)
    assert found == [f"/{number}" for number in range(20)]
    assert failed == {"/3", "/13"}


async def test_a_body_holds_models_and_dates_as_json() -> None:
    def body(order: Order) -> dict[str, Any]:
        return {"place": Place(city="Oslo", people=1), "number": order.number}

    with serving(lambda asked: Told(asked.body)) as service:
        lookup = HttpLookup[Any]("/orders", method="PUT", json=body)
        assert await looked_up(service.url, [Order(5, {})], lookup) == [
            {"place": {"city": "Oslo", "people": 1}, "number": 5}
        ]


async def test_a_lookup_is_one_question_of_a_function_of_ones_own() -> None:
    place_of = HttpLookup("/places/{key}", of=Place)

    async def with_place(order: dict[str, str], client: Any) -> dict[str, Any]:
        return {**order, "people": (await place_of(order, client)).people}

    with serving(places) as service:
        stage = Transform(with_place, concurrency=4, uses={"client": HttpClient(service.url)})
        kept: CollectingSink[Any] = CollectingSink()
        await run(Source([{"key": "oslo"}]) >> stage >> kept)
    assert kept.items == [{"key": "oslo", "people": 717_710}]


async def test_a_scheme_that_is_none_is_refused_and_not_asked_again() -> None:
    with pytest.raises(StageFailed) as caught:
        await (
            Source([1])
            >> Transform(HttpLookup[Any]("orders/{}"), uses={"client": HttpClient()})
            >> Sink(print)
        ).run()
    assert isinstance(caught.value.__cause__, NoAnswer)
    assert caught.value.__cause__.passing is False
