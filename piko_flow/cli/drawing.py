"""`piko-flow graph`: what a pipeline looks like."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.arguments import Debug, Target
from piko_flow.cli.mistakes import CommandMistake, mistakes_told

if TYPE_CHECKING:
    from piko_flow.dataflow.stages.stage import Stage


class Format(StrEnum):
    """How a graph is drawn."""

    TEXT = "text"
    MERMAID = "mermaid"
    SVG = "svg"


ENDINGS = {
    ".txt": Format.TEXT,
    ".mmd": Format.MERMAID,
    ".mermaid": Format.MERMAID,
    ".svg": Format.SVG,
}


def graph(
    target: Target,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="How to draw it; as the ending of --output says (.txt, .mmd, .svg), else as text.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file instead of standard output.", show_default=False)
    ] = None,
    debug: Debug = False,
) -> None:
    """Draw a pipeline, or a part of one. Nothing runs."""
    with mistakes_told(debug=debug):
        from piko_flow.cli.loading import load_stage

        form = form or _format_of(output)
        drawn = _drawn(load_stage(target), form, to_screen=output is None).rstrip("\n") + "\n"
        if output is None:
            typer.echo(drawn, nl=False)
        else:
            output.write_text(drawn, encoding="utf-8")
            typer.echo(f"wrote {output}", err=True)


def _format_of(output: Path | None) -> Format:
    if output is None:
        return Format.TEXT
    found = ENDINGS.get(output.suffix.lower())
    if found is None:
        raise CommandMistake(
            f"{output}: the ending of a drawing's file says how it is drawn: {', '.join(ENDINGS)}; "
            "for another one give --format too"
        )
    return found


def _drawn(stage: Stage, form: Format, *, to_screen: bool) -> str:
    from piko_flow.cli.report_output import output_width
    from piko_flow.dataflow.drawing import draw_mermaid, draw_svg, draw_text
    from piko_flow.dataflow.drawing.text import WIDEST

    if form is Format.TEXT:
        return draw_text(stage, widest=min(WIDEST, output_width()) if to_screen else WIDEST)
    return draw_svg(stage) if form is Format.SVG else draw_mermaid(stage)
