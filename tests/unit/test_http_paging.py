"""Pages of a service: each way to find the next one, and pages that would never end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from piko_flow import Sink, Source, StageFailed, run
from piko_flow.connectors.http import (
    BadAnswer,
    BadPaging,
    HttpClient,
    HttpSource,
    LinkHeader,
    NextLink,
    Offset,
    Page,
    PageNumber,
    PageToken,
)
from piko_flow.connectors.http_paging import Paging
from piko_flow.testing import CollectingSink
from tests.services.answering import Asked, Told, serving

ALL = [{"number": number} for number in range(10)]


def by_link(asked: Asked) -> Told:
    start = int(asked.query.get("start", 0))
    following = f"/orders?start={start + 4}" if start + 4 < len(ALL) else None
    return Told({"items": ALL[start : start + 4], "next": following})


def by_header(asked: Asked) -> Told:
    start = int(asked.query.get("start", 0))
    link = f'</orders?start={start + 4}>; rel="next", </orders>; rel="first"' if start + 4 < len(ALL) else ""
    return Told({"items": ALL[start : start + 4]}, headers={"link": link} if link else {})


def by_number(asked: Asked) -> Told:
    start = (int(asked.query["page"]) - 1) * 4
    return Told({"items": ALL[start : start + 4], "total": len(ALL)})


def by_offset(asked: Asked) -> Told:
    start, size = (
        int(asked.query["offset"]),
        min(int(asked.query["limit"]), 3),
    )  # gives fewer than it is asked for
    return Told({"items": ALL[start : start + size]})


def by_token(asked: Asked) -> Told:
    start = int(asked.query.get("page_token", "t0")[1:])
    token = f"t{start + 4}" if start + 4 < len(ALL) else ""
    return Told({"items": ALL[start : start + 4], "next_page_token": token})


def after_last(page: Page) -> Mapping[str, Any] | None:
    return {"start": page.items[-1]["number"] + 1} if page.items else None


@pytest.mark.parametrize(
    ("answers", "paging", "requests"),
    [
        (by_link, NextLink(), 3),
        (by_header, LinkHeader(), 3),
        (by_number, PageNumber(), 4),  # the last is empty
        (by_number, PageNumber(total="total"), 3),
        (by_offset, Offset(size=100), 5),
        (by_token, PageToken(), 3),
        (by_link, after_last, 4),
    ],
)
async def test_every_item_of_every_page_comes_once_and_in_order(
    answers: Any, paging: Paging, requests: int
) -> None:
    with serving(answers) as service:
        source = HttpSource("/orders", client=HttpClient(service.url), items="items", paging=paging)
        assert await source.collect() == ALL
        assert len(service.asked) == requests


def source_of(url: str, **options: Any) -> HttpSource[dict[str, Any]]:
    return HttpSource("/orders", client=HttpClient(url), items="items", **options)


async def failure_of(source: Source[Any]) -> BaseException:
    """What the run of the source fails with."""
    with pytest.raises(StageFailed) as caught:
        await source.collect()
    assert caught.value.__cause__ is not None
    return caught.value.__cause__


async def test_a_service_that_does_not_know_the_page_parameter_is_refused() -> None:
    with serving(lambda asked: Told({"items": ALL})) as service:
        error = await failure_of(source_of(service.url, paging=PageNumber(param="p")))
    assert isinstance(error, BadPaging)
    assert str(error) == (
        f"GET {service.url}/orders?p=2: page 2 holds the same items as page 1: the service may not know the "
        "parameters of paging=; where pages may be alike, give repeats=True"
    )


async def test_pages_that_are_alike_are_read_where_they_may_be() -> None:
    def zeros(asked: Asked) -> Told:
        return Told({"items": [{"rain": 0}] if int(asked.query["page"]) <= 3 else []})

    with serving(zeros) as service:
        assert len(await source_of(service.url, paging=PageNumber(), repeats=True).collect()) == 3


async def test_links_that_lead_round_in_a_circle_are_refused() -> None:
    def circle(asked: Asked) -> Told:
        start = int(asked.query.get("start", 0))
        return Told({"items": [ALL[start]], "next": f"?start={(start + 1) % 3}"})

    with serving(circle) as service:
        error = await failure_of(source_of(service.url, paging=NextLink()))
        assert isinstance(error, BadPaging)
        assert "page 4 holds the same items as page 1" in str(error)
        error = await failure_of(source_of(service.url, paging=NextLink(), repeats=True))
        assert str(error).endswith("this page was asked for already, so the pages lead round in a circle")
        assert "?start=1" in str(error)


async def test_more_pages_than_may_be_fail_the_run_rather_than_end_it_early() -> None:
    with serving(by_link) as service:
        assert len(await source_of(service.url, paging=NextLink(), max_pages=3).collect()) == 10
        error = await failure_of(source_of(service.url, paging=NextLink(), max_pages=2))
    assert str(error).endswith("/orders?start=8: more than max_pages=2 pages")


async def test_a_next_page_on_another_host_is_refused_and_gets_no_request() -> None:
    with serving(lambda asked: Told({"items": ALL})) as other:

        def elsewhere(asked: Asked) -> Told:
            return Told({"items": ALL, "next": f"{other.url}/orders?token=stolen"})

        with serving(elsewhere) as service:
            error = await failure_of(source_of(service.url, paging=NextLink()))
        assert isinstance(error, BadPaging)
        assert f"the next page is to be on the same host, got {other.url}/orders?token=******" in str(error)
        assert other.asked == []


async def test_an_empty_page_before_all_have_come_fails_the_run() -> None:
    def short(asked: Asked) -> Told:
        return Told({"items": ALL if asked.query["page"] == "1" else [], "total": 12})

    with serving(short) as service:
        error = await failure_of(source_of(service.url, paging=PageNumber(total="total")))
    assert str(error).endswith("page 2 is empty, though 10 of 12 items have come")


@pytest.mark.parametrize(
    ("body", "items", "reason"),
    [
        ({"data": []}, "items", "there is no 'items'; it has data"),
        ({"items": {"a": 1}}, "items", "a page must hold a list of items at 'items', got {'a': 1}"),
        ({"items": [1]}, "items", "an item must be an object, got 1; of= takes another kind"),
        (b"<html>", None, "the answer must be JSON"),
        (b"", None, "a page must hold a list of items, got None"),
    ],
)
async def test_an_answer_without_items_where_they_should_be_fails_the_run(
    body: object, items: str | None, reason: str
) -> None:
    with serving(lambda asked: Told(body)) as service:
        error = await failure_of(HttpSource(f"{service.url}/orders", items=items))
    assert isinstance(error, BadAnswer)
    assert reason in str(error)


async def test_items_may_be_found_by_a_function_and_be_of_another_kind() -> None:
    def names(body: Any) -> list[str]:
        return list(body["places"])

    with serving(lambda asked: Told({"places": {"Oslo": {}, "Rome": {}}})) as service:
        assert await HttpSource(f"{service.url}/", items=names, of=str).collect() == ["Oslo", "Rome"]


async def test_the_ends_of_a_window_are_parameters_in_utc() -> None:
    start = datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    params = {
        "from": start,
        "to": start + timedelta(hours=1),
        "state": None,
        "open": True,
        "kind": ["a", "b"],
    }
    with serving(by_number) as service:
        assert await source_of(service.url, params=params, paging=PageNumber()).collect() == ALL
    assert [one.query for one in service.asked[:2]] == [
        {
            "from": "2026-02-28T23:00:00Z",
            "to": "2026-03-01T00:00:00Z",
            "open": "true",
            "kind": "b",
            "page": number,
        }
        for number in ("1", "2")
    ]


async def test_a_datetime_without_a_zone_is_refused() -> None:
    error = await failure_of(HttpSource("http://127.0.0.1:1/", params={"from": datetime(2026, 3, 1)}))
    assert str(error).startswith("parameter 'from' must be a datetime with a zone")


async def test_each_split_is_a_unit_with_an_address_of_its_own() -> None:
    def by_city(asked: Asked) -> Told:
        return Told([{"path": asked.path, "kind": asked.query["kind"]}])

    kept: CollectingSink[dict[str, Any]] = CollectingSink()
    with serving(by_city) as service:
        source = HttpSource(
            "/cities/{}/orders",
            client=HttpClient(service.url),
            params={"kind": "x"},
            splits=["Oslo", "São/Paulo"],
        )
        report = await run(source >> kept)
    assert report.units == 2
    assert [item["path"] for item in kept.items] == ["/cities/Oslo/orders", "/cities/S%C3%A3o%2FPaulo/orders"]


@pytest.mark.parametrize("split", ["", ".", ".."])
async def test_a_split_that_would_name_another_address_is_refused(split: str) -> None:
    error = await failure_of(HttpSource("http://127.0.0.1:1/cities/{}/orders", splits=[split]))
    assert str(error) == f"{{}} must not be empty, . or .. in an address, got {split!r}"


async def test_the_address_and_parameters_of_a_split_may_be_functions() -> None:
    def address(split: dict[str, str]) -> str:
        return f"/{split['region']}/orders"

    def params(split: dict[str, str]) -> dict[str, Any]:
        return {"since": split["since"]}

    with serving(lambda asked: Told([{"path": asked.path, **asked.query}])) as service:
        source = HttpSource(
            address, client=HttpClient(service.url), params=params, splits=[{"region": "no", "since": "7"}]
        )
        assert await source.collect() == [{"path": "/no/orders", "since": "7"}]


async def test_a_slow_sink_slows_the_pages_down() -> None:
    """No page is asked for while items of an earlier one wait in front of a full channel."""
    pages_when_written: list[int] = []

    def endless(asked: Asked) -> Told:
        number = int(asked.query["page"])
        return Told(
            {"items": [{"number": number, "place": place} for place in range(50)] if number <= 6 else []}
        )

    with serving(endless) as service:

        async def write(item: dict[str, Any]) -> None:
            pages_when_written.append(len(service.asked) - item["number"])

        source = source_of(service.url, paging=PageNumber())
        await run(source >> Sink(write), capacity=4)
    assert len(pages_when_written) == 300
    assert max(pages_when_written) <= 1
