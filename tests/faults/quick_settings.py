"""Settings of an application that is killed: what a dead process held is free soon."""

from __future__ import annotations

from pydantic import SecretStr

from piko_flow import Settings


def quick_settings(database: str) -> Settings:
    """An application over this database that polls often, and whose leases run out after a second."""
    return Settings(
        database=SecretStr(database),
        poll_s=0.1,
        replica_lease_s=1,
        leader_lease_s=1,
        leader_renew_interval_s=0.3,
        drain_s=5,
        cpu_workers=1,
    )
