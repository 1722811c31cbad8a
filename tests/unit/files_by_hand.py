"""Files read and written step by step, as a run does it, without a run."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from piko_flow.connectors.file_target import FileTarget
from piko_flow.dataflow.stages.sink import Part, Receipt
from piko_flow.dataflow.stages.source import Source


@dataclass
class Read:
    """What a source gave, the sizes of its lists, and what it rejected: payload and message."""

    items: list[Any] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    broken: list[tuple[object, str]] = field(default_factory=list)


def read(source: Source[Any]) -> Read:
    """Read every split of a file source."""
    found = Read()
    for split in source.resolve_splits() or []:
        for chunk in source.items.read_chunks(split, reject=lambda p, e: found.broken.append((p, str(e)))):
            found.items += chunk
            found.sizes.append(len(chunk))
    return found


async def prepared(target: FileTarget[Any], part: Part, *batches: Sequence[Any]) -> Receipt:
    """Write one part and prepare it; abort it when that fails."""
    own = copy.copy(target)
    try:
        await own.open(part)
        for batch in batches:
            await own.write(batch)
        return await own.prepare()
    except BaseException:
        await own.abort()
        raise


async def written(target: FileTarget[Any], *units: Sequence[Any]) -> list[str]:
    """Write one part for each list of items and commit them on a fresh copy."""
    receipts = [
        await prepared(target, Part("run", f"unit{number}", number=number, units=len(units)), items)
        for number, items in enumerate(units)
    ]
    return await copy.copy(target).commit(receipts)


def names(folder: Path) -> list[str]:
    """The names of everything in the folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def hidden(folder: Path) -> list[str]:
    """The names of unpublished files, sorted."""
    return [name for name in names(folder) if name.startswith(".")]
