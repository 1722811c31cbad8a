"""Every name that telemetry uses: spans, metrics, attributes, with units, meanings and bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SCOPE: Final = "piko_flow"
"""The instrumentation scope of all that follows."""

RUN_SPAN: Final = "piko_flow.run"
"""One attempt of a run, from its parameters to its outcome."""
STAGE_SPAN: Final = "piko_flow.stage"
"""One stage of one unit of a run, from its first wait for input to its end."""

# Attributes of metrics, and of log lines: names of things in the code, never ids, so that their number is bounded.
FLOW: Final = "flow"
STAGE: Final = "stage"
STATE: Final = "state"
SPOOL: Final = "spool"

# Attributes of spans alone, where an id does no harm.
RUN_ID: Final = "piko_flow.run.id"
ATTEMPT: Final = "piko_flow.run.attempt"
FLOW_NAME: Final = "piko_flow.flow"
SCHEDULED: Final = "piko_flow.run.scheduled_time"
WINDOW_START: Final = "piko_flow.run.window_start"
WINDOW_END: Final = "piko_flow.run.window_end"
OUTCOME: Final = "piko_flow.run.outcome"
STAGE_NAME: Final = "piko_flow.stage.name"

ITEM_STATES: Final = ("in", "out", "filtered", "skipped", "dead")
TIME_STATES: Final = ("busy", "waiting", "blocked")
WINDOW_STATES: Final = ("waiting", "queued")

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Metric:
    """One metric: `unit` by UCUM, `about` for people, `bounds` of a histogram in seconds.

    `states` are the values of the attribute `state` where they are ours to say.
    """

    name: str
    kind: Kind
    unit: str
    about: str
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    states: tuple[str, ...] = ()


LONG_BOUNDS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
SHORT_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
LATE_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0)

RUNS: Final = Metric(
    "piko_flow.runs",
    "counter",
    "{run}",
    "Runs whose end this replica has written, by the state in which they ended",
    (FLOW, STATE),
    states=("SUCCESS", "FAILED", "CANCELLED", "SKIPPED"),
)
RUN_DURATION: Final = Metric(
    "piko_flow.run.duration",
    "histogram",
    "s",
    "How long the last attempt of ended runs took",
    (FLOW, STATE),
    LONG_BOUNDS,
    states=("SUCCESS", "FAILED", "CANCELLED"),
)
RUNS_ACTIVE: Final = Metric(
    "piko_flow.runs.active", "gauge", "{run}", "Runs that this replica has at work now", (FLOW,)
)
RUN_LATENESS: Final = Metric(
    "piko_flow.run.lateness",
    "histogram",
    "s",
    "How long after its scheduled time the first attempt of a scheduled run began",
    (FLOW,),
    LATE_BOUNDS,
)
RUN_RETRIES: Final = Metric(
    "piko_flow.run.retries",
    "counter",
    "{attempt}",
    "Attempts that failed and are followed by another",
    (FLOW,),
)
STAGE_ITEMS: Final = Metric(
    "piko_flow.stage.items",
    "counter",
    "{item}",
    "Items of stages: received, given on, filtered out, skipped after a failure, made dead letters",
    (FLOW, STAGE, STATE),
    states=ITEM_STATES,
)
STAGE_TIME: Final = Metric(
    "piko_flow.stage.time",
    "counter",
    "s",
    "Where the time of stages went; stages that run in one loop share theirs, told under the first of them",
    (FLOW, STAGE, STATE),
    states=TIME_STATES,
)
STAGE_RETRIES: Final = Metric(
    "piko_flow.stage.retries", "counter", "{item}", "Items that a stage tried again", (FLOW, STAGE)
)
STAGE_ERRORS: Final = Metric(
    "piko_flow.stage.errors",
    "counter",
    "{error}",
    "Failures of a stage for good: items skipped, dead letters, and those that ended a run",
    (FLOW, STAGE),
)
CHANNEL_FILL: Final = Metric(
    "piko_flow.channel.fill",
    "gauge",
    "1",
    "How full the fullest channel into a stage is, of runs at work: 0 is empty, 1 makes its senders wait",
    (FLOW, STAGE),
)
WATERMARK_LAG: Final = Metric(
    "piko_flow.watermark.lag",
    "gauge",
    "s",
    "How far the watermark is behind now; the leader alone tells",
    (FLOW,),
)
GAPS: Final = Metric(
    "piko_flow.gaps",
    "gauge",
    "{gap}",
    "Gaps: stretches of planned windows that are neither settled nor at work; the leader alone tells",
    (FLOW,),
)
BACKFILL_WINDOWS: Final = Metric(
    "piko_flow.backfill.windows",
    "gauge",
    "{window}",
    "Windows of open backfills, those that wait and those that were queued; the leader alone tells",
    (FLOW, STATE),
    states=WINDOW_STATES,
)
SPOOL_ITEMS: Final = Metric(
    "piko_flow.spool.items", "gauge", "{item}", "Items that wait in a spool", (SPOOL,)
)
SPOOL_AGE: Final = Metric(
    "piko_flow.spool.age", "gauge", "s", "How long the oldest item of a spool has been waiting", (SPOOL,)
)
DEAD_LETTERS: Final = Metric(
    "piko_flow.dead_letters",
    "gauge",
    "{letter}",
    "Dead letters that are open; the leader alone tells",
    (FLOW,),
)
LEADER: Final = Metric("piko_flow.leader", "gauge", "", "1 while this replica leads, else 0")
TERM: Final = Metric(
    "piko_flow.leader.term",
    "gauge",
    "",
    "The number of the term in which this replica leads, 0 while it does not",
)
RECONCILE: Final = Metric(
    "piko_flow.reconcile.duration",
    "histogram",
    "s",
    "How long the leader took to compare the rows with what is in force",
    (),
    SHORT_BOUNDS,
)
STATEMENTS: Final = Metric(
    "piko_flow.store.statements",
    "counter",
    "{statement}",
    "Statements that were sent to the store's database",
)

METRICS: Final = (
    RUNS,
    RUN_DURATION,
    RUNS_ACTIVE,
    RUN_LATENESS,
    RUN_RETRIES,
    STAGE_ITEMS,
    STAGE_TIME,
    STAGE_RETRIES,
    STAGE_ERRORS,
    CHANNEL_FILL,
    WATERMARK_LAG,
    GAPS,
    BACKFILL_WINDOWS,
    SPOOL_ITEMS,
    SPOOL_AGE,
    DEAD_LETTERS,
    LEADER,
    TERM,
    RECONCILE,
    STATEMENTS,
)
"""All metrics, in the order of their page."""

SERIES: Final = {(): 1, (SPOOL,): 1000, (FLOW,): 20_000, (FLOW, STATE): 50_000, (FLOW, STAGE): 100_000}
"""How many series a metric may have at most, by its attributes; 200,000 with flow, stage and state."""
MOST_SERIES: Final = 200_000


def most_series(metric: Metric) -> int:
    """How many series of the metric are kept apart: far above 1,000 flows of 20 stages."""
    return SERIES.get(metric.attributes, MOST_SERIES)
