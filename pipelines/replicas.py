"""Several replicas: one leads and schedules; the runs go to all of them, or to the leader alone.

Start two, each in a terminal of its own, on one database (here a file; for several machines a server):

    export PIKO_DATABASE=sqlite:///replicas.db
    piko-flow serve pipelines.replicas --port 8001
    piko-flow serve pipelines.replicas --port 8002

`/readyz` says `ready` of the leader and `standby` of the other; `piko-flow leader` shows both. Each run is run once, by
one of them. With PIKO_EXECUTE=leader the leader runs everything and the other only stands by.

Stop the leader and the other leads at once. Kill it and the other leads when its lease is over, within 11 seconds;
PIKO_LEADER_LEASE_S and PIKO_LEADER_RENEW_INTERVAL_S, 9 and 3 by default, make that shorter or longer. Replicas with
another PIKO_LEADER_NAME are another application.
"""

import os

from piko_flow import Flow, Interval, RunContext


@Flow.register("who_runs", schedule=Interval(seconds=1), tags=["example"])
async def who_runs(run: RunContext) -> None:
    """Say which process runs this."""
    print(f"run {run.id} in process {os.getpid()}", flush=True)
