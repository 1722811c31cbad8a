"""The arguments and options that commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:NAME",
        help="A pipeline, or a function giving one, in a module or in a file: flows:orders, path/to/flows.py:orders. "
        "The name may be left out where there is only one.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of every error.")]
