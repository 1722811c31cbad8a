"""The rows of the demo, from a report as it was written down to one that has been judged."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

STORMS: Final = Path(__file__).with_name("storms.csv.gz")

CycloneStatus = Literal[
    "tropical depression",
    "tropical storm",
    "hurricane",
    "subtropical depression",
    "subtropical storm",
]
RemnantStatus = Literal["extratropical", "other low", "disturbance", "tropical wave"]

CYCLONE_STATUSES: Final[frozenset[str]] = frozenset(
    {
        "tropical depression",
        "tropical storm",
        "hurricane",
        "subtropical depression",
        "subtropical storm",
    }
)


def blank_as_none(value: object) -> object:
    """Read an empty field of a text file as "not recorded"."""
    return None if value == "" else value


Category = Annotated[Annotated[int, Field(ge=1, le=5)] | None, BeforeValidator(blank_as_none)]
Diameter = Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(blank_as_none)]


class Report(BaseModel):
    """One position report of one storm, a row of storms.csv.gz; DATA.md has the units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: int = Field(ge=1)
    name: str = Field(min_length=1)
    season: int
    at: AwareDatetime
    lat: float = Field(ge=-90, le=90)
    long: float = Field(ge=-180, le=180)
    status: CycloneStatus | RemnantStatus
    category: Category
    wind: int = Field(gt=0)
    pressure: int = Field(gt=0)
    tropicalstorm_force_diameter: Diameter
    hurricane_force_diameter: Diameter


class LocatedReport(Report):
    """A report with the place nearest to the storm and the distance to it in kilometres."""

    place: str
    country: str
    place_lat: float
    place_long: float
    distance_km: float = Field(ge=0)


class JudgedReport(LocatedReport):
    """A located report with the share (0 to 1) of simulated tracks that strike the place."""

    strike_share: float = Field(ge=0, le=1)


class Cyclone(JudgedReport):
    """A report of a tropical or subtropical cyclone."""


class Remnant(JudgedReport):
    """A report of what is not a cyclone yet, or no longer: a wave, a disturbance, a low."""
