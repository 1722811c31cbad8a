"""The smallest flow: an asynchronous function that says which run it is.

    piko-flow serve pipelines

`schedule=` writes the flow's row when it is first seen; from then on the row rules, and an UPDATE of it takes
effect while everything runs. Without a `job_config` row the parameters are an empty dictionary.
"""

from piko_flow import Flow, Interval, RunContext


@Flow.register("mini_job", schedule=Interval(seconds=5))
async def mini_job(run: RunContext) -> None:
    """Say which run this is."""
    print(f"run {run.id}, due {run.scheduled_time:%H:%M:%S}, params {run.params}")
