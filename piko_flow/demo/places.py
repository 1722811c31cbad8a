"""The coastal places of the demo and which of them is nearest to a position."""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EARTH_RADIUS_KM: Final = 6371.0
PLACES: Final = Path(__file__).with_name("places.csv")

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """A town on a coast; position in degrees, north and east are positive."""

    name: str
    country: str
    lat: float
    long: float


def unit_vector(lat: float, long: float) -> Vector:
    """Give the point of the unit sphere at a position in degrees."""
    north, east = math.radians(lat), math.radians(long)
    return (
        math.cos(north) * math.cos(east),
        math.cos(north) * math.sin(east),
        math.sin(north),
    )


class Places:
    """A fixed set of places, searched whole each time: a hundred dot products."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._places = [(place, *unit_vector(place.lat, place.long)) for place in places]
        if not self._places:
            raise ValueError("places must not be empty: there would be no nearest one")

    def nearest(self, lat: float, long: float) -> tuple[Place, float]:
        """Give the place nearest to a position and the great-circle distance in kilometres."""
        a, b, c = unit_vector(lat, long)
        place, x, y, z = max(self._places, key=lambda entry: a * entry[1] + b * entry[2] + c * entry[3])
        # By the chord: the arc cosine of the dot product would lose the metres near zero.
        chord = math.dist((a, b, c), (x, y, z))
        return place, 2 * EARTH_RADIUS_KM * math.asin(min(1.0, chord / 2))


def read_places() -> Places:
    """Read the places that come with the demo."""
    with PLACES.open(encoding="utf-8", newline="") as table:
        return Places(
            Place(row["name"], row["country"], float(row["lat"]), float(row["long"]))
            for row in csv.DictReader(table)
        )
