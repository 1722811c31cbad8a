"""How pages write instants, spans, durations and numbers. Instants are in UTC here; a script adds the viewer's zone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from piko_flow.dataflow.reports.words import duration
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.records import RunRecord

TONES = {
    RunStatus.SUCCESS: "success",
    RunStatus.RUNNING: "running",
    RunStatus.FAILED: "failed",
    RunStatus.QUEUED: "waiting",
    RunStatus.CANCELLED: "gap",
    RunStatus.SKIPPED: "skipped",
}
"""The colour of each state; the classes of the style sheet have these names."""
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
TIME = Markup('<time datetime="{}" data-style="{}">{}</time>')
SPAN = Markup('<span class="nowrap" data-start="{}" data-end="{}">{}</span>')
GOING = Markup('<span data-since="{}" data-now="{}">{}</span>')
DASH = "\N{EN DASH}"
NOTHING = Markup('<span class="soft">{}</span>').format(DASH)


def tone(run: RunRecord) -> str:
    """The colour of a run: that of its state, but of a replay whose items failed again that of what is incomplete."""
    return "incomplete" if run.status is RunStatus.SUCCESS and run.error_msg else TONES[run.status]


def moment(instant: datetime | None, style: str = "short") -> Markup:
    """The instant as an element, UTC until a script has written it for the viewer; a dash for none."""
    if instant is None:
        return NOTHING
    written = instant.astimezone(UTC)
    text = f"{written:%Y-%m-%d %H:%M:%S} UTC" if style != "clock" else f"{written:%H:%M:%S}"
    return TIME.format(_iso(written), style, text)


def window(span: Window) -> Markup:
    """The span as an element: its ends in UTC until a script has written them for the viewer.

    Both have seconds where one has any, and parts of seconds likewise.
    """
    start, end = (edge.astimezone(UTC) for edge in span)
    exact = max(_exactness(start), _exactness(end))
    last = _clock(end, exact) if start.date() == end.date() else f"{end:%Y-%m-%d} {_clock(end, exact)}"
    return SPAN.format(_iso(start), _iso(end), f"{start:%Y-%m-%d} {_clock(start, exact)} {DASH} {last} UTC")


def ago(instant: datetime | None, now: datetime) -> Markup:
    """How far the instant is from now, as an element that tells the instant itself, too."""
    if instant is None:
        return NOTHING
    past = now - instant
    if abs(past) < timedelta(seconds=1):
        text = "now"
    else:
        text = f"{about(past)} ago" if past > timedelta(0) else f"in {about(-past)}"
    return TIME.format(_iso(instant.astimezone(UTC)), "ago", text)


def going(since: datetime, now: datetime) -> Markup:
    """How long it has been going on, as an element in which a script lets it grow."""
    return GOING.format(_iso(since.astimezone(UTC)), _iso(now.astimezone(UTC)), about(now - since))


def about(span: timedelta) -> str:
    """A span in its largest unit, with the next one where it matters."""
    seconds = max(int(span.total_seconds()), 0)
    for place, (size, name) in enumerate(UNITS):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            if place + 1 < len(UNITS) and whole < 3:
                smaller, unit = UNITS[place + 1]
                return f"{whole} {name} {rest // smaller} {unit}" if rest >= smaller else f"{whole} {name}"
            return f"{whole} {name}"
    return "0 s"


def took(milliseconds: int | None) -> str:
    """A duration as people read it; a dash for none."""
    if milliseconds is None:
        return DASH
    return duration(milliseconds / 1000) if milliseconds else "under 1 ms"


def number(value: float | int | None) -> str:
    """With thousands separators; a dash for none."""
    if value is None:
        return DASH
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def rate(value: float | None) -> str:
    """Items a second, in three digits."""
    if value is None:
        return DASH
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size * 0.9995:  # what is rounded up to it is in its unit, too
            return f"{value / size:.3g}{letter}/s"
    return f"{value:.3g}/s"


def given(value: object) -> str:
    """A parameter as one writes it: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _iso(instant: datetime) -> str:
    exact = "microseconds" if instant.microsecond % 1000 else "milliseconds"
    return instant.isoformat(timespec=exact).replace("+00:00", "Z")


def _exactness(instant: datetime) -> int:
    """0 where the instant is a whole minute, 1 where it is a whole second, 2 where it is neither."""
    return 2 if instant.microsecond else 1 if instant.second else 0


def _clock(instant: datetime, exact: int) -> str:
    if exact == 2:
        text = f"{instant:%H:%M:%S.%f}"
        return text if instant.microsecond % 1000 else text[:-3]
    return f"{instant:%H:%M:%S}" if exact else f"{instant:%H:%M}"
