"""How a connector refuses what it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

Refuse = Callable[[str, str, str], NoReturn]
"""Raises the error that names the stage and where it was written; takes the rule, what came, and what to do."""
