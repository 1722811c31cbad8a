"""How strong was each Atlantic hurricane season since 1975? A keyed fold over half a century of storms.

Reads the position reports that come with the demo, keeps those that count, adds up the accumulated
cyclone energy (ACE) of each season, and writes one line of CSV a season. Shows Parse, Filter and a keyed
Fold, whose pairs leave in the order in which the seasons first came.

    piko-flow run pipelines.storm_seasons:pipeline

As a flow it runs each night at three, Berlin time.

ACE is the sum of the squared wind speeds (knots) every six hours while a storm is at least a tropical
storm, over 10,000. A season is above normal from about 126 on.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from piko_flow import Cron, Filter, Flow, Fold, Parse, Pipeline, Sink, Transform
from piko_flow.connectors.files import CsvSink, CsvSource
from piko_flow.demo.model import STORMS, Report
from pipelines.output import output_folder

STORM_STATUSES: Final = frozenset({"tropical storm", "hurricane", "subtropical storm"})
GALE_KNOTS: Final = 34


class Season(BaseModel):
    """One line of the result: a year, the storms that counted in it, their energy in 10,000 square knots."""

    season: int
    storms: int
    ace: float
    strongest: str
    wind: int


@dataclass(frozen=True)
class Sum:
    """What is known of a season so far; reports come storm by storm, each in order of time."""

    squared_knots: int = 0
    storms: int = 0
    last: tuple[str, datetime] | None = None
    strongest: str = ""
    wind: int = 0


def counts(report: Report) -> bool:
    """Tell whether a report adds energy: a storm of 34 knots or more, at one of the four standard hours."""
    return report.status in STORM_STATUSES and report.wind >= GALE_KNOTS and report.at.hour % 6 == 0


def season_of(report: Report) -> int:
    """Give the season that a report belongs to."""
    return report.season


def add(sum_: Sum, report: Report) -> Sum:
    """Add one report; the second of two at the same hour (a landfall within it) is left out."""
    this = (report.name, report.at)
    if sum_.last == this:
        return sum_
    new_storm = sum_.last is None or sum_.last[0] != report.name
    stronger = report.wind > sum_.wind
    return Sum(
        squared_knots=sum_.squared_knots + report.wind**2,
        storms=sum_.storms + new_storm,
        last=this,
        strongest=report.name if stronger else sum_.strongest,
        wind=max(report.wind, sum_.wind),
    )


def as_season(pair: tuple[int, Sum]) -> Season:
    """Turn a pair of the fold into a line of the result."""
    year, found = pair
    return Season(
        season=year,
        storms=found.storms,
        ace=round(found.squared_knots / 10_000, 2),
        strongest=found.strongest,
        wind=found.wind,
    )


def storm_seasons(output: Path) -> Pipeline:
    """Give the pipeline that writes storm_seasons.csv into a folder."""
    return (
        CsvSource(STORMS)
        >> Parse(Report)
        >> Filter(counts)
        >> Fold(add, start=Sum, key=season_of, max_keys=200)
        >> Transform(as_season)
        >> Sink(CsvSink(output / "storm_seasons.csv", columns=Season), batch=100)
    )


pipeline = storm_seasons(output_folder())
Flow.register("storm_seasons", pipeline, schedule=Cron("0 3 * * *", zone="Europe/Berlin"))
