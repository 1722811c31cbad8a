"""The nearest coastal place, asked directly and over the lookup service."""

import asyncio
import math
from collections.abc import Iterator

import pytest

from piko_flow.demo.gazetteer import CONNECTIONS, Gazetteer, gazetteer, locate
from piko_flow.demo.model import Report
from piko_flow.demo.places import EARTH_RADIUS_KM, Place, Places, read_places

NEW_ORLEANS = (29.95, -90.07)


def haversine(lat: float, long: float, place: Place) -> float:
    a, b = math.radians(lat), math.radians(place.lat)
    east = math.radians(place.long - long)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(half))


def positions() -> Iterator[tuple[float, float]]:
    for lat in range(5, 75, 7):
        for long in range(-140, 20, 11):
            yield lat + 0.3, long + 0.7


@pytest.fixture
def report() -> Report:
    return Report(
        report=1, name="Ida", season=2021, at="2021-08-29T12:00:00Z", lat=28.5, long=-89.6, status="hurricane",
        category=4, wind=130, pressure=929, tropicalstorm_force_diameter=240, hurricane_force_diameter=80,
    )  # fmt: skip


def test_nearest_place_is_the_one_of_least_distance() -> None:
    everywhere = [entry[0] for entry in read_places()._places]
    places = Places(everywhere)
    for lat, long in positions():
        place, distance = places.nearest(lat, long)
        assert distance == pytest.approx(min(haversine(lat, long, other) for other in everywhere))
        assert distance == pytest.approx(haversine(lat, long, place))


def test_distance_to_a_place_itself_is_nothing() -> None:
    place, distance = read_places().nearest(*NEW_ORLEANS)
    assert (place.name, place.country) == ("New Orleans", "United States")
    assert distance == pytest.approx(0.0, abs=1e-3)


def test_places_without_any_place_are_refused() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        Places([])


async def test_service_answers_as_the_table_does() -> None:
    places = read_places()
    async with gazetteer() as client:
        for lat, long in positions():
            place, distance = places.nearest(lat, long)
            found = await client.nearest(lat, long)
            assert (found.place, found.country) == (place.name, place.country)
            assert found.distance_km == round(distance, 1)


async def test_many_callers_each_get_the_answer_to_their_own_question() -> None:
    places = read_places()
    asked = list(positions())
    async with gazetteer() as client:
        found = await asyncio.gather(*(client.nearest(lat, long) for lat, long in asked))
        assert len(client._open) == CONNECTIONS
    assert [answer.place for answer in found] == [places.nearest(*position)[0].name for position in asked]


async def test_cancelled_question_does_not_leave_its_answer_to_the_next_caller() -> None:
    async with gazetteer() as client:
        narrow = Gazetteer(read_places(), connections=1)
        try:
            await narrow.nearest(*NEW_ORLEANS)
            asking = asyncio.create_task(narrow.nearest(64.1, -51.7))
            await asyncio.sleep(0)  # the question is on its way, the answer is not back
            asking.cancel()
            await asyncio.wait({asking})
            assert asking.cancelled()
            assert (await narrow.nearest(*NEW_ORLEANS)).place == "New Orleans"
        finally:
            await narrow.close()
        assert (await client.nearest(64.1, -51.7)).place == "Nuuk"


async def test_closing_while_questions_are_open_fails_them_and_leaves_no_socket() -> None:
    client = Gazetteer(read_places(), connections=2)
    await asyncio.gather(*(client.nearest(*NEW_ORLEANS) for _ in range(2)))
    connections = set(client._open)
    asking = [asyncio.create_task(client.nearest(*NEW_ORLEANS)) for _ in range(2)]
    await asyncio.sleep(0)  # both questions are on their way
    await client.close()
    assert all(connection._far_end.gone.done() for connection in connections)
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [isinstance(outcome, ConnectionError) for outcome in outcomes] == [True, True]


async def test_closing_while_a_connection_is_being_opened_leaves_none() -> None:
    client = Gazetteer(read_places(), connections=1)
    asking = asyncio.create_task(client.nearest(*NEW_ORLEANS))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ConnectionError, match="closed"):
        await asking
    assert not client._open


async def test_error_inside_the_block_comes_out_as_it_is() -> None:
    async def fail() -> None:
        async with gazetteer() as client:
            await client.nearest(*NEW_ORLEANS)
            raise KeyError("storm")

    with pytest.raises(KeyError, match="storm"):
        await fail()


async def test_locating_adds_the_place_and_keeps_the_report(report: Report) -> None:
    async with gazetteer() as client:
        located = await locate(report, gazetteer=client)
    assert located.place == "New Orleans"
    assert located.distance_km == pytest.approx(167.6, abs=0.1)
    assert dict(located).items() >= dict(report).items()
