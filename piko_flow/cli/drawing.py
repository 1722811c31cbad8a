"""`piko-flow graph` and `piko-flow explain`: what a pipeline looks like, and how it will run."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from piko_flow.cli.arguments import AsJson, Debug, Target
from piko_flow.cli.mistakes import mistakes_told


class Format(StrEnum):
    """How a graph is drawn."""

    TEXT = "text"
    MERMAID = "mermaid"
    SVG = "svg"


def graph(
    target: Target,
    form: Annotated[Format, typer.Option("--format", help="How to draw it.")] = Format.TEXT,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file instead of standard output.", show_default=False)
    ] = None,
    debug: Debug = False,
) -> None:
    """Draw a pipeline, or a part of one. Nothing runs."""
    with mistakes_told(debug=debug):
        from piko_flow.cli.loading import load_stage
        from piko_flow.dataflow.drawing import draw_mermaid, draw_svg, draw_text

        draw = {Format.TEXT: draw_text, Format.MERMAID: draw_mermaid, Format.SVG: draw_svg}[form]
        drawn = draw(load_stage(target)).rstrip("\n") + "\n"
        if output is None:
            typer.echo(drawn, nl=False)
        else:
            output.write_text(drawn, encoding="utf-8")
            typer.echo(f"wrote {output}", err=True)


def explain(target: Target, as_json: AsJson = False, debug: Debug = False) -> None:
    """Tell how a pipeline will run: which stages share a loop, where channels are, how many units there are."""
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
