"""The simulated tracks: the same for the same report, and sensible."""

import subprocess
import sys
from typing import Any

import pytest

from piko_flow.demo.drift import STEERING, TRACKS, assess, steering, strike_share
from piko_flow.demo.model import Cyclone, LocatedReport, Remnant

IDA: dict[str, Any] = {
    "report": 1, "name": "Ida", "season": 2021, "at": "2021-08-29T12:00:00Z", "lat": 28.5, "long": -89.6,
    "status": "hurricane", "category": 4, "wind": 130, "pressure": 929, "tropicalstorm_force_diameter": 240,
    "hurricane_force_diameter": 80, "place": "New Orleans", "country": "United States", "place_lat": 29.95,
    "place_long": -90.07, "distance_km": 167.6,
}  # fmt: skip


def located(**changes: object) -> LocatedReport:
    return LocatedReport.model_validate(IDA | changes)


def test_steering_passes_through_its_table_and_stays_at_its_ends() -> None:
    for lat, heading, speed in STEERING:
        assert steering(lat) == pytest.approx((heading, speed))
    assert steering(-20.0) == STEERING[0][1:]
    assert steering(80.0) == STEERING[-1][1:]
    assert steering(36.0) == pytest.approx((395.0, 30.0))


def test_share_is_a_number_of_tracks() -> None:
    share = strike_share(located())
    assert 0 < share <= 1
    assert share * TRACKS == pytest.approx(round(share * TRACKS))


def test_same_report_gives_the_same_share_in_another_process() -> None:
    code = (
        "import json, sys; from piko_flow.demo.drift import strike_share; "
        "from piko_flow.demo.model import LocatedReport; "
        "print(strike_share(LocatedReport.model_validate_json(sys.argv[1])))"
    )
    report = located()
    other = subprocess.run(
        [sys.executable, "-c", code, report.model_dump_json()], capture_output=True, text=True, check=True
    )
    assert float(other.stdout) == strike_share(report)


def test_storm_over_the_place_strikes_it_always() -> None:
    assert strike_share(located(lat=29.95, long=-90.07, distance_km=0.0)) == 1.0


def test_storm_out_of_reach_never_strikes() -> None:
    assert strike_share(located(lat=12.0, long=-30.0, distance_km=6200.0)) == 0.0


def test_storm_upstream_strikes_more_often_than_one_downstream() -> None:
    south_east = located(lat=13.0, long=-60.0, place_lat=15.0, place_long=-65.0, distance_km=580.0)
    north_west = located(lat=15.0, long=-65.0, place_lat=13.0, place_long=-60.0, distance_km=580.0)
    assert strike_share(south_east) > strike_share(north_west)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("hurricane", Cyclone),
        ("tropical storm", Cyclone),
        ("tropical depression", Cyclone),
        ("subtropical storm", Cyclone),
        ("subtropical depression", Cyclone),
        ("extratropical", Remnant),
        ("other low", Remnant),
        ("disturbance", Remnant),
        ("tropical wave", Remnant),
    ],
)
def test_status_decides_the_kind(status: str, kind: type[Cyclone] | type[Remnant]) -> None:
    report = located(status=status)
    judged = assess(report)
    assert type(judged) is kind
    assert dict(judged) == dict(report) | {"strike_share": strike_share(report)}
