"""The flows that commands of the control half are tried on."""

from pydantic import BaseModel, SecretStr

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.run_context import RunContext
from piko_flow.planning.cron import Cron
from piko_flow.planning.window import BackfillPolicy


class SyncParams(BaseModel):
    """What `sync_orders` is told."""

    region: str = "eu"
    limit: int = 100
    api_token: SecretStr = SecretStr("default token")


@Flow.register(
    "sync_orders",
    params=SyncParams,
    stateful=True,
    backfill=BackfillPolicy.CATCH_UP,
    schedule=Cron("0 * * * *", zone="Europe/Berlin"),
)
async def sync_orders(run: RunContext[SyncParams]) -> None:
    """Copy the orders that changed."""
    print("said by a flow")


@Flow.register("send_mail")
async def send_mail(run: RunContext) -> None:
    """Send what waits to be sent."""
