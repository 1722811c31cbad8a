"""`piko-flow explain`: how a pipeline will run, or why a flow or a run is not running."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.control.operations.plane_explains import Explanation


@asks(times=True)
def explain(
    asking: Asking,
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FLOW|MODULE:NAME",
            help="The number of a run or the name of a flow: why it is not running. A pipeline, or a function giving "
            "one, in a module or in a file: how it will run.",
            show_default=False,
        ),
    ],
) -> None:
    """Tell why a flow or a run is not running; or how a pipeline will run.

    Of a pipeline it tells which stages share a loop, where channels are, how many units there are. With --package
    a name is a flow's.
    """
    if target.isdecimal():
        _why(asking, int(target))
    elif asking.packages or not is_pipeline(target):
        _why(asking, target)
    else:
        _plan(asking, target)


def is_pipeline(target: str) -> bool:
    """Whether the target is one of `run`: it names a file, a place in a module, or a module that is there."""
    if ":" in target or "/" in target or target.endswith(".py"):
        return True
    path = target.replace(".", "/")
    if Path(f"{path}.py").is_file() or Path(path, "__init__.py").is_file():
        return True
    if target.partition(".")[0] in sys.stdlib_module_names:
        return False
    try:
        return find_spec(target) is not None
    except (ImportError, ValueError):
        return False


def _why(asking: Asking, what: int | str) -> None:
    times = asking.times()

    async def ask(plane: ControlPlane) -> Explanation:
        if isinstance(what, int):
            return await plane.explain_run(what, times=times)
        return await plane.explain_flow(what, times=times)

    found = asking.ask(ask)
    asking.answer(lambda: {"explanation": found}, lambda: _show(found, times))


def _show(found: Explanation, times: Times) -> None:
    from piko_flow.cli.tables import show_facts

    run = found.run
    what = f"flow {found.flow}" if run is None else f"run {run.id} of {run.flow}: {run.status}"
    typer.echo(f"{what} (times in {times.name})")
    lines: list[tuple[str, object]] = []
    for line in found.lines:
        lines.append((f"  {line.reason or 'fine'}", line.text))
        if line.advice:
            lines.append(("", f"> {line.advice}"))
    show_facts(lines)


def _plan(asking: Asking, target: str) -> None:
    from piko_flow.cli.json_output import write_json
    from piko_flow.cli.loading import load_pipeline
    from piko_flow.cli.plan_json import plan_values

    with asking.kept():
        plan = load_pipeline(target).plan()
    if not asking.as_json:
        typer.echo(str(plan))
        return
    write_json(plan_values(plan))
