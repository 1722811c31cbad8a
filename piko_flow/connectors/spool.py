"""A spool: items accepted durably before a sink that may be slow, fail or be away."""

from piko_flow.connectors.spool_errors import (
    BrokenSpool,
    NotKept,
    SpoolClosed,
    SpoolRefused,
    SpoolUnavailable,
)
from piko_flow.connectors.spool_letters import DeadLetters, Spooled, SpooledLetter
from piko_flow.connectors.spool_live import LiveSpool, SpoolState
from piko_flow.connectors.spool_target import Spool

__all__ = [
    "Spool",
    "LiveSpool",
    "SpoolState",
    "Spooled",
    "SpooledLetter",
    "DeadLetters",
    "BrokenSpool",
    "NotKept",
    "SpoolClosed",
    "SpoolRefused",
    "SpoolUnavailable",
]
