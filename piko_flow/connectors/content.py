"""What tells one content of a file from another."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

COPIED: Final = 1024 * 1024  # bytes read at once where files are compared or joined


@dataclass(frozen=True)
class Content:
    """A length in bytes and a checksum."""

    size: int = 0
    crc32: int = 0

    def followed_by(self, data: bytes) -> Content:
        """The content with the data after it."""
        return Content(self.size + len(data), zlib.crc32(data, self.crc32))


def consists_of(read: Callable[[int], bytes], size: int, opening: bytes, contents: Sequence[Content]) -> bool:
    """Whether a file of this size reads as the opening and these contents, in this order, and nothing else."""
    if size != len(opening) + sum(content.size for content in contents) or read(len(opening)) != opening:
        return False
    for content in contents:
        found = Content()
        while (left := content.size - found.size) and (data := read(min(left, COPIED))):
            found = found.followed_by(data)
        if found != content:
            return False
    return True
