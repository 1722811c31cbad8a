"""What each reason code means, and what a person can do about it."""

from __future__ import annotations

from typing import Final, NamedTuple

from piko_flow.planning.run_state import Reason


class Meaning(NamedTuple):
    """What a code means, and what to do; nothing to do where that is empty."""

    text: str
    advice: str = ""


MEANINGS: Final[dict[Reason, Meaning]] = {
    Reason.UNREGISTERED: Meaning(
        "the flow is not registered in the code of the application",
        "Register it, or name its package with --package or the setting packages",
    ),
    Reason.NO_SCHEDULE: Meaning(
        "no row of scheduled_job is about the flow, or it was deleted",
        "Make one with piko-flow schedule set, or run it with piko-flow trigger",
    ),
    Reason.ROW_REFUSED: Meaning(
        "its schedule row cannot be used", "Correct the row; piko-flow schedule set checks before it writes"
    ),
    Reason.DISABLED: Meaning(
        "its row is not enabled, or its one date has been dealt with",
        "piko-flow schedule set FLOW --enable, or a later date",
    ),
    Reason.PAUSED: Meaning(
        "its schedule, all schedules, or the backfill it belongs to is paused",
        "piko-flow schedule resume, or backfill resume",
    ),
    Reason.PARAMS_REFUSED: Meaning(
        "the newest version of its parameters cannot be used; the last good one stays in force",
        "Correct it with piko-flow params set, or go back with params rollback",
    ),
    Reason.NO_LEADER: Meaning(
        "no replica leads, so nothing is planned and nothing that waits is started",
        "Start one with piko-flow serve; see piko-flow leader show",
    ),
    Reason.NOT_DUE: Meaning("nothing is due before the next fire of its schedule"),
    Reason.WAITS_FOR_UPSTREAM: Meaning(
        "the flow that it comes after has not covered the window yet",
        "Look at that flow with piko-flow explain",
    ),
    Reason.STRICT_ORDER: Meaning(
        "the flow is registered with strict_order, and a window before this one is not settled",
        "Retry the run of that window, or settle it with piko-flow backfill or trigger",
    ),
    Reason.QUEUE_FULL: Meaning(
        "as many of its windows wait as may wait at once; the next one is queued when one of them starts"
    ),
    Reason.LIVE_WINDOW: Meaning(
        "another run works on the window, or on a part of it",
        "Wait for that run, or cancel it",
    ),
    Reason.ALREADY_SETTLED: Meaning(
        "its window has been settled since, so the run is not tried again",
        "To write the window anew, trigger it or backfill it with --kind all",
    ),
    Reason.MAX_INSTANCES: Meaning(
        "as many runs of the flow are running as its row allows",
        "Wait, or raise max_instances: piko-flow schedule set FLOW --max-instances N",
    ),
    Reason.GROUP_FULL: Meaning(
        "as many runs of its concurrency_group are running as the setting allows",
        "Wait, or raise the limit in the setting concurrency_groups",
    ),
    Reason.BACKFILL_FULL: Meaning(
        "as many runs of its backfill are running as the backfill allows", "Wait for one of them"
    ),
    Reason.NO_SLOT: Meaning(
        "no rule holds it back; it waits for a free slot of a replica",
        "Wait, start another replica, or raise the setting max_runs",
    ),
    Reason.RETRY_WAIT: Meaning("it is tried again later, after the wait that the flow's retry asks for"),
    Reason.MISFIRED: Meaning(
        "these fires were due longer ago than misfire_grace_s when the leader came to them; they are only recorded",
        "Trigger the flow to run it all the same",
    ),
    Reason.COALESCED: Meaning("the run stands for several fires that were due together"),
    Reason.SUPERSEDED: Meaning(
        "a newer window fell due before this one began, or last_data_time was moved past it",
        "Register the flow with BackfillPolicy.CATCH_UP to run every window, or backfill it",
    ),
    Reason.LOOKBACK: Meaning(
        "the window is older than max_lookback_window allows", "Backfill it, or raise the column"
    ),
    Reason.ERROR: Meaning("it raised an error", "Mend the cause, then piko-flow run retry"),
    Reason.TIMEOUT: Meaning("it took longer than the flow's timeout", "Raise timeout= or make it faster"),
    Reason.CANCELLED: Meaning(
        "somebody cancelled it; its window is a gap", "piko-flow run retry, or a trigger or backfill"
    ),
    Reason.RELEASED: Meaning(
        "its replica gave it back, because it stopped or lost the lead; another takes it"
    ),
    Reason.RESCUED: Meaning("its replica died, and it was put back to be run by another"),
    Reason.RESCUED_TOO_OFTEN: Meaning(
        "replica after replica died while running it, so it is likely the run that kills them",
        "Look for memory or a crash in native code, then piko-flow run retry",
    ),
}
