"""One process of the control half: it counts as alive, works, and leads when nobody else does."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

from piko_flow.clock import Clock
from piko_flow.control.flows.registry import Registry
from piko_flow.control.leader.janitor import Janitor
from piko_flow.control.leader.leadership import Leadership, is_free, own_lease
from piko_flow.control.leader.pausing import FailingFlows
from piko_flow.control.leader.reconciler import Reconciler
from piko_flow.control.leader.reign import Reign
from piko_flow.control.leader.scheduler import Scheduler
from piko_flow.control.leader.slices import Slices
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.replica.awaited_ends import AwaitedEnds
from piko_flow.control.runs.recorder import Recorder
from piko_flow.control.runs.worker import Worker
from piko_flow.control.timing import DatabaseTime, timed
from piko_flow.errors import LeadershipLost, StoreUnavailable, TermOutdated
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Decision, Ending
from piko_flow.store.protocols import Store
from piko_flow.store.records import NewRun, Pulse, ReplicaRecord, RunRecord

BEATS = 3  # signs of life within the time for which one counts
BACKFILLS_EVERY = 5  # polls after which the leader looks for backfills that others have changed

log = logging.getLogger("piko_flow.replica")


class Replica:
    """What a process of the control half does, as steps; `ReplicaLoops` takes them, and so can a test.

    `tick` once a poll: one statement to the store when nothing is going on. `lead` as long as it gives True,
    again when `wake` is set or the next thing falls due. `worker.step` when `worker.wake` is set.
    """

    reign: Reign | None = None
    scheduler: Scheduler | None = None
    reconciler: Reconciler | None = None
    draining = False

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        record: ReplicaRecord,
        options: ReplicaOptions,
        clock: Clock,
    ) -> None:
        self._store, self._registry, self._clock = store, registry, clock
        self.record, self.options = record, options
        self.time = DatabaseTime(clock)
        self.recorder = Recorder(store=store, replica=record.id, clock=clock)
        self.worker = Worker(
            replica=record,
            store=store,
            recorder=self.recorder,
            flows=registry,
            time=self.time,
            listener=self,
        )
        self._lease_name = options.lease_name if options.elected else own_lease(options.lease_name, record.id)
        self.leadership = Leadership(
            store=store,
            name=self._lease_name,
            holder=record.id,
            ttl=options.lease,
            renew_every=options.renew_every,
            clock=clock,
        )
        self._failing = FailingFlows(store=store, most=options.pause_after, replica=self)
        self.wake = asyncio.Event()
        self.ticked_at = clock.monotonic()  # when the last tick ended
        self.store_failure = ""  # what the store said to the last tick, empty when it answered
        self._unsure = self._pulsed = self._looked = False
        self._backfills_seen = 0  # Pulse.backfills when this leader read them last
        self._ends = AwaitedEnds()
        self._janitor = Janitor(store=store, options=options, time=self.time)
        self._slices = Slices(store=store, recorder=self.recorder, time=self.time)
        self._next_beat = self._next_reconcile = self._next_backfills = self._next_prune = 0.0

    @property
    def leads(self) -> bool:
        """Whether this replica leads and has read what it needs for that."""
        return self.scheduler is not None and self.leadership.leads

    async def tick(self) -> None:
        """A sign of life where one is due, else a look; where signs are due as often as looks, every second tick has both."""
        now = self._clock.monotonic()
        try:
            if self._unsure:
                self._unsure = False  # before asking: what is lost meanwhile is looked for, too
                if not await self.worker.release_unknown():
                    self._unsure = True
            await self._slices.queue_waiting()
            await self._failing.pause()
            signed = await self._give_sign(now)
            self._looked = not (signed and self._looked)
            if self._looked:
                await self._look(now)
            self.store_failure = ""
        except StoreUnavailable as error:
            self._unsure = True
            self.store_failure = str(error)
            log.warning("%s", error)
        finally:
            self.ticked_at = self._clock.monotonic()

    async def _give_sign(self, now: float) -> bool:
        """Renew the lease, or beat, where that is due; gives whether it was. A lease that is owed is given back."""
        if self.draining and self.leadership.owes:
            await self._resign()
        if self.leadership.renewal_is_due:
            if not await self.leadership.renew():
                self._dethroned("the lease was taken over")
            return True
        if self.leadership.lease is None and now >= self._next_beat:
            if self._next_beat == 0.0:  # who begins, or has lost the lease, wants to know where it stands
                self._looked = False
            await self._beat(now)
            return True
        return False

    async def _look(self, now: float) -> None:
        """A pulse, or what a leader does now and then."""
        if self.leads and self._pulsed and (duty := self._due_duty(now)) is not None:
            self._pulsed = False
            await duty(now)
        else:
            await self._pulse()

    def _due_duty(self, now: float) -> Callable[[float], Awaitable[None]] | None:
        """What a leader does now and then; between two of these comes a pulse, or it would never rescue.

        What has been due longest comes first: however often rows are to be compared, the others get their turn.
        """
        times = (self._next_reconcile, self._next_backfills, self._next_prune)
        duties = (self._reconcile, self._read_backfills, self._prune)
        time, duty = min(zip(times, duties, strict=True), key=lambda one: one[0])
        return duty if time <= now else None

    async def lead(self) -> bool:
        """One step as the leader; gives whether there may be more to do at once."""
        if not self.leadership.leads or self.draining:
            return False
        try:
            if self.scheduler is None and not await self._ascend():
                return False
            await self._failing.pause()  # before the next fire of such a flow is planned
            did = self.scheduler is not None and await self.scheduler.step()
            await self._tidy()
        except TermOutdated:
            self._dethroned("a newer term exists")
            return False
        except StoreUnavailable as error:
            log.warning("%s", error)
            self._forget_reign()
            self._unsure = True
            return False
        except Exception:
            self._forget_reign()
            self._unsure = True
            raise
        return did

    def doubt(self) -> None:
        """It is not known what the store took: claims whose answer was lost are looked for."""
        self._unsure = True

    async def _ascend(self) -> bool:
        """Read all that a leader has to know; False when it leads no more by then, or in another term.

        Raises StoreUnavailable. Unless it gives True nothing is kept of what was read.
        """
        term = self.leadership.term
        assert term is not None
        reign = Reign(term, group_limits=self.options.group_limits, flows=self._registry)
        reign.ahead = self.options.ahead
        reconciler = Reconciler(
            reign=reign,
            store=self._store,
            flows=self._registry,
            registered=self._registry.values(),
            options=self.options,
        )
        await reconciler.begin()
        for backfill in await self._store.backfills(open_only=True):
            reign.backfills[backfill.id] = backfill
        for run in await self._store.live():
            reign.add(run)
        if self.leadership.term != term or self.draining:
            return False
        scheduler = Scheduler(
            reign=reign, recorder=self.recorder, store=self._store, worker=self.worker, time=self.time
        )
        scheduler.wake = self.wake
        self.reign, self.reconciler, self.scheduler = reign, reconciler, scheduler
        self.worker.known_params = reign.params.of_id
        self._backfills_seen = 0
        self._schedule_reconcile(reconciler, self._clock.monotonic())
        log.info("replica %s leads in term %d", self.record.id, term.number)
        return True

    async def _tidy(self) -> None:
        """What is noted in rows after a step, outside its transaction: asking again is harmless."""
        reign = self.reign
        if reign is None:  # it lost the lease while it wrote
            return
        while reign.completed:
            flow, date = reign.completed[-1]
            await self._store.complete(flow, date)
            reign.completed.pop()
        while reign.done:
            await self._store.set_backfill(reign.done[-1], state="done", unless=("cancelled",))
            reign.done.pop()
        if reign.refused:
            refused, reign.refused = reign.refused, {}
            await self._store.note_refusals(refused)

    async def _pulse(self) -> None:
        self.worker.news.tell_rest()  # here: this is what all do, whoever leads
        asked = self.time.asking()
        pulse = await self._store.pulse(self._lease_name, self.record.id)
        self.time.observe(pulse.now, asked=asked)
        self._pulsed = True
        if pulse.cancels:
            self.worker.cancel(await self._store.cancels(self.record.id))
        lease = self.leadership.lease
        if self.draining:
            return
        if lease is not None:
            if pulse.lease is not None and pulse.lease.term != lease.term:
                self._dethroned("a newer term exists")
            elif self.leads:
                await self._look_around(pulse)
        elif is_free(pulse, self.record.id) and await self.leadership.campaign():
            self.wake.set()
        if pulse.claimable and (self.leads or self.options.execute == "all"):
            await self.worker.claim()

    async def _look_around(self, pulse: Pulse) -> None:
        """As the leader: rescue, and take in what others have queued, ended or changed."""
        reign, scheduler = self.reign, self.scheduler  # they may be dropped at any await
        assert reign is not None
        assert scheduler is not None
        if pulse.backfills != self._backfills_seen:
            await self._read_backfills(self._clock.monotonic())
            self._backfills_seen = pulse.backfills
        if pulse.lost:
            scheduler.lost = await self._store.lost()
            self.wake.set()
        elsewhere = any(
            run.admitted or run.replica not in ("", self.record.id) for run in reign.live.values()
        )
        if pulse.queued + pulse.running != len(reign.live) or elsewhere:
            await self._refresh(reign, scheduler)
        if self.options.execute == "all" and reign.admission.waiting:
            scheduler.elsewhere = sum(
                max(other.slots - other.running, 0)
                for other in await self._store.replicas()
                if other.id != self.record.id and other.until is not None and other.until > self.time.now()
            )
            self.wake.set()

    async def _refresh(self, reign: Reign, scheduler: Scheduler) -> None:
        """Compare who lives by the store with who lives by memory; both may be newer, for each run."""
        before = set(reign.live)
        found = {run.id: run for run in await self._store.live()}
        for run in before - found.keys():
            if run in reign.live and run not in self.worker.active:
                scheduler.ended(run)
        for run, record in found.items():
            if run not in self.worker.active and reign.add(record):
                self.wake.set()

    async def _beat(self, now: float) -> None:
        self.record = replace(self.record, running=len(self.worker.active))
        await self._store.beat(self.record, ttl=self.options.alive)
        self._next_beat = now + self.options.alive.total_seconds() / BEATS

    async def _reconcile(self, now: float) -> None:
        reconciler = self.reconciler
        assert reconciler is not None
        if await timed(reconciler.poll(), self.recorder.figures.reconciled, self._clock):
            self.wake.set()
        self._schedule_reconcile(reconciler, now)

    def _schedule_reconcile(self, reconciler: Reconciler, now: float) -> None:
        every = reconciler.poll_interval or self.options.reconcile_every.total_seconds()
        self._next_reconcile = now + every + random.uniform(0, self.options.reconcile_jitter.total_seconds())

    async def _read_backfills(self, now: float) -> None:
        reign = self.reign
        assert reign is not None
        found = {backfill.id: backfill for backfill in await self._store.backfills(open_only=True)}
        if found != reign.backfills:
            reign.backfills = found
            reign.admission.limits_changed()
            self.wake.set()
        self._next_backfills = now + BACKFILLS_EVERY * self.options.poll_every.total_seconds()

    async def _prune(self, now: float) -> None:
        self._next_prune = now + await self._janitor.step()

    async def drain(self) -> None:
        """Take nothing more and lead no more; what runs goes on."""
        self.draining = self.worker.closed = True
        self._forget_reign()
        try:
            await self._resign()
        except StoreUnavailable as error:
            log.warning("%s", error)

    async def _resign(self) -> None:
        await self._beat(self._clock.monotonic())  # first: who resigns lives by its beats alone
        await self.leadership.resign()

    async def leave(self) -> None:
        """Be forgotten as a replica; call it when nothing runs any more."""
        try:
            await self.leadership.resign(forget=not self.options.elected)
            await self._store.leave(self.record.id)
        except StoreUnavailable as error:
            log.warning("%s", error)

    async def queue(self, wanted: NewRun | Decision) -> tuple[bool, RunRecord | None]:
        """Queue a run with this replica's next step as the leader; (False, None) when it does not lead."""
        if self.scheduler is None or not self.leads:
            return False, None
        try:
            return True, await self.scheduler.request(wanted)
        except (LeadershipLost, TermOutdated):
            return False, None

    async def cancel_here(self, run: int) -> None:
        """Stop the run at once if it is this replica's; the others find the wish in the store."""
        if run in self.worker.active:
            self.worker.cancel(await self._store.cancels(self.record.id))
        elif self.reign is not None:
            self.reign.drop(run)  # another replica may have it: the next look around tells

    async def end_of(self, run: int) -> Ending | None:
        """Wait until the end of a run of this replica has been written, and give it.

        None where the store has to be asked: the run is not this replica's, or was taken from it.
        """
        if run not in self.worker.active:
            return None
        return await self._ends.of(run)

    def look_at_rows(self) -> None:
        """Somebody changed a row through this replica: compare with the next tick instead of later."""
        self._next_reconcile = self._next_backfills = 0.0

    def _dethroned(self, why: str) -> None:
        log.warning("replica %s leads no more: %s", self.record.id, why)
        self.leadership.lose()
        self._forget_reign()
        self._next_beat = 0.0
        self.worker.release_all(only_leaders=self.options.execute != "leader")

    def _forget_reign(self) -> None:
        if self.scheduler is not None:
            self.scheduler.drop(LeadershipLost(lease=self._lease_name))
        self.reign = None
        self.scheduler = None
        self.reconciler = None

    def run_ended(self, run: RunRecord, ending: Ending, *, more: bool) -> None:
        """The end of one of this replica's runs has been written; with `more`, its source goes on in a next run."""
        if self.scheduler is not None:
            self.scheduler.ended(run.id)
        self._ends.tell(run.id, ending)
        if more and not self.draining and ending.status is RunStatus.SUCCESS:
            self._slices.goes_on(run, self.reign, self.scheduler)

    def run_requeued(self, run: RunRecord) -> None:
        """One of this replica's runs waits again."""
        if self.scheduler is not None and run.status is RunStatus.QUEUED:
            self.scheduler.requeued(run)

    def claim_lost(self, run: RunRecord) -> None:
        """A run of this replica was taken from it; what it did is not recorded."""
        log.warning("run %d of %r was taken from this replica while it ran", run.id, run.flow)
        if self.reign is not None:
            self.reign.drop(run.id)  # the next look around finds it where it is now
        self._unsure = True  # or it is still this replica's, and its end could not be written
        self._ends.tell(run.id, None)

    def failed(self, flow: str) -> None:
        """A run has failed for good: perhaps one too many in a row."""
        self._failing.failed(flow)
