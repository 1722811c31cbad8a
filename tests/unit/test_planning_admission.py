"""Which queued runs start, in what order, and why the others wait."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from piko_flow.planning.admission import Admission, Waiting
from piko_flow.planning.run_state import Reason

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Given:
    """Limits written down; what is not named has one live run, no group limit, one run a backfill."""

    flows: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    backfills: dict[int, int] = field(default_factory=dict)
    asked: int = 0

    def instances(self, flow: str) -> int:
        self.asked += 1
        return self.flows.get(flow, 1)

    def group(self, group: str) -> int | None:
        self.asked += 1
        return self.groups.get(group)

    def backfill(self, backfill: int) -> int:
        self.asked += 1
        return self.backfills.get(backfill, 1)


def queued(admission: Admission, *runs: Waiting) -> None:
    for run in runs:
        admission.wait(run)


def taken(admission: Admission, slots: int = 100, now: datetime = NOW) -> list[int]:
    return [waiting.run for waiting in admission.take(slots, now)]


def test_runs_start_in_the_order_they_came_and_no_more_than_there_are_slots() -> None:
    admission = Admission(Given())
    queued(admission, *(Waiting(run, f"flow {run}", "default") for run in range(5)))
    assert (taken(admission, 2), taken(admission, 2), taken(admission, 2)) == ([0, 1], [2, 3], [4])
    assert (admission.waiting, admission.running) == (0, 5)


def test_a_full_flow_holds_back_its_own_runs_only() -> None:
    admission = Admission(Given({"a": 2}))
    queued(admission, *(Waiting(run, "a", "default") for run in range(4)), Waiting(9, "b", "default"))
    assert taken(admission) == [0, 1, 9]
    assert admission.why(2, NOW) is Reason.MAX_INSTANCES
    admission.end(0)
    assert taken(admission) == [2]


def test_a_full_group_holds_back_its_own_runs_only() -> None:
    admission = Admission(Given(groups={"g": 1}))
    queued(admission, Waiting(1, "a", "g"), Waiting(2, "b", "g"), Waiting(3, "c", "other"))
    assert taken(admission) == [1, 3]
    assert admission.why(2, NOW) is Reason.GROUP_FULL
    admission.end(1)
    assert taken(admission) == [2]


def test_the_oldest_of_a_group_comes_first_when_it_has_room_again() -> None:
    admission = Admission(Given(groups={"g": 1}))
    queued(admission, *(Waiting(run, f"flow {run}", "g") for run in range(4)))
    order = []
    for _ in range(4):
        (run,) = taken(admission)
        order.append(run)
        admission.end(run)
    assert order == [0, 1, 2, 3]


def test_a_run_of_a_backfill_counts_against_the_backfill_and_the_group_but_not_the_flow() -> None:
    admission = Admission(Given({"a": 1}, {"g": 3}, {7: 2}))
    queued(admission, Waiting(1, "a", "g"), Waiting(2, "a", "g"))
    queued(admission, *(Waiting(run, "a", "g", backfill=7) for run in (11, 12, 13)))
    assert taken(admission) == [1, 11, 12]
    assert (admission.why(2, NOW), admission.why(13, NOW)) == (Reason.MAX_INSTANCES, Reason.BACKFILL_FULL)
    admission.end(1)
    assert taken(admission) == [2]
    admission.end(11)
    assert taken(admission) == [13]


def test_a_paused_backfill_starts_nothing_until_it_goes_on() -> None:
    limits = Given(backfills={7: 0})
    admission = Admission(limits)
    queued(admission, Waiting(11, "a", "g", backfill=7))
    assert (taken(admission), admission.why(11, NOW)) == ([], Reason.PAUSED)
    limits.backfills[7] = 1
    assert taken(admission) == [11]


def test_a_raised_limit_counts_once_it_is_told() -> None:
    limits = Given({"a": 1}, {"g": 2})
    admission = Admission(limits)
    queued(admission, *(Waiting(run, "a", "g") for run in range(5)))
    assert taken(admission) == [0]
    limits.flows["a"], limits.groups["g"] = 10, 3
    admission.limits_changed()
    assert taken(admission) == [1, 2]
    limits.groups.clear()
    admission.limits_changed()
    assert taken(admission) == [3, 4]


def test_a_retry_waits_for_its_time_and_lets_others_pass() -> None:
    admission = Admission(Given({"a": 2}))
    queued(admission, Waiting(1, "a", "g", not_before=NOW + MINUTE), Waiting(2, "a", "g"))
    assert (taken(admission), admission.why(1, NOW)) == ([2], Reason.RETRY_WAIT)
    assert admission.next_time() == NOW + MINUTE
    assert taken(admission, now=NOW + MINUTE - timedelta(microseconds=1)) == []
    assert taken(admission, now=NOW + MINUTE) == [1]
    assert admission.next_time() is None


def test_a_run_that_is_gone_does_not_start_nor_count() -> None:
    admission = Admission(Given())
    queued(admission, Waiting(1, "a", "g"), Waiting(2, "a", "g"), Waiting(3, "b", "g", not_before=NOW))
    admission.end(1)
    admission.end(3)
    assert (admission.next_time(), admission.waiting) == (None, 1)
    assert taken(admission) == [2]
    assert admission.why(1, NOW) is None
    admission.end(1)
    assert admission.running == 1


def test_a_released_run_gives_up_its_place_and_waits_again() -> None:
    admission = Admission(Given())
    queued(admission, Waiting(1, "a", "g"), Waiting(2, "a", "g"))
    assert taken(admission) == [1]
    admission.wait(Waiting(1, "a", "g"))
    assert (admission.running, admission.waiting) == (0, 2)
    assert taken(admission) == [2]


def test_what_waits_only_for_a_slot_is_told_so() -> None:
    admission = Admission(Given())
    queued(admission, Waiting(1, "a", "g"))
    assert admission.why(1, NOW) is Reason.NO_SLOT
    assert taken(admission, 0) == []


def test_a_run_started_elsewhere_counts_even_above_the_limit() -> None:
    admission = Admission(Given({"a": 1}))
    for run in (1, 2, 2):
        admission.start(Waiting(run, "a", "g"))
    queued(admission, Waiting(3, "a", "g"))
    admission.end(1)
    assert (taken(admission), admission.running) == ([], 1)
    admission.end(2)
    assert taken(admission) == [3]


def test_a_run_fits_while_there_is_room_and_nothing_that_could_start_waits_before_it() -> None:
    admission = Admission(Given({"full": 1}, {"g": 5}))
    admission.start(Waiting(1, "full", "g"))
    queued(admission, Waiting(2, "full", "g"))  # held back, so it is in nobody's way
    assert admission.fits(Waiting(5, "a", "g"))
    assert not admission.fits(Waiting(5, "full", "g"))
    assert not admission.fits(Waiting(5, "a", "g", not_before=NOW))
    queued(admission, Waiting(3, "a", "g"))
    assert not admission.fits(Waiting(5, "b", "g"))
    assert admission.fits(Waiting(6, "a", "g", backfill=1))
    queued(admission, Waiting(6, "a", "g", backfill=1))
    assert not admission.fits(Waiting(7, "a", "g", backfill=1))


def test_one_start_in_four_is_a_backfills_while_live_runs_wait_too() -> None:
    admission = Admission(Given({"a": 1000}, backfills={1: 1000, 2: 1000}))
    queued(admission, *(Waiting(run, "a", "g") for run in range(60)))
    queued(admission, *(Waiting(1000 + run, "b", "g", backfill=1) for run in range(5)))
    queued(admission, *(Waiting(2000 + run, "c", "g", backfill=2) for run in range(50)))
    kinds = [run // 1000 for _ in range(40) for run in taken(admission, 1)]
    assert kinds[:8] == [0, 0, 0, 1, 0, 0, 0, 2]
    assert [kinds.count(kind) for kind in (0, 1, 2)] == [30, 5, 5]
    rest = [run // 1000 for run in taken(admission)]
    assert rest[:40] == [0, 0, 0, 2] * 10
    assert rest[40:] == [2] * (115 - 80)


def test_a_backfill_does_not_save_up_for_the_time_it_did_not_ask() -> None:
    admission = Admission(Given({"a": 1000}, backfills={1: 1000}))
    queued(admission, *(Waiting(run, "a", "g") for run in range(200)))
    taken(admission, 100)
    queued(admission, *(Waiting(1000 + run, "b", "g", backfill=1) for run in range(50)))
    assert [run // 1000 for run in taken(admission, 8)] == [1, 0, 0, 0, 1, 0, 0, 0]


def test_ten_thousand_runs_held_back_cost_nothing_while_others_pass() -> None:
    limits = Given(groups={"full": 1})
    admission = Admission(limits)
    queued(admission, *(Waiting(run, f"flow {run}", "full") for run in range(5_000)))
    queued(admission, *(Waiting(5_000 + run, "busy", "default") for run in range(5_000)))
    assert taken(admission) == [0, 5_000]
    limits.asked = 0
    for run in range(20_000, 20_100):
        admission.wait(Waiting(run, f"flow {run}", "default"))
        assert taken(admission, 1) == [run]
        admission.end(run)
    for _ in range(100):
        admission.end(next(iter(admission._running)))
        assert len(taken(admission, 1)) == 1
    assert limits.asked < 3_000
