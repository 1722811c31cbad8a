"""`piko-flow explain`: how a pipeline will run, or why a flow or a run is not running."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.arguments import AsJson, Debug
from piko_flow.cli.control_arguments import Database, Packages
from piko_flow.cli.mistakes import mistakes_told

if TYPE_CHECKING:
    from piko_flow.control.plane_explains import Explanation


def explain(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FLOW|MODULE:NAME",
            help="The number of a run or the name of a flow: why it is not running. A pipeline, or a function giving "
            "one, in a module or in a file: how it will run.",
            show_default=False,
        ),
    ],
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell why a flow or a run is not running; or how a pipeline will run.

    Of a pipeline it tells which stages share a loop, where channels are, how many units there are. With --package
    a name is a flow's.
    """
    asking = Asking(package, database, as_json, debug)
    if target.isdecimal():
        _why(asking, int(target))
    elif package or not is_pipeline(target):
        _why(asking, target)
    else:
        _plan(target, as_json=as_json, debug=debug)


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
    with asking.told():
        found = asking.ask(
            lambda plane: plane.explain_run(what) if isinstance(what, int) else plane.explain_flow(what)
        )
        asking.answer(lambda: {"explanation": found}, lambda: _show(found))


def _show(found: Explanation) -> None:
    from piko_flow.cli.tables import show_facts

    run = found.run
    typer.echo(f"run {run.id} of {run.flow}: {run.status}" if run is not None else f"flow {found.flow}")
    lines: list[tuple[str, object]] = []
    for line in found.lines:
        lines.append((f"  {line.reason or 'fine'}", line.text))
        if line.advice:
            lines.append(("", f"> {line.advice}"))
    show_facts(lines)


def _plan(target: str, *, as_json: bool, debug: bool) -> None:
    with mistakes_told(debug=debug):
        from piko_flow.cli.json_output import standard_output_kept, write_json
        from piko_flow.cli.loading import load_pipeline
        from piko_flow.cli.plan_json import plan_values

        with standard_output_kept() if as_json else nullcontext():
            plan = load_pipeline(target).plan()
        if not as_json:
            typer.echo(str(plan))
            return
        write_json(plan_values(plan))
