"""The versions of the store's tables, each made from the one before by adding to it."""

from __future__ import annotations

HEAD = "0005"
"""The version that this code needs; it runs on newer ones too, which only have more."""
VERSION_TABLE = "piko_flow_version"
