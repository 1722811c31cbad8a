"""Deleting the files of dead letters that are open no more."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from piko_flow.clock import Clock
from piko_flow.control.dead_letters.letter_files import LetterFiles
from piko_flow.control.runs.journal import Ask
from piko_flow.errors import StoreUnavailable

EVERY = timedelta(minutes=10)
# A file may be there before the row that names it: the end of a run waits for the store.
YOUNG = timedelta(hours=6)

log = logging.getLogger("piko_flow.letters")


async def sweep(files: LetterFiles, ask: Ask, clock: Clock) -> int:
    """Delete the files of this computer that no open letter names, but for young ones; gives how many went.

    Asks the store only where there is such a file. Raises StoreUnavailable.
    """
    old = await asyncio.to_thread(files.names, before=clock.now() - YOUNG)
    if not old:
        return 0
    gone = old - await ask(lambda store: store.letter_files())
    await asyncio.to_thread(files.remove, gone)
    return len(gone)


async def keep_sweeping(files: LetterFiles, ask: Ask, clock: Clock) -> None:
    """Sweep now and then, until it is cancelled."""
    while True:
        try:
            await sweep(files, ask, clock)
        except (OSError, StoreUnavailable) as error:
            log.warning("files of dead letters are swept later: %s", error)
        except Exception:  # nobody waits for this task, so nobody would hear of its end
            log.exception("files of dead letters could not be swept; they are swept later")
        await clock.sleep(EVERY.total_seconds())
