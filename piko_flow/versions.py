"""The version of this library."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version as installed; "not installed" when it runs from a folder."""
    try:
        return version("piko-flow")
    except PackageNotFoundError:
        return "not installed"
