"""What a report says, before it is laid out: sentences, a table's columns, dead letters in groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from piko_flow.counting import counted
from piko_flow.dataflow.reports.facts import DeadLetter, Progress, RunFacts, StageReport
from piko_flow.errors import committed_text

ALL_LOST = "Warning: every item was skipped or is a dead letter"
COUNTS = ("received", "emitted", "filtered", "skipped", "dead", "dropped", "retried")
TIMES = ("busy", "waiting", "blocked")
LEAST_BUSY = 0.01  # the share of the run below which no stage is said to be its bottleneck
GROUPS_SHOWN = 8  # groups of dead letters that a report lists; the others are counted
SAME = "″"  # the time of the loop that the stage above shares


@dataclass(frozen=True)
class DeadGroup:
    """Dead letters of one stage and one type of error: how many are kept, and the first of them."""

    stage: str
    where: str
    error_type: str
    count: int
    first: DeadLetter

    @property
    def reason(self) -> str:
        """What the first error says, without its type."""
        return self.first.error.removeprefix(f"{self.error_type}: ")


def headline(report: RunFacts) -> str:
    """The run in one line: outcome, items, time, items a second."""
    rate = f" ({number(round(report.items / report.seconds))}/s)" if report.seconds > 0 else ""
    all_done = report.outcome == "succeeded" or report.units_done == report.units
    done = "" if all_done else f"{report.units_done:,} of "
    units = f", {done}{counted(report.units, 'unit')}" if report.units > 1 else ""
    read = f"{counted(report.items, 'item')} in {duration(report.seconds)}{rate}{units}"
    return f"Run {report.run} {how_it_ended(report)}: {read}"


def bottleneck_line(progress: Progress) -> str:
    """The stage that everything else waits for, with those that share its loop; empty when nothing was busy for 1% of the time."""
    name = progress.bottleneck
    if not name:
        return ""
    slowest = next(stage for stage in progress.stages if stage.name == name)
    others = [stage.name for stage in progress.stages if stage.operator == slowest.operator]
    what = f"{slowest.kind} {name}" if len(others) == 1 else f"{' + '.join(others)} (one loop)"
    busy = shares(slowest, progress.seconds)[0]
    return f"Bottleneck: {what}, busy {busy:.0%} of the time" if busy >= LEAST_BUSY else ""


def columns_of(stages: Sequence[StageReport], seconds: float) -> list[tuple[str, list[str]]]:
    """A header and a cell for each stage; counts that are zero everywhere are left out, times are shares of the run."""
    table = [("stage", [title(stage) for stage in stages])]
    for name in COUNTS:
        cells = [_count(stage, name) for stage in stages]
        if name in ("received", "emitted") or any(getattr(stage, name) for stage in stages):
            table.append((name, cells))
    leads = {stage.operator: stage for stage in reversed(stages)}
    for place, name in enumerate(TIMES):
        show = _share_of(place, leads, seconds)
        if any(getattr(stage, time) for stage in stages for time in TIMES):
            table.append((name, [show(stage) for stage in stages]))
    return table


def title(stage: StageReport) -> str:
    """Kind and name, the name left out where the kind says it."""
    name = stage.name
    if name.partition("#")[0] == stage.kind.lower():
        name = name.removeprefix(stage.kind.lower())
    return f"{stage.kind} {name}".strip()


def shares(stage: StageReport, seconds: float) -> tuple[float, float, float]:
    """Busy, waiting and blocked as shares of the run; of all units together where these ran side by side."""
    whole = max(seconds, stage.busy + stage.waiting + stage.blocked)
    if whole <= 0:
        return 0.0, 0.0, 0.0
    return stage.busy / whole, stage.waiting / whole, stage.blocked / whole


def dead_groups(report: RunFacts) -> list[DeadGroup]:
    """The dead letters kept, by stage and type of error, the largest group first."""
    groups: dict[tuple[str, str], list[DeadLetter]] = {}
    for dead_letter in report.dead_letters:
        groups.setdefault((dead_letter.stage, dead_letter.error_type), []).append(dead_letter)
    found = [
        DeadGroup(stage, dead_letters[0].where, error, len(dead_letters), dead_letters[0])
        for (stage, error), dead_letters in groups.items()
    ]
    return sorted(found, key=lambda group: -group.count)


def dead_line(report: RunFacts) -> str:
    """How many items became dead letters, and how many of them the report keeps."""
    kept = len(report.dead_letters)
    return f"Dead letters: {number(report.dead)}" + (
        f" (the first {number(kept)} are kept)" if kept < report.dead else ""
    )


def how_it_ended(report: RunFacts) -> str:
    """Its outcome in words, and what there is of a run that was stopped."""
    if report.outcome == "succeeded":
        return "succeeded"
    there = committed_text(report.uncommitted_writes)
    return f"was {report.outcome}, {there[0].lower()}{there[1:]}"


def more_lines(report: RunFacts) -> list[str]:
    """What else there is to know: that nothing came through, threads left behind, input that waits for the next slice."""
    lines = [ALL_LOST] if all_lost(report) else []
    lines += [f"Left behind: {name}" for name in report.leftovers]
    return [*lines, "More input is waiting: the slice ended before its source did"] if report.more else lines


def all_lost(report: RunFacts) -> bool:
    """Whether a run succeeded without an item that came through, since each was skipped or is a dead letter."""
    starts = {edge.start for edge in report.edges}
    ends = [stage for stage in report.stages if stage.name not in starts and stage.kind != "Source"]
    bad = report.dead + report.skipped
    came_through = any(stage.emitted for stage in ends)
    return report.outcome == "succeeded" and bad >= report.items > 0 and not came_through


def number(value: int) -> str:
    """The number with thousands separators."""
    return f"{value:,}"


def duration(seconds: float) -> str:
    """A time as people read it: 0.04 s, 8.2 s, 2 min 05 s, 3 h 20 min."""
    if seconds < 1:
        return f"{seconds:.2f} s" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def one_line(text: str) -> str:
    """The text without line breaks and control characters."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _count(stage: StageReport, name: str) -> str:
    if name == "received" and stage.kind == "Source":
        return ""
    return number(getattr(stage, name))


def _share_of(place: int, leads: dict[int, StageReport], seconds: float) -> Callable[[StageReport], str]:
    def show(stage: StageReport) -> str:
        if leads[stage.operator] is not stage:
            return SAME
        share = shares(stage, seconds)[place]
        return f"{share:.0%}" if share >= 0.005 else "-"

    return show
