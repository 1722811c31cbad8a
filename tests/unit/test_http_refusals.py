"""Bad options of sources, lookups and clients, and a missing library: each one message that names the place."""

from __future__ import annotations

from typing import Any

import pytest

from piko_flow import StageFailed
from piko_flow.connectors.http import HttpClient, HttpLookup, HttpSource, NoAnswer
from piko_flow.errors import PipelineError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retry": 3}, "retry must be a Retry, or None for one attempt; got 3"),
        ({"rate": 5}, "rate must be a RateLimit; got 5"),
        ({"secrets": "api_key"}, "secrets must be a list of names of query parameters; got 'api_key'"),
        ({"max_bytes": 0}, "max_bytes must be a whole number of at least 1; got 0"),
        ({"timeout": 0}, "timeout must be above 0"),
        ({"timeout": True}, "timeout must be a number of seconds or a timedelta; got True"),
        ({"longest_wait": "1"}, "longest_wait must be a number of seconds or a timedelta; got '1'"),
        ({"time_out": 1}, "got time_out=. Did you mean timeout=?"),
        ({"paging": "next"}, "paging must be such as NextLink(), or a function; got 'next'"),
        ({"paging": NoAnswer}, "the function for paging is called with one argument"),
        ({"items": 3}, "items must be a path or a function; got 3"),
        ({"max_pages": 0}, "max_pages must be a whole number of at least 1; got 0"),
        ({"repeats": 1}, "repeats must be True or False; got 1"),
        (
            {"client": "http://x"},
            "client must be an HttpClient, or another resource; got str 'http://x'. Give a function that opens it: @contextlib.asynccontextmanager, async def, yield",
        ),
        ({"of": "dict"}, "of must be a class such as dict, list or object; got 'dict'"),
        ({"params": lambda item: {}}, "an address without splits has no places to fill"),
    ],
)
def test_a_bad_option_of_a_source_is_refused_where_it_is_written(options: Any, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        HttpSource("http://127.0.0.1:1/", name="orders", **options)
    assert str(caught.value).startswith("Source 'orders' (tests/unit/test_http_refusals.py:")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "get"}, "method must be one of GET, HEAD"),
        ({"absent": None}, 'absent must be "fail" or "none"; got None'),
        ({"json": {"a": 1}}, "json must be a function of the item; got dict"),
        ({"json": lambda: 1}, "the function for json is called with one item"),
        ({"repeatable": "yes"}, "repeatable must be True or False; got 'yes'"),
        ({"paging": None}, "got paging="),
    ],
)
def test_a_bad_option_of_a_lookup_is_refused_where_it_is_written(options: Any, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        HttpLookup("/{id}", **options)
    assert str(caught.value).startswith("HttpLookup (tests/unit/test_http_refusals.py:")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "shop.example"}, "base_url must begin with http:// or https://"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0; got 0"),
        ({"connections": 0}, "connections must be a whole number of at least 1; got 0"),
        ({"kept": -1}, "kept must be a whole number of at least 0; got -1"),
        ({"headers": "Bearer x"}, "headers must be a mapping, or a function that gives one; got str"),
    ],
)
def test_a_bad_option_of_a_client_is_refused_where_it_is_written(options: Any, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        HttpClient(**options)
    assert str(caught.value).startswith("HttpClient (tests/unit/test_http_refusals.py:")
    assert message in str(caught.value)


async def test_without_httpx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> None:
        return None

    monkeypatch.setattr("piko_flow.connectors.extras.find_spec", find_nothing)
    with pytest.raises(
        StageFailed, match=r"it needs httpx; it is not installed. .*pip install 'piko-flow\[http\]'"
    ):
        await HttpSource("http://127.0.0.1:1/").collect()
