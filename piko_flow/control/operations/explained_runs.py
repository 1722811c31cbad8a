"""Why a run is not running."""

from __future__ import annotations

from collections.abc import Iterator

from piko_flow.control.flows.reasons import MEANINGS
from piko_flow.control.operations.explained_facts import Facts, Line, code_missing, line
from piko_flow.control.runs.failure_record import error_text
from piko_flow.counting import are, counted
from piko_flow.planning.flow_state import overlaps_live
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.records import RunRecord

RETURNED = frozenset({Reason.RELEASED, Reason.RESCUED, Reason.UNREGISTERED})


def explain_run(run: RunRecord, facts: Facts) -> list[Line]:
    """Why the run waits, or ended as it did, the most important first; for one that runs, that it does."""
    skipped = _upstream_skipped(run, facts)
    if run.status is RunStatus.QUEUED:
        return [*_waits(run, facts), *_came_back(run), *skipped]
    if run.status is RunStatus.RUNNING:
        return [*_runs(run, facts), *skipped]
    return [*_ended(run, facts), *_cannot_be_retried(run, facts), *skipped]


def _upstream_skipped(run: RunRecord, facts: Facts) -> Iterator[Line]:
    """That the flow which it comes after has settled its window without having made anything for it."""
    upstream = facts.states.get(facts.upstream)
    if run.window is None or upstream is None:
        return
    if skipped := upstream.ledger.marked(run.window, (Mark.SKIPPED,)):
        which = "this window" if skipped == (run.window,) else "a part of this window"
        text = f"{facts.upstream!r}, which it comes after, skipped {which}, and made nothing for it"
        yield Line(None, text, blocks=False)


def _waits(run: RunRecord, facts: Facts) -> Iterator[Line]:
    if run.not_before is not None and run.not_before > facts.now:
        yield line(Reason.RETRY_WAIT, f"attempt {run.attempt} starts at {facts.time(run.not_before)}")
        return
    if not facts.registered:
        yield code_missing(facts)
    if facts.leader.elected and not facts.leader.leads:
        yield line(Reason.NO_LEADER)
    elif run.admitted:
        yield line(
            Reason.NO_SLOT,
            "it may start, and waits for a replica that takes it",
            advice="A replica asks each second; if none takes it, none with a free slot has the flow in its code",
        )
    else:
        reason = facts.reign.admission.why(run.id, facts.now) or Reason.NO_SLOT
        yield _slots(facts) if reason is Reason.NO_SLOT else line(reason, _limit(reason, run, facts))


def _limit(reason: Reason, run: RunRecord, facts: Facts) -> str:
    """The limit that is reached, in numbers and runs."""
    reign = facts.reign
    running = [one for one in reign.live.values() if one.status is RunStatus.RUNNING or one.admitted]
    if reason is Reason.MAX_INSTANCES:
        same = [one for one in running if one.flow == run.flow and one.backfill is None]
        return f"{_working(same, repr(run.flow))}, and max_instances is {reign.instances(run.flow)}"
    if reason is Reason.GROUP_FULL:
        group = reign.waiting(run).group
        same = [one for one in running if reign.waiting(one).group == group]
        return f"{_working(same, f'group {group!r}')}, and its limit is {reign.group(group)}"
    if reason is Reason.BACKFILL_FULL and run.backfill is not None:
        same = [one for one in running if one.backfill == run.backfill]
        most = reign.backfill(run.backfill)
        return f"{_working(same, f'backfill {run.backfill}')}, and {most} of it go at once"
    if reason is Reason.PAUSED:
        return f"backfill {run.backfill} is paused"
    return ""


def _slots(facts: Facts) -> Line:
    """That all slots are taken; else that it is about to start, which nothing keeps it from."""
    alive = [one for one in facts.leader.replicas if facts.leader.alive(one)]
    slots = sum(one.slots for one in alive)
    running = sum(one.status is RunStatus.RUNNING for one in facts.reign.live.values())
    if running >= slots:
        text = f"{'the one slot' if slots == 1 else f'all {slots:,} slots'} of {counted(len(alive), 'living replica')} {are(slots)} taken"
        return line(Reason.NO_SLOT, text)
    text = f"nothing holds it back, and {slots - running} of {counted(slots, 'slot')} {are(slots - running)} free: it starts with the next step"
    return Line(None, text, blocks=False)


