"""Libraries that block: on threads while they wait or leave the interpreter lock, in a process while they compute.

`to_thread_demo` compresses files with `lzma`, several at a time, on threads. `cpu_submit_demo` is a plain job that
calls one function in a worker process.

    piko-flow run pipelines.blocking_library:pipeline
"""

import json
import lzma
import math
from collections.abc import Iterator
from pathlib import Path

from piko_flow import Flow, Fold, Pipeline, RunContext, Sink, Source, Transform

Sizes = tuple[int, int]


def files() -> Iterator[Path]:
    """Give the Python files of the standard library's `json` package, by name."""
    yield from sorted(Path(json.__file__).parent.glob("*.py"))


def compressed(path: Path) -> Sizes:
    """Give the size of a file before and after compression; blocks while it reads and compresses."""
    content = path.read_bytes()
    return len(content), len(lzma.compress(content))


def add(so_far: Sizes, sizes: Sizes) -> Sizes:
    """Add the sizes of one file."""
    return so_far[0] + sizes[0], so_far[1] + sizes[1]


def nothing() -> Sizes:
    """Give the sizes of no file at all."""
    return 0, 0


def tell(total: Sizes) -> None:
    """Say how much smaller the files are."""
    print(f"{total[0]:,} bytes become {total[1]:,}")


pipeline: Pipeline = (
    Source(files)
    >> Transform(compressed, on="thread", concurrency=8)
    >> Fold(add, start=nothing)
    >> Sink(tell)
)
Flow.register("to_thread_demo", pipeline, tags=["example"])


def digits(number: int) -> int:
    """Count the digits of a factorial, which keeps a processor busy."""
    return len(str(math.factorial(number)))


@Flow.register("cpu_submit_demo", tags=["example"])
async def cpu_submit_demo(run: RunContext) -> None:
    """Count the digits of one factorial in a worker process."""
    print(f"1500! has {await run.cpu.submit(digits, 1500):,} digits")
