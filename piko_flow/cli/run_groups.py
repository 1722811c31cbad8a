"""One word for two things: `run TARGET` runs a pipeline, `run list` and its like are about the runs of flows."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from piko_flow.cli.run_commands import NAMES

RUNS = "runs"
"""The name under which the commands about runs are registered, and not shown."""


class Commands(TyperGroup):
    """The commands of `piko-flow`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the words mean."""
        if args[0] != "run" or not set(args[1:2]) & set(NAMES):
            return super().resolve_command(ctx, args)
        _, command, rest = super().resolve_command(ctx, [RUNS, *args[1:]])
        return "run", command, rest
