"""Where a storm may be in two days: a random walk with the steering flow of a textbook.

An illustration, not a forecast. It knows nothing but the position: west in the trade winds, round the
subtropical high, then north-east with the westerlies.
"""

import math
from bisect import bisect_right
from random import Random
from typing import Final

from piko_flow.demo.model import CYCLONE_STATUSES, Cyclone, LocatedReport, Remnant

TRACKS: Final = 20
STEPS: Final = 8
STEP_HOURS: Final = 6.0
STRIKE_KM: Final = 100.0
FASTEST: Final = 1.8
KM_A_DEGREE: Final = 111.2

# latitude, heading in degrees from north (beyond 360 is east of north again), speed in km/h
STEERING: Final = (
    (10.0, 275.0, 22.0),
    (20.0, 295.0, 19.0),
    (27.0, 330.0, 17.0),
    (32.0, 380.0, 22.0),
    (40.0, 410.0, 38.0),
    (55.0, 425.0, 50.0),
)


def steering(lat: float) -> tuple[float, float]:
    """Give the usual heading (degrees from north) and speed (km/h) at a latitude."""
    above = bisect_right(STEERING, lat, key=lambda row: row[0])
    if above == 0 or above == len(STEERING):
        return STEERING[min(above, len(STEERING) - 1)][1:]
    (low, heading, speed), (high, next_heading, next_speed) = STEERING[above - 1 : above + 1]
    share = (lat - low) / (high - low)
    return heading + share * (next_heading - heading), speed + share * (next_speed - speed)


def strikes(random: Random, x: float, y: float, heading: float, speed: float) -> bool:
    """Walk one track from (x, y) in km and tell whether it comes within 100 km of the origin.

    The heading is in radians from north, the speed in km/h; both wander from step to step.
    """
    gauss = random.gauss
    heading += gauss(0.0, 0.4)
    pace = gauss(1.0, 0.3)
    for _ in range(STEPS):
        heading += gauss(0.0, 0.2)
        pace = min(FASTEST, max(0.1, pace + gauss(0.0, 0.1)))
        way = pace * speed * STEP_HOURS
        east, north = math.sin(heading), math.cos(heading)
        # The point of this step's straight line that is nearest to the origin.
        along = min(way, max(0.0, -(x * east + y * north)))
        if math.hypot(x + along * east, y + along * north) <= STRIKE_KM:
            return True
        x += way * east
        y += way * north
    return False


def strike_share(report: LocatedReport) -> float:
    """Give the share of simulated tracks that come within 100 km of the report's place in 48 hours.

    The same report gives the same share each time, in any process: the walk is seeded by storm and time.
    """
    heading, speed = steering(report.lat)
    if report.distance_km > FASTEST * speed * STEPS * STEP_HOURS + STRIKE_KM:
        return 0.0  # out of reach of the fastest track
    east_km = KM_A_DEGREE * math.cos(math.radians((report.lat + report.place_lat) / 2))
    x = (report.long - report.place_long) * east_km
    y = (report.lat - report.place_lat) * KM_A_DEGREE
    random = Random(f"{report.name} {report.season} {report.at.isoformat()}")
    radians = math.radians(heading)
    return sum(strikes(random, x, y, radians, speed) for _ in range(TRACKS)) / TRACKS


def assess(report: LocatedReport) -> Cyclone | Remnant:
    """Judge how near the storm may come, and say whether it is a cyclone at all."""
    kind = Cyclone if report.status in CYCLONE_STATUSES else Remnant
    return kind(**dict(report), strike_share=strike_share(report))