def _working(runs: list[RunRecord], whose: str) -> str:
    return f"{_ids(runs)} of {whose} {are(len(runs))} at work"


def _ids(runs: list[RunRecord]) -> str:
    shown = ", ".join(str(one.id) for one in runs[:5]) + (", ..." if len(runs) > 5 else "")
    return f"{counted(len(runs), 'run')} ({shown})" if len(runs) != 1 else f"run {shown}"


def _came_back(run: RunRecord) -> Iterator[Line]:
    """Why a run that had begun waits again."""
    if run.reason in RETURNED:
        yield line(Reason(run.reason), f"before that, {MEANINGS[Reason(run.reason)].text}", blocks=False)
    elif run.reason and run.attempt > 1:
        failed = f"attempt {run.attempt - 1} ended by {run.reason}"
        what = error_text(run.error_type, run.error_msg)
        yield line(Reason(run.reason), f"{failed}: {what}" if what else failed, advice="", blocks=False)


def _runs(run: RunRecord, facts: Facts) -> Iterator[Line]:
    since = f" since {facts.time(run.start_time)}" if run.start_time else ""
    where = f" on {run.host}, process {run.pid}" if run.host else ""
    replicas = {one.id: one for one in facts.leader.replicas}
    if run.replica in replicas and facts.leader.alive(replicas[run.replica]):
        yield Line(None, f"it is running{since}{where}", blocks=False)
    else:
        yield line(Reason.RESCUED, _lost(f"{since}{where}", facts), advice="")
    if run.cancel_requested:
        text = f"{run.cancel_requested} asked to cancel it; its replica stops it within a second or two, if its code lets it"
        yield line(Reason.CANCELLED, text, advice="", blocks=False)


def _lost(began: str, facts: Facts) -> str:
    """That the replica of a run gives no sign of life, and what becomes of the run."""
    nobody = facts.leader.elected and not facts.leader.leads
    then = "it is rescued when somebody leads" if nobody else "the leader takes it back within a poll or two"
    return f"it began{began}, but its replica counts as dead: {then}"


def _ended(run: RunRecord, facts: Facts) -> Iterator[Line]:
    ended = f" at {facts.time(run.end_time)}" if run.end_time else ""
    if not run.reason:
        yield Line(None, f"it ended as {run.status}{ended}", blocks=False)
        return
    reason = Reason(run.reason)
    text = MEANINGS[reason].text
    if reason in (Reason.ERROR, Reason.TIMEOUT) and run.error_type:
        text = error_text(run.error_type, run.error_msg)
    elif reason is Reason.CANCELLED and run.cancel_requested:
        text = f"{run.cancel_requested} cancelled it"
    elif reason in (Reason.MISFIRED, Reason.COALESCED) and run.first_fire is not None:
        text = f"{text}: {counted(run.fires, 'fire')} from {facts.time(run.first_fire)} to {facts.time(run.scheduled_time)}"
    well = run.status is RunStatus.SUCCESS
    yield line(
        reason, f"it ended as {run.status}{ended}: {text}", advice="" if well else None, blocks=not well
    )


def _cannot_be_retried(run: RunRecord, facts: Facts) -> Iterator[Line]:
    """What has become of the window of a run that failed or was cancelled."""
    if run.window is None or run.status not in (RunStatus.FAILED, RunStatus.CANCELLED):
        return
    live = overlaps_live(facts.state, run.window)
    if live is not None:
        yield line(
            Reason.LIVE_WINDOW, f"run {live.run} works on its window, or on a part of it", blocks=False
        )
    elif facts.state.ledger.unsettled(run.window) != (run.window,):
        yield line(Reason.ALREADY_SETTLED, blocks=False)
