"""All checks of the contract, subject by subject."""

from __future__ import annotations

from typing import Final

from piko_flow.testing.store_contract.audits import CHECKS as AUDITS
from piko_flow.testing.store_contract.backfills import CHECKS as BACKFILLS
from piko_flow.testing.store_contract.bounds import CHECKS as BOUNDS
from piko_flow.testing.store_contract.claiming import CHECKS as CLAIMING
from piko_flow.testing.store_contract.conflicts import CHECKS as CONFLICTS
from piko_flow.testing.store_contract.dead_letters import CHECKS as DEAD_LETTERS
from piko_flow.testing.store_contract.edits import CHECKS as EDITS
from piko_flow.testing.store_contract.endings import CHECKS as ENDINGS
from piko_flow.testing.store_contract.leases import CHECKS as LEASES
from piko_flow.testing.store_contract.notices import CHECKS as NOTICES
from piko_flow.testing.store_contract.parameters import CHECKS as PARAMETERS
from piko_flow.testing.store_contract.prepared import CHECKS as PREPARED
from piko_flow.testing.store_contract.queueing import CHECKS as QUEUEING
from piko_flow.testing.store_contract.reopening import CHECKS as REOPENING
from piko_flow.testing.store_contract.replicas import CHECKS as REPLICAS
from piko_flow.testing.store_contract.run_details import CHECKS as RUN_DETAILS
from piko_flow.testing.store_contract.scene import Check
from piko_flow.testing.store_contract.schedules import CHECKS as SCHEDULES
from piko_flow.testing.store_contract.staging import CHECKS as STAGING
from piko_flow.testing.store_contract.tokens import CHECKS as TOKENS
from piko_flow.testing.store_contract.windows import CHECKS as WINDOWS

STORE_CONTRACT: Final[tuple[Check, ...]] = (
    *LEASES,
    *REPLICAS,
    *SCHEDULES,
    *PARAMETERS,
    *QUEUEING,
    *CLAIMING,
    *ENDINGS,
    *WINDOWS,
    *EDITS,
    *REOPENING,
    *PREPARED,
    *STAGING,
    *BACKFILLS,
    *DEAD_LETTERS,
    *CONFLICTS,
    *TOKENS,
    *AUDITS,
    *RUN_DETAILS,
    *NOTICES,
    *BOUNDS,
)
"""In the order in which a new store is best made to pass them."""
