"""The console's own files, addressed by their content so that a browser may keep them for ever."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response

FOLDER = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
KEPT = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file with the address that its content gives it."""

    address: str
    kind: str
    content: bytes


@cache
def assets() -> dict[str, Asset]:
    """All files by their name below the folder; read once."""
    found: dict[str, Asset] = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in KINDS:
            content = path.read_bytes()
            name = path.relative_to(FOLDER).as_posix()
            digest = blake2b(content, digest_size=6).hexdigest()
            found[name] = Asset(f"/static/{digest}/{name}", KINDS[path.suffix], content)
    return found


def address_of(name: str) -> str:
    """Where the file is served. Raises KeyError for one that is not there."""
    return assets()[name].address


def assets_router() -> APIRouter:
    """Serves the files; they hold nothing that needs a token, but the door decides that."""
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{digest}/{name:path}")
    def asset(digest: str, name: str) -> Response:
        found = assets().get(name)
        if found is None or found.address != f"/static/{digest}/{name}":
            raise HTTPException(404)
        return Response(found.content, media_type=found.kind, headers={"Cache-Control": KEPT})

    return router
