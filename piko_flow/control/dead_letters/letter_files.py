"""Payloads of dead letters that are too large for a row: a private file each, in a folder of bounded size."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from piko_flow.control.options import ReplicaOptions
from piko_flow.errors import RequestRefused
from piko_flow.store.records import DeadLetterRecord

LARGEST = 16 * 1024 * 1024  # bytes of one payload
SUFFIX, PARTIAL = ".json", ".part"
SQLITE = "sqlite"

log = logging.getLogger("piko_flow.letters")


class LetterFiles:
    """The files of one ledger's letters, on this computer; all calls may be made from any thread.

    They lie in a folder of the ledger's own below `folder`, which is made at the first file, for this user alone. All
    together have at most `most` bytes. `ledger` is the URL of the database, without password.
    """

    def __init__(self, folder: Path, *, ledger: str, most: int) -> None:
        self.folder = folder / sha256(_place_of(ledger).encode()).hexdigest()[:16]
        self._most = most

    def keep(self, payload: str) -> str:
        """Write a payload for good and give the name of its file; empty where it has no room or cannot be written."""
        data = payload.encode(errors="surrogatepass")
        name = f"{sha256(data).hexdigest()[:32]}-{secrets.token_hex(6)}{SUFFIX}"
        try:
            if len(data) > LARGEST or len(data) + self._size() > self._most:
                return ""
            self._write(name, data)
        except OSError as error:
            log.warning(
                "a dead letter's item is kept as its beginning only, %s: %s", self.folder, error.strerror
            )
            return ""
        return name

    def read(self, letter: DeadLetterRecord) -> str:
        """The whole payload of a letter that has a file. Raises RequestRefused where that is not here, or torn."""
        path = self.folder / Path(letter.payload_file).name
        try:
            data = path.read_bytes()
        except OSError as error:
            got = f"{path} cannot be read here: {error.strerror}"
            raise _refused(letter, got) from error
        if not path.name.startswith(sha256(data).hexdigest()[:32]):
            raise _refused(letter, f"{path} is not what was written")
        return data.decode(errors="surrogatepass")

    def remove(self, names: Iterable[str]) -> None:
        """Delete these files, where they are on this computer."""
        for name in names:
            (self.folder / Path(name).name).unlink(missing_ok=True)

    def names(self, *, before: datetime) -> set[str]:
        """The files that were written before the instant, half ones among them."""
        return {
            path.name
            for path, state in self._states()
            if datetime.fromtimestamp(state.st_mtime, UTC) < before
        }

    def _size(self) -> int:
        return sum({state.st_ino: state.st_size for _, state in self._states()}.values())

    def _states(self) -> Iterator[tuple[Path, os.stat_result]]:
        """The files with what the disk says of them, but for those that are renamed or removed meanwhile.

        Half ones come first, so that one which is renamed meanwhile is met under one of its names, or under both.
        """
        for suffix in (PARTIAL, SUFFIX):
            for path in list(self.folder.glob(f"*{suffix}")):
                with suppress(FileNotFoundError):
                    yield path, path.stat()

    def _write(self, name: str, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = self.folder.stat()
        if state.st_uid != os.geteuid() or state.st_mode & 0o077:
            raise PermissionError(1, "the folder must be of this user alone")
        partial = self.folder / f"{name}{PARTIAL}"
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self.folder / name)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def letter_files(options: ReplicaOptions, ledger: str) -> LetterFiles | None:
    """The files that these options ask for; None where they ask for none."""
    if options.letter_folder is None or not options.letter_room:
        return None
    return LetterFiles(options.letter_folder, ledger=ledger, most=options.letter_room)


def _place_of(ledger: str) -> str:
    """The URL; that of a SQLite file with its whole path, or it would be another one in another folder."""
    scheme, _, path = ledger.partition(":///")
    return f"{scheme}:///{Path(path).resolve()}" if scheme.startswith(SQLITE) and path else ledger


def _refused(letter: DeadLetterRecord, got: str) -> RequestRefused:
    return RequestRefused(
        what=f"replay dead letter {letter.id}",
        rule="its item lies in a file of the computer where it failed",
        got=got,
        advice="Replay it with a replica on that computer",
    )
