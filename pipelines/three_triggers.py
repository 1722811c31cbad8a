"""Three flows whose rows come from SQL, one for each kind of schedule.

They bring no `schedule=`, so nothing runs until somebody writes their rows, with a client of the database:

    INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr)
    VALUES ('daily_job', 'cron', '{"hour": 2, "minute": 30}'),
           ('fast_job', 'interval', '{"seconds": 10}'),
           ('one_shot', 'date', '{"run_date": "2026-01-08 10:00:00"}');

or with `piko-flow schedule set`. In code the same are Cron(fields={"hour": 2, "minute": 30}), Interval(seconds=10) and
Date("2026-01-08 10:00:00").
"""

from piko_flow import Flow, RunContext


@Flow.register("daily_job", tags=["example"])
async def daily_job(run: RunContext) -> None:
    """Say when a run was due: here each night, as the wall clock shows it."""
    print(f"{run.flow} of {run.scheduled_time:%Y-%m-%d %H:%M:%S}")


@Flow.register("fast_job", tags=["example"])
async def fast_job(run: RunContext) -> None:
    """Say when a run was due: here every few seconds of elapsed time."""
    print(f"{run.flow} of {run.scheduled_time:%Y-%m-%d %H:%M:%S}")


@Flow.register("one_shot", tags=["example"])
async def one_shot(run: RunContext) -> None:
    """Say when a run was due: here once."""
    print(f"{run.flow} of {run.scheduled_time:%Y-%m-%d %H:%M:%S}")
