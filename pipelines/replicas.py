"""Several replicas: one leads and schedules; the runs go to all of them, or to the leader alone.

Start two, each in a terminal of its own, on one database (here a file; for several machines a server):

    export PIKO_DATABASE=sqlite:///replicas.db
    piko-flow serve pipelines.replicas --port 8001
    piko-flow serve pipelines.replicas --port 8002

`/readyz` says `ready` of the leader and `standby` of the other. Each run is run once, by the leader or by the other.
With `PIKO_EXECUTE=leader` the other only stands by. Stop the leader, or kill it, and the other leads:
`PIKO_LEADER_LEASE_S` seconds after the leader's death at the latest and a moment, `PIKO_LEADER_RENEW_INTERVAL_S` is how
often it renews its lease. `piko-flow leader` shows who leads.
"""

import os

from piko_flow import Flow, Interval, RunContext


@Flow.register("who_runs", schedule=Interval(seconds=1), tags=["example"])
async def who_runs(run: RunContext) -> None:
    """Say which process runs this."""
    print(f"run {run.id} in process {os.getpid()}", flush=True)
